import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { CredentialDefinition, Presentation, PresentationRequest } from '../ports/anoncreds.ts';
import { intervalsOf, timedReferents, withoutEmptyIntervals } from './non-revocation.ts';

const request = (attributes: object, predicates: object = {}, non_revoked?: unknown): PresentationRequest =>
  ({ name: 'r', version: '1', nonce: '1', requested_attributes: attributes, requested_predicates: predicates, non_revoked }) as never;

suite('the intervals of a proof request', () => {
  test('a referent’s own is in the place of that of the whole request; null and {} are none', () => {
    const intervals = intervalsOf(
      request(
        {
          own: { name: 'a', non_revoked: { to: 5 } },
          none: { name: 'b' },
          nulled: { name: 'c', non_revoked: null },
          empty: { name: 'd', non_revoked: {} },
        },
        { own: { name: 'e', non_revoked: { from: 1 } } },
        { from: 2, to: 3 },
      ),
    );
    assert.deepEqual(Object.fromEntries(intervals), {
      'attribute:own': { to: 5 },
      'attribute:none': { from: 2, to: 3 },
      'attribute:nulled': { from: 2, to: 3 },
      'attribute:empty': { from: 2, to: 3 },
      'predicate:own': { from: 1 },
    });
    for (const whole of [undefined, null, {}, { from: null }, 'now', []])
      assert.equal(intervalsOf(request({ a: { name: 'a' } }, {}, whole)).size, 0, JSON.stringify(whole));
  });

  test('an interval that asks for nothing is not sent on', () => {
    const given = request(
      { a: { name: 'a', non_revoked: {} }, b: { name: 'b', non_revoked: { to: 1 } } },
      { c: { name: 'c', non_revoked: null } },
      {},
    );
    assert.deepEqual(withoutEmptyIntervals(given), {
      name: 'r',
      version: '1',
      nonce: '1',
      requested_attributes: { a: { name: 'a' }, b: { name: 'b', non_revoked: { to: 1 } } },
      requested_predicates: { c: { name: 'c' } },
    });
  });

  test('which sub-proofs must prove non-revocation, of a presentation of any shape', () => {
    const definitions = {
      revocable: { value: { primary: {}, revocation: {} } },
      permanent: { value: { primary: {} } },
    } as unknown as Record<string, CredentialDefinition>;
    const asked = request({ a: { name: 'a' }, b: { name: 'b' }, c: { names: ['c'] } }, { a: { name: 'd' } }, { to: 9 });
    const of = (index: number) => ({ sub_proof_index: index });
    const presentation = {
      requested_proof: {
        revealed_attrs: { a: of(0) },
        revealed_attr_groups: { c: of(2) },
        unrevealed_attrs: { b: of(1) },
        predicates: { a: of(3) },
      },
      identifiers: ['revocable', 'permanent', 'revocable', 'unknown'].map((cred_def_id) => ({ schema_id: 's', cred_def_id })),
    } as unknown as Presentation;
    assert.deepEqual(
      timedReferents(asked, presentation, definitions).map(({ referent, index }) => [referent, index]),
      [
        ['a', 0],
        ['c', 2],
      ],
    );
    for (const odd of [
      {},
      { identifiers: 'x' },
      { identifiers: [null], requested_proof: { revealed_attrs: { a: null, b: of(0) }, predicates: 'x' } },
    ])
      assert.deepEqual(timedReferents(asked, odd as never, definitions), []);
  });
});
