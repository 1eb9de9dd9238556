import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { CredentialDefinition, Presentation, PresentationRequest, Refusal } from '../ports/anoncreds.ts';
import { verifiedMessages } from './anoncreds-messages.ts';

const definition = (revocation?: object): CredentialDefinition =>
  ({
    schemaId: 's',
    type: 'CL',
    tag: 't',
    issuerId: 'i',
    value: { primary: {}, ...(revocation && { revocation }) },
  }) as CredentialDefinition;
const definitions = { plain: definition(), revocable: definition({}) };
const request: PresentationRequest = {
  name: 'r',
  version: '1',
  nonce: '1',
  requested_attributes: {
    single: { name: 'First Name', non_revoked: { from: 0, to: 1 } },
    hidden: { name: 'age' },
    group: { names: ['a', 'b'], non_revoked: {} },
  },
  requested_predicates: { bound: { name: 'Birth Year', p_type: '>=', p_value: 18, non_revoked: { to: 1 } } },
  non_revoked: { to: 1 },
};
const presentation = (cred_def_id: string, timestamp?: number): Presentation => ({
  proof: { proofs: [], aggregated_proof: { c_hash: '1', c_list: [] } },
  requested_proof: {
    revealed_attrs: { single: { sub_proof_index: 0, raw: 'x', encoded: '1' } },
    revealed_attr_groups: { group: { sub_proof_index: 0, values: {} } },
    self_attested_attrs: {},
    unrevealed_attrs: { hidden: { sub_proof_index: 0 } },
    predicates: { bound: { sub_proof_index: 0 } },
  },
  identifiers: [{ schema_id: 's', cred_def_id, ...(timestamp !== undefined && { timestamp }) }],
});
const reasons = (refusals: Refusal[], id = 'plain', timestamp?: number): string[] =>
  verifiedMessages(request, presentation(id, timestamp), definitions, refusals);

suite("verified_msgs, in ACA-Py's words first", () => {
  const removed = ['RMV_RFNT_NRI::single', 'RMV_RFNT_NRI::bound', 'RMV_GLB_NRI', 'UNRVL_ATTR::hidden'];

  test('intervals that are not looked at, and attributes without a value', () => {
    assert.deepEqual(reasons([]), removed);
    assert.deepEqual(reasons([], 'revocable'), ['UNRVL_ATTR::hidden']);
    assert.deepEqual(reasons([], 'plain', 7), ['RMV_RFNT_NRI::single', 'RMV_RFNT_NRI::bound', 'UNRVL_ATTR::hidden']);
  });

  const errors: [Refusal, string][] = [
    [{ reason: 'referent-missing', referent: 'single' }, 'Presentation attributes mismatch requested attribute single'],
    [{ reason: 'referent-missing', referent: 'group' }, 'Missing requested attribute group group'],
    [{ reason: 'name-mismatch', referent: 'group' }, 'Missing requested attribute group group'],
    [{ reason: 'referent-missing', referent: 'bound' }, 'Presentation predicates mismatch requested predicate bound'],
    [{ reason: 'predicate-mismatch', referent: 'bound', detail: 'x' }, 'Predicate not found: birthyear'],
    [{ reason: 'attribute-unproven', referent: 'single', detail: 'First Name' }, "Missing revealed attribute: 'First Name'"],
    [{ reason: 'encoded-proof-mismatch', referent: 'single', detail: 'a' }, "Encoded representation mismatch for 'a'"],
    [{ reason: 'raw-encoded-mismatch', referent: 'single', detail: 'a' }, "Encoded representation mismatch for 'a'"],
    [{ reason: 'self-attested-restricted', referent: 'single' }, "Attribute with restrictions cannot be self-attested: 'First Name'"],
    [{ reason: 'restriction-unmet', referent: 'constructor' }, 'restriction-unmet: constructor'],
  ];
  for (const [refusal, sentence] of errors) {
    test(sentence, () => {
      const { reason, referent, detail } = refusal;
      const own = [reason, referent, detail].filter(Boolean).join(': ');
      assert.deepEqual(reasons([refusal, { reason: 'referent-twice', referent: 'z' }]), [
        ...removed,
        `VALUE_ERROR::${sentence}`,
        own,
        'referent-twice: z',
      ]);
    });
  }

  test('what the library could not judge, what it judged, and what has no shape', () => {
    assert.deepEqual(reasons([{ reason: 'proof-invalid', detail: 'Broken' }]).slice(4), ['VERIFY_ERROR::Broken', 'proof-invalid: Broken']);
    assert.deepEqual(reasons([{ reason: 'proof-invalid' }]).slice(4), ['proof-invalid']);
    const nothing = verifiedMessages(request, [] as never, {}, [{ reason: 'malformed', detail: 'presentation is not an object' }]);
    assert.deepEqual(nothing, ['VALUE_ERROR::malformed: presentation is not an object', 'malformed: presentation is not an object']);
  });
});
