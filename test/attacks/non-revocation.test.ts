import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { checkPresentation } from '../../src/formats/anoncreds-checks.ts';
import type { Credential, Presentation, PresentationRequest, RevocationStatusList, StatusListInForce } from '../../src/ports/anoncreds.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import { requestOf, revocationFixture, world } from '../support/revocation.ts';

/** A holder whose credential is revoked, or who does not prove that it is not: the engine, as the agent starts it, says which rule does not hold. */

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const skip = libraryPath !== undefined && existsSync(libraryPath) ? false : 'LIB_ANONCREDS_PATH names no folder';

suite('a holder that does not prove that its credential is not revoked', { skip }, () => {
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  const fixture = revocationFixture(engine);
  after(async () => {
    await engine.close();
    fixture.close();
  });
  const registryId = world.registries.first.id;
  /** Nothing is revoked at 1000; index 2 at 2000; index 3 too at 3000. */
  let lists: RevocationStatusList[];
  let linkSecret: string;
  let good: Credential;
  let revoked: Credential;
  let states: Record<'good' | 'revoked' | 'old', JsonObject>;
  before(async () => {
    lists = await fixture.lists('first', [[1000], [2000, 2], [3000, 3]]);
    linkSecret = await engine.createLinkSecret('holder');
    good = await fixture.issue(linkSecret, 'revocable', { name: 'first', index: 1, list: lists[0]! });
    revoked = await fixture.issue(linkSecret, 'revocable', { name: 'first', index: 2, list: lists[0]! });
    states = {
      good: await fixture.witness('first', lists[2]!, 1),
      revoked: await fixture.witness('first', lists[2]!, 2),
      old: await fixture.witness('first', lists[0]!, 2),
    };
  });
  const NEWEST = { from: 3000, to: 3000 };
  const ageOver18 = { name: 'age', p_type: '>=' as const, p_value: 18 };

  /** A presentation of one credential; with a witness it proves non-revocation. */
  const shown = (
    request: PresentationRequest,
    credential: Credential,
    { state, timestamp, hide }: { state?: JsonObject; timestamp?: number; hide?: boolean } = {},
  ) =>
    fixture.present(
      request,
      [
        {
          credential,
          attributes: Object.keys(request.requested_attributes).map((referent) => ({ referent, reveal: !hide })),
          predicates: Object.keys(request.requested_predicates),
          ...(state && { state, timestamp: timestamp ?? 3000 }),
        },
      ],
      linkSecret,
    );
  const newest = (): StatusListInForce[] => [fixture.inForce('first', lists[2]!)];
  /** Verifies with the lists in force. @returns the reasons, and nothing where it is verified */
  const reasons = async (
    request: PresentationRequest,
    presentation: Presentation,
    more: Partial<Parameters<typeof fixture.verify>[0]> = {},
  ): Promise<string[]> => {
    const { verified, refusals } = await fixture.verify({ request, presentation, statusLists: newest(), now: 5000, ...more });
    assert.equal(verified, refusals.length === 0);
    return refusals.map(({ reason }) => reason);
  };
  const altered = (presentation: Presentation, change: (one: Presentation) => unknown): Presentation => {
    const copy = structuredClone(presentation);
    change(copy);
    return copy;
  };

  const REQUESTS: Record<string, [request: () => PresentationRequest, hide?: boolean]> = {
    'the whole request': [() => requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST })],
    'the attribute': [() => requestOf({ name: { name: 'name', non_revoked: NEWEST } })],
    'the attribute, another for the request': [
      () => requestOf({ name: { name: 'name', non_revoked: NEWEST } }, { non_revoked: { from: 0, to: 9000 } }),
    ],
    'an empty one of the attribute, which is none': [() => requestOf({ name: { name: 'name', non_revoked: {} } }, { non_revoked: NEWEST })],
    'an attribute that is not revealed': [() => requestOf({ name: { name: 'name', non_revoked: NEWEST } }), true],
    'the whole request, nothing revealed': [() => requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST }), true],
    'a group': [() => requestOf({ both: { names: ['name', 'age'], non_revoked: NEWEST } })],
    'a predicate': [() => requestOf({}, { predicates: { adult: { ...ageOver18, non_revoked: NEWEST } } })],
    'a predicate, beside an attribute without': [
      () => requestOf({ name: { name: 'name' } }, { predicates: { adult: { ...ageOver18, non_revoked: NEWEST } } }),
    ],
  };
  for (const [what, [request, hide]] of Object.entries(REQUESTS)) {
    test(`[A21] an interval of ${what}: only a proof of non-revocation is verified, and only of what is not revoked`, async () => {
      const asked = request();
      assert.deepEqual(await reasons(asked, await shown(asked, good, { state: states.good, hide })), []);
      assert.deepEqual(await reasons(asked, await shown(asked, revoked, { state: states.revoked, hide })), ['proof-invalid']);
      for (const credential of [good, revoked]) {
        const bare = await shown(asked, credential, { hide });
        assert.deepEqual(new Set(await reasons(asked, bare)), new Set(['revocation-unproven']));
        const timed = altered(bare, (one) => Object.assign(one.identifiers[0]!, { timestamp: 3000 }));
        assert.deepEqual(new Set(await reasons(asked, timed)), new Set(['revocation-unproven']));
      }
    });
  }

  test('[A21] [A21-2] a registry or a time that is missing is not proven', async () => {
    const request = requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST });
    const honest = await shown(request, good, { state: states.good });
    for (const change of [{ rev_reg_id: null }, { timestamp: null }, { rev_reg_id: null, timestamp: null }])
      assert.deepEqual(
        await reasons(
          request,
          altered(honest, (one) => Object.assign(one.identifiers[0]!, change)),
        ),
        ['revocation-unproven'],
      );
    const stripped = altered(honest, (one) => Reflect.deleteProperty(one.proof.proofs[0]!, 'non_revoc_proof'));
    assert.deepEqual(await reasons(request, stripped), ['revocation-unproven']);
    const nulled = altered(honest, (one) => Object.assign(one.proof.proofs[0]!, { non_revoc_proof: null }));
    assert.deepEqual(await reasons(request, nulled), ['revocation-unproven']);
  });

  test('[A21-3] the registry is of the credential definition, by its issuer, and so is the list', async () => {
    const request = requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST });
    const honest = await shown(request, good, { state: states.good });
    const { definition } = world.registries.first;
    const { foreign } = world.registries;
    for (const other of [
      { ...definition, credDefId: world.definitions.other.id },
      { ...definition, issuerId: 'did:example:other' },
    ])
      assert.deepEqual(await reasons(request, honest, { revocationRegistryDefinitions: { [registryId]: other } }), ['identifier-mismatch']);
    const renamed = altered(honest, (one) => Object.assign(one.identifiers[0]!, { rev_reg_id: foreign.id }));
    const [foreignList] = await fixture.lists('foreign', [[3000]]);
    assert.deepEqual(await reasons(request, renamed, { statusLists: [fixture.inForce('foreign', foreignList!)] }), ['identifier-mismatch']);
    for (const change of [{ issuerId: 'did:example:other' }, { revRegDefId: foreign.id }])
      assert.deepEqual(await reasons(request, honest, { statusLists: [fixture.inForce('first', { ...lists[2]!, ...change })] }), [
        'identifier-mismatch',
      ]);
    assert.deepEqual(await reasons(request, honest, { revocationRegistryDefinitions: {} }), ['object-missing']);
  });

  test('[A21] another registry of the same definition proves nothing', async () => {
    const request = requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST });
    const [second] = await fixture.lists('second', [[3000]]);
    const state = await fixture.witness('second', second!, 2);
    const presentation = await shown(request, revoked, { state });
    const renamed = altered(presentation, (one) => Object.assign(one.identifiers[0]!, { rev_reg_id: world.registries.second.id }));
    const statusLists = [...newest(), fixture.inForce('second', second!)];
    assert.deepEqual(await reasons(request, presentation, { statusLists }), ['proof-invalid']);
    assert.deepEqual(await reasons(request, renamed, { statusLists }), ['proof-invalid']);
  });

  test('[A21-4] a list of the time before the revocation is outside the interval, and is not another time’s', async () => {
    const request = requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST });
    const old = await shown(request, revoked, { state: states.old, timestamp: 1000 });
    assert.deepEqual(await reasons(request, old, { statusLists: [fixture.inForce('first', lists[0]!, 1000, 2000)] }), [
      'timestamp-outside-interval',
    ]);
    const stamped = altered(old, (one) => Object.assign(one.identifiers[0]!, { timestamp: 3000 }));
    assert.deepEqual(await reasons(request, stamped), ['proof-invalid']);
    const asked = requestOf({ name: { name: 'name' } }, { non_revoked: { from: 500, to: 1500 } });
    const then = await shown(asked, revoked, { state: states.old, timestamp: 1000 });
    assert.deepEqual(await reasons(asked, then, { statusLists: [fixture.inForce('first', lists[0]!, 1000, 2000)] }), []);
  });

  test('[A21-4] [A21-5] [A21-6] a time is one of the interval, or of the list that was in force when it began, and has come', async () => {
    const at = async (interval: { from?: number; to?: number }, timestamp: number, list: number, next?: number, now = 5000) => {
      const request = requestOf({ name: { name: 'name' } }, { non_revoked: interval });
      const state = await fixture.witness('first', lists[list]!, 1);
      const presentation = await shown(request, good, { state, timestamp });
      return (await reasons(request, presentation, { now, statusLists: [fixture.inForce('first', lists[list]!, timestamp, next)] })).join();
    };
    const outside = 'timestamp-outside-interval';
    // in force at `from`
    assert.equal(await at({ from: 4000, to: 4000 }, 3000, 2), '');
    assert.equal(await at({ from: 4000, to: 4000 }, 3500, 2), '');
    assert.equal(await at({ from: 2500, to: 4000 }, 2000, 1, 3000), '');
    assert.equal(await at({ from: 3000, to: 4000 }, 2000, 1, 3000), outside);
    assert.equal(await at({ from: 3001, to: 4000 }, 2999, 1, 3000), outside);
    // the end
    assert.equal(await at({ to: 3000 }, 3000, 2), '');
    assert.equal(await at({ to: 2999 }, 3000, 2), outside);
    // no end, no beginning
    assert.equal(await at({ from: 10 }, 3000, 2), '');
    assert.equal(await at({ from: 4000, to: 3500 }, 3000, 2), outside);
    // the future
    assert.equal(await at({ to: 9000 }, 5300, 2), '');
    assert.equal(await at({ to: 9000 }, 5301, 2), outside);
    // what the ledger has is not to come, whatever this clock shows
    assert.equal(await at({ to: 9000 }, 3000, 2, undefined, 100), '');
  });

  test('[A21-7] a proof of non-revocation that was not asked for is refused; a time that was not asked for is not looked at', async () => {
    const request = requestOf({ name: { name: 'name' } });
    const honest = await shown(request, good);
    assert.deepEqual(
      await reasons(
        request,
        altered(honest, (one) => Object.assign(one.identifiers[0]!, { timestamp: 77 })),
      ),
      [],
    );
    assert.deepEqual(await reasons(request, await shown(request, revoked)), []);
    const proving = await shown(request, good, { state: states.good });
    assert.deepEqual(await reasons(request, proving), ['proof-unbound']);
    const { non_revoc_proof: proof } = proving.proof.proofs[0]!;
    assert.deepEqual(
      await reasons(
        request,
        altered(honest, (one) => Object.assign(one.proof.proofs[0]!, { non_revoc_proof: proof })),
      ),
      ['proof-unbound'],
    );
  });

  test('[A21] two sub-proofs of one credential: the one that answers the interval must prove it', async () => {
    const request = requestOf({ timed: { name: 'name', non_revoked: NEWEST }, free: { name: 'age' } });
    const both = (credential: Credential, state: JsonObject) =>
      fixture.present(
        request,
        [
          { credential, attributes: [{ referent: 'timed', reveal: true }], predicates: [], state, timestamp: 3000 },
          { credential, attributes: [{ referent: 'free', reveal: true }], predicates: [] },
        ],
        linkSecret,
      );
    const honest = await both(good, states.good);
    assert.deepEqual(await reasons(request, honest), []);
    assert.deepEqual(await reasons(request, await both(revoked, states.revoked)), ['proof-invalid']);
    const swapped = await fixture.present(
      request,
      [
        { credential: revoked, attributes: [{ referent: 'timed', reveal: true }], predicates: [] },
        { credential: good, attributes: [{ referent: 'free', reveal: true }], predicates: [], state: states.good, timestamp: 3000 },
      ],
      linkSecret,
    );
    assert.deepEqual(await reasons(request, swapped), ['revocation-unproven']);
  });

  test('[A21-8] [A21-9] a proof of non-revocation is of its own credential, and the challenge is over it', async () => {
    const request = requestOf({ one: { name: 'name', non_revoked: NEWEST }, two: { name: 'age', non_revoked: NEWEST } });
    const honest = await fixture.present(
      request,
      [
        { credential: revoked, attributes: [{ referent: 'one', reveal: true }], predicates: [], state: states.revoked, timestamp: 3000 },
        { credential: good, attributes: [{ referent: 'two', reveal: true }], predicates: [], state: states.good, timestamp: 3000 },
      ],
      linkSecret,
    );
    assert.deepEqual(await reasons(request, honest), ['proof-invalid']);
    const [first, second] = honest.proof.proofs as [Presentation['proof']['proofs'][number], Presentation['proof']['proofs'][number]];
    // the proof of the other credential, its commitments where it stands
    const moved = altered(honest, (one) => {
      one.proof.proofs[0]!.non_revoc_proof = second.non_revoc_proof!;
      const list = one.proof.aggregated_proof.c_list;
      list.splice(0, 7, ...list.slice(8, 15));
    });
    assert.deepEqual(await reasons(request, moved), ['proof-invalid']);
    const swapped = altered(honest, (one) => {
      one.proof.proofs[0]!.non_revoc_proof = second.non_revoc_proof!;
      one.proof.proofs[1]!.non_revoc_proof = first.non_revoc_proof!;
    });
    assert.deepEqual(await reasons(request, swapped), ['proof-unbound']);
    const asked = requestOf({ name: { name: 'name' } }, { non_revoked: NEWEST });
    const alone = await shown(asked, good, { state: states.good });
    const changes: Record<string, [string, (proof: NonNullable<Presentation['proof']['proofs'][number]['non_revoc_proof']>) => unknown]> = {
      'another commitment': ['proof-unbound', ({ c_list: list }) => Object.assign(list, { e: list.d })],
      'a number that is more than its text says': [
        'proof-unbound',
        ({ c_list: list }) => Object.assign(list, { e: list.e!.replace(/^[0-9]+ /, '0 ') }),
      ],
      'no point': ['proof-unbound', ({ c_list: list }) => Object.assign(list, { e: '1 00 1 01 1 00' })],
      'a point of the other group': ['proof-unbound', ({ c_list: list }) => Object.assign(list, { e: list.w })],
      'a response': ['proof-invalid', ({ x_list: list }) => Object.assign(list, { rho: '01' })],
      'a response more': ['proof-unbound', ({ x_list: list }) => Object.assign(list, { x: '01' })],
      'a response less': ['malformed', ({ x_list: list }) => Reflect.deleteProperty(list, 'rho')],
      'another member': ['proof-unbound', (proof) => Object.assign(proof, { y_list: {} })],
      'no numbers': ['malformed', ({ c_list: list }) => Object.assign(list, { e: 'one two three' })],
    };
    for (const [what, [reason, change]] of Object.entries(changes)) {
      const one = altered(alone, ({ proof }) => change(proof.proofs[0]!.non_revoc_proof!));
      assert.deepEqual(await reasons(asked, one), [reason], what);
    }
  });

  test('[A21] a credential that cannot be revoked needs no proof, beside one that does', async () => {
    const permanent = await fixture.issue(linkSecret, 'permanent', {});
    const request = requestOf({ one: { name: 'name' }, two: { name: 'age' } }, { non_revoked: NEWEST });
    const presentation = await fixture.present(
      request,
      [
        { credential: permanent, attributes: [{ referent: 'one', reveal: true }], predicates: [] },
        { credential: good, attributes: [{ referent: 'two', reveal: true }], predicates: [], state: states.good, timestamp: 3000 },
      ],
      linkSecret,
    );
    assert.deepEqual(await reasons(request, presentation), []);
    const named = altered(presentation, (one) => Object.assign(one.identifiers[0]!, { rev_reg_id: registryId, timestamp: 3000 }));
    assert.deepEqual(new Set(await reasons(request, named)), new Set(['identifier-mismatch']));
  });

  test('[A21-2] a list that is not there is none, and no exception', async () => {
    const request = requestOf({ name: { name: 'name' } }, { non_revoked: { from: 0, to: 9000 } });
    const honest = await shown(request, good, { state: states.good });
    assert.deepEqual(await reasons(request, honest, { statusLists: [] }), ['status-none']);
    const early = altered(honest, (one) => Object.assign(one.identifiers[0]!, { timestamp: 1 }));
    assert.deepEqual(await reasons(request, early), ['status-none']);
  });
});
