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

  test('times outside of their intervals, and times that are missing', () => {
    const outside = ['TS_OUT_NRI::single', 'TS_OUT_NRI::group', 'TS_OUT_NRI::hidden', 'TS_OUT_NRI::bound'];
    assert.deepEqual(reasons([], 'revocable', 7), [...outside, 'UNRVL_ATTR::hidden']);
    assert.deepEqual(reasons([], 'revocable', 1), ['UNRVL_ATTR::hidden']);
    const late: Refusal = { reason: 'timestamp-outside-interval', referent: 'single', detail: '7 is after 1' };
    assert.deepEqual(reasons([late], 'revocable', 7), [
      ...outside,
      'UNRVL_ATTR::hidden',
      'VERIFY_ERROR::Invalid timestamp',
      'timestamp-outside-interval: single: 7 is after 1',
    ]);
    const future = { ...late, detail: '7 is in the future' };
    assert.equal(reasons([future], 'revocable', 7).at(-2), 'VALUE_ERROR::Timestamp 7 is in the future');
    for (const [referent, what] of Object.entries({
      single: 'attribute',
      group: 'attribute group',
      bound: 'predicate',
      hidden: 'attribute',
    }))
      assert.deepEqual(reasons([{ reason: 'revocation-unproven', referent }], 'revocable').slice(-2), [
        `VALUE_ERROR::Timestamp on sub-proof #0 is missing vs. requested ${what} ${referent}`,
        `revocation-unproven: ${referent}`,
      ]);
    assert.deepEqual(reasons([{ reason: 'revocation-unproven', referent: 'single' }], 'revocable', 1).slice(-2), [
      'VALUE_ERROR::revocation-unproven: single',
      'revocation-unproven: single',
    ]);
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

  test('presentations that the library could not judge, that it judged, and that have no shape', () => {
    assert.deepEqual(reasons([{ reason: 'proof-invalid', detail: 'Broken' }]).slice(4), ['VERIFY_ERROR::Broken', 'proof-invalid: Broken']);
    assert.deepEqual(reasons([{ reason: 'proof-invalid' }]).slice(4), ['proof-invalid']);
    const nothing = verifiedMessages(request, [] as never, {}, [{ reason: 'malformed', detail: 'presentation is not an object' }]);
    assert.deepEqual(nothing, ['VALUE_ERROR::malformed: presentation is not an object', 'malformed: presentation is not an object']);
  });
});
