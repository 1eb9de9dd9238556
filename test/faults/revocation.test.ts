import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, beforeEach, suite, test } from 'node:test';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { AppError, type ErrorCode } from '../../src/errors.ts';
import { checkPresentation } from '../../src/formats/anoncreds-checks.ts';
import { anoncredsIssuance } from '../../src/formats/anoncreds-issuance.ts';
import { anoncredsPresentation } from '../../src/formats/anoncreds-presentation.ts';
import { statusOf } from '../../src/formats/status-list.ts';
import type { WorkContext } from '../../src/kernel/work.ts';
import type { Credential, Presentation, PresentationRequest, RevocationStatusList } from '../../src/ports/anoncreds.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import type { StatusEntry } from '../../src/ports/ledger.ts';
import type { StoredRecord } from '../../src/ports/store.ts';
import { requestOf, revocationFixture, world } from '../support/revocation.ts';

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const skip = libraryPath !== undefined && existsSync(libraryPath) ? false : 'LIB_ANONCREDS_PATH names no folder';
const code = (wanted: ErrorCode, words?: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === wanted && (words?.test(error.message) ?? true);
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

suite('AnonCreds formats with revocation', { skip }, () => {
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  const fixture = revocationFixture(engine);
  after(async () => {
    await engine.close();
    fixture.close();
  });

  const { first } = world.registries;
  let linkSecret: string;
  /** Nothing is revoked at 1000; index 2 at 2000; index 3 too at 3000. */
  let history: RevocationStatusList[];
  let credentials: Record<'good' | 'second' | 'revoked' | 'permanent', Credential>;
  before(async () => {
    linkSecret = await engine.createLinkSecret('holder');
    history = await fixture.lists('first', [[1000], [2000, 2], [3000, 3]]);
    const at = (index: number) => fixture.issue(linkSecret, 'revocable', { name: 'first', index, list: history[0]! });
    credentials = {
      good: await at(1),
      second: await at(4),
      revoked: await at(2),
      permanent: await fixture.issue(linkSecret, 'permanent', {}),
    };
  });

  /** What the ledger and the tails service answer, with what they were asked. */
  const asked: { status: [time?: number, fresh?: boolean][]; tails: number } = { status: [], tails: 0 };
  let wallet: (keyof typeof credentials)[];
  let faults: { status?: (time?: number, fresh?: boolean) => StatusEntry | AppError | undefined; tails?: AppError };
  beforeEach(() => {
    wallet = ['good', 'revoked', 'permanent'];
    faults = {};
    asked.status = [];
    asked.tails = 0;
  });
  const entry = (at: number): StatusEntry => {
    const next = history[at + 1]?.timestamp;
    const { timestamp } = history[at]!;
    return { status: statusOf(history[at]!), time: timestamp!, round: at, entries: history.length, settled: true, ...(next && { next }) };
  };
  const row = (name: keyof typeof credentials): StoredRecord => {
    const credential = credentials[name];
    const subject = {
      schemaId: world.schemaId,
      schemaName: 'badge',
      schemaVersion: '1.0',
      schemaIssuerId: world.schema.issuerId,
      credentialDefinitionId: credential.cred_def_id,
      issuerId: world.schema.issuerId,
    };
    return { category: 'credential', id: name, version: 1, value: { credential, subject } } as unknown as StoredRecord;
  };
  const objects: Record<string, object> = {
    [world.schemaId]: world.schema,
    ...Object.fromEntries(Object.values(world.definitions).map((one) => [one.id, one.credentialDefinition])),
    ...Object.fromEntries(Object.values(world.registries).map((one) => [one.id, { ...one.definition }])),
  };
  let tenants = 0;
  /** A context of a wallet that has made no witness yet. */
  const context = (more: Partial<WorkContext> = {}): WorkContext =>
    ({
      tenant: `holder-${++tenants}`,
      anoncreds: engine,
      store: {
        find: async (_tenant: string, category: string) => ({ rows: category === 'credential' ? wallet.map(row) : [] }),
        load: async (_tenant: string, lookups: { id: string }[]) => lookups.map(({ id }) => wallet.filter((name) => name === id).map(row)),
        key: async () => ({ secret: Buffer.from(linkSecret) }),
      },
      ledger: () => ({
        read: async (id: string) => objects[id] ?? Promise.reject(new AppError('object-not-found', id)),
        async statusAt(id: string, time?: number, options: { fresh?: boolean } = {}) {
          assert.equal(id, first.id);
          asked.status.push([time, options.fresh]);
          const fault = faults.status?.(time, options.fresh);
          if (fault instanceof AppError) throw fault;
          const at = history.findLastIndex(({ timestamp }) => timestamp! <= (time ?? 9999));
          if (!fault && at < 0) throw new AppError('status-none');
          return fault ?? entry(at);
        },
      }),
      async tails() {
        asked.tails++;
        if (faults.tails) throw faults.tails;
        return fixture.tails('first');
      },
      ...more,
    }) as unknown as WorkContext;

  const present = async (ctx: WorkContext, request: PresentationRequest, choice?: JsonObject): Promise<Presentation> => {
    const made = await anoncredsPresentation.present(ctx, { request: request as unknown as JsonObject, choice: choice ?? null });
    assert.ok('value' in made, JSON.stringify(made));
    return made.value as unknown as Presentation;
  };
  const verify = (ctx: WorkContext, request: PresentationRequest, presentation: Presentation) =>
    anoncredsPresentation.verify(ctx, { request: request as unknown as JsonObject, presentation: presentation as unknown as JsonObject });
  /** By the wallet's own choice of these credentials. @returns the times that are shown, and whether it is verified */
  const shown = async (request: PresentationRequest, names: typeof wallet = ['good']) => {
    wallet = names;
    const ctx = context();
    const presentation = await present(ctx, request);
    const { verified, reasons } = await verify(ctx, request, presentation);
    return { verified, reasons, times: presentation.identifiers.map(({ timestamp }) => timestamp ?? null) };
  };
  const name = (non_revoked?: unknown) => ({ name: 'name', ...(non_revoked !== undefined && { non_revoked }) });

  test('the time that is shown is that of the list in force at the end of the interval, or now', async () => {
    for (const [interval, times, verified] of [
      [{ from: 3500, to: 3500 }, [3000], true],
      [{ to: 2500 }, [2000], true],
      [{ from: 2500 }, [3000], true],
      [{ from: 0, to: 99_999 }, [3000], true],
      [{ to: 1000 }, [1000], true],
    ] as const) {
      const one = await shown(requestOf({ a: name() }, { non_revoked: interval }));
      assert.deepEqual([one.times, one.verified], [times, verified], JSON.stringify(interval));
    }
  });

  test('a revoked credential is false from then on, and was true before; one that cannot be revoked needs no proof', async () => {
    for (const [interval, times, verified] of [
      [{ to: 1999 }, [1000], true],
      [{ to: 2000 }, [2000], false],
      [{ from: 3000, to: 3000 }, [3000], false],
    ] as const) {
      const one = await shown(requestOf({ a: name() }, { non_revoked: interval }), ['revoked']);
      assert.deepEqual([one.times, one.verified], [times, verified], JSON.stringify(interval));
      assert.deepEqual(one.reasons.includes('proof-invalid'), !verified);
    }
    const permanent = await shown(requestOf({ a: name() }, { non_revoked: { to: 2000 } }), ['permanent']);
    assert.deepEqual(permanent, { verified: true, reasons: ['RMV_GLB_NRI'], times: [null] });
    const without = await shown(requestOf({ a: name() }), ['revoked']);
    assert.deepEqual([without.times, without.verified], [[null], true]);
  });

  test('null and {} are no interval, and are not sent', async () => {
    for (const none of [null, {}]) {
      const one = await shown(requestOf({ a: name(none) }, { non_revoked: none }), ['revoked']);
      assert.deepEqual([one.times, one.verified], [[null], true]);
      const sent = anoncredsPresentation.request({ ...requestOf({ a: name(none) }), non_revoked: none } as never, 'bad-request', () => '1');
      assert.equal(JSON.stringify(sent).includes('non_revoked'), false);
    }
  });

  test('a referent’s own interval is in the place of the request’s; one sub-proof for each time of a credential, and one without', async () => {
    const request = requestOf(
      { a: name({ from: 1500, to: 1500 }), b: { name: 'age' }, c: { names: ['name', 'age'], non_revoked: { to: 3500 } } },
      { non_revoked: { to: 2500 } },
    );
    assert.deepEqual(await shown(request), {
      verified: true,
      reasons: ['TS_OUT_NRI::a'],
      times: [1000, 2000, 3000],
    });
    const some = requestOf({ a: name({ to: 3500 }), b: { name: 'age' } });
    assert.deepEqual(await shown(some), { verified: true, reasons: [], times: [3000, null] });
    const predicate = requestOf(
      { a: name({ to: 3500 }) },
      {
        predicates: {
          p: { name: 'age', p_type: '>=', p_value: 18, non_revoked: { to: 3500 } },
          q: { name: 'age', p_type: '<', p_value: 99 },
        },
      },
    );
    assert.deepEqual(await shown(predicate), { verified: true, reasons: [], times: [3000, null] });
  });

  test('an attribute that is not revealed proves non-revocation too', async () => {
    wallet = ['good', 'revoked'];
    for (const [cred_id, verified] of [
      ['good', true],
      ['revoked', false],
    ] as const) {
      const request = requestOf({ a: name({ to: 3500 }) });
      const choice = { requested_attributes: { a: { cred_id, revealed: false } }, requested_predicates: {}, self_attested_attributes: {} };
      const presentation = await present(context(), request, choice);
      assert.equal((await verify(context(), request, presentation)).verified, verified);
    }
  });

  test('the wallet chooses a credential that is not revoked, and a revoked one where there is no other', async () => {
    const request = requestOf({ a: name() }, { non_revoked: { to: 3500 } });
    // the newest is chosen first
    assert.equal((await shown(request, ['good', 'revoked'])).verified, true);
    assert.equal((await shown(request, ['revoked', 'good'])).verified, true);
    assert.equal((await shown(request, ['revoked', 'revoked'])).verified, false);
    const before = requestOf({ a: name() }, { non_revoked: { to: 1500 } });
    wallet = ['good', 'revoked'];
    assert.equal((await present(context(), before)).identifiers[0]!.timestamp, 1000);
    // a referent without an interval does not care
    wallet = ['good', 'revoked'];
    const presentation = await present(context(), requestOf({ a: name() }));
    assert.deepEqual(asked.status.length > 0 && presentation.identifiers.length, 1);
  });

  test('a time that the controller chose is shown', async () => {
    wallet = ['good'];
    const request = requestOf({ a: name() }, { non_revoked: { from: 1000, to: 3500 } });
    for (const timestamp of [1000, 2500, 3500]) {
      const choice = {
        requested_attributes: { a: { cred_id: 'good', timestamp } },
        requested_predicates: {},
        self_attested_attributes: {},
      };
      const presentation = await present(context(), request, choice);
      assert.equal(presentation.identifiers[0]!.timestamp, timestamp);
      assert.equal((await verify(context(), request, presentation)).verified, true, `${timestamp}`);
    }
  });

  test('[P13] a time before the first list is no exception: the holder has nothing to show, the verifier says so', async () => {
    wallet = ['good'];
    const request = requestOf({ a: name() }, { non_revoked: { to: 999 } });
    await assert.rejects(present(context(), request), code('bad-request', /no state at 999/));
    const wide = requestOf({ a: name() }, { non_revoked: { to: 3500 } });
    const presentation = await present(context(), wide);
    presentation.identifiers[0]!.timestamp = 999;
    const { verified, reasons } = await verify(context(), wide, presentation);
    assert.equal(verified, false);
    assert.match(reasons.at(-1)!, /^status-none: a: /);
    faults.status = () => new AppError('status-pruned', 'dropped');
    assert.match((await verify(context(), wide, presentation)).reasons.at(-1)!, /^status-pruned: a: dropped/);
    await assert.rejects(present(context(), requestOf({ a: name({ from: 3000, to: 2000 }) })), code('bad-request', /no interval/));
  });

  test('an id of the prover that the ledger does not have is not verified; a ledger that does not answer is no answer', async () => {
    wallet = ['good'];
    const request = requestOf({ a: name() }, { non_revoked: { to: 3500 } });
    const presentation = await present(context(), request);
    const renamed = structuredClone(presentation);
    renamed.identifiers[0]!.rev_reg_id = 'did:example:none';
    assert.match((await verify(context(), request, renamed)).reasons.at(-1)!, /^object-missing/);
    const foreign = structuredClone(presentation);
    foreign.identifiers[0]!.rev_reg_id = world.definitions.revocable.id;
    assert.match((await verify(context(), request, foreign)).reasons.at(-1)!, /^object-missing: a: .* is no definition/);
    for (const odd of [{ timestamp: 'now' }, { timestamp: -1 }, { timestamp: 1.5 }, { rev_reg_id: 7 }]) {
      const altered = structuredClone(presentation);
      Object.assign(altered.identifiers[0]!, odd);
      assert.match((await verify(context(), request, altered)).reasons.at(-1)!, /^malformed/, JSON.stringify(odd));
    }
    faults.status = () => new AppError('object-invalid', 'the box is damaged');
    assert.match((await verify(context(), request, presentation)).reasons.at(-1)!, /^object-missing: a: the box is damaged/);
    for (const down of ['ledger-unavailable', 'ledger-wrong-network'] as const) {
      faults.status = () => new AppError(down);
      await assert.rejects(verify(context(), request, presentation), code(down));
      await assert.rejects(present(context(), request), code(down));
    }
  });

  test('a list of this moment is read again where the proof does not fit it', async () => {
    wallet = ['good'];
    const request = requestOf({ a: name() }, { non_revoked: { to: 3500 } });
    const presentation = await present(context(), request);
    faults.status = (_time, fresh) => (fresh ? undefined : { ...entry(0), settled: false });
    asked.status = [];
    assert.equal((await verify(context(), request, presentation)).verified, true);
    assert.deepEqual(asked.status, [
      [3000, false],
      [3000, true],
    ]);
    // what is settled is not
    faults.status = (_time, fresh) => (fresh ? undefined : entry(0));
    asked.status = [];
    assert.equal((await verify(context(), request, presentation)).verified, false);
    assert.deepEqual(asked.status, [[3000, false]]);
  });

  test('[P11] one witness for many referents, kept for the next presentation and brought up to date', async () => {
    wallet = ['good'];
    const many = (to: number) =>
      requestOf(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`r${i}`, name()])), { non_revoked: { to } });
    const ctx = context();
    await present(ctx, many(2500));
    assert.equal(asked.tails, 1);
    await present(ctx, many(2500));
    assert.equal(asked.tails, 1);
    for (const to of [3500, 1500]) {
      const request = many(to);
      assert.equal((await verify(ctx, request, await present(ctx, request))).verified, true);
    }
    assert.equal(asked.tails, 3);
  });

  test('a request for more times than a presentation has sub-proofs is refused before a witness is made', async () => {
    wallet = ['good'];
    const each = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`r${i}`, name({ to: 3000 + i })]));
    const times = requestOf(each);
    faults.status = (time) => ({ ...entry(2), time: time! });
    await assert.rejects(present(context(), times), code('bad-request', /more than 100/));
    assert.equal(asked.tails, 0);
  });

  test('without tails nothing is presented: 400 with the reason, and the credential stays', async () => {
    wallet = ['good'];
    faults.tails = new AppError('tails-unavailable', 'the server gave another file');
    await assert.rejects(present(context(), requestOf({ a: name({ to: 3500 }) })), code('bad-request', /another file/));
    faults.tails = new AppError('store-unavailable');
    await assert.rejects(present(context(), requestOf({ a: name({ to: 3500 }) })), code('store-unavailable'));
  });

  test('issue takes an index, and says which; without an active registry it waits', async () => {
    const { id, credentialDefinition, keyCorrectnessProof, private: key } = world.definitions.revocable;
    const registry = {
      category: 'rev_reg',
      id: 'reg',
      version: 1,
      value: { rev_reg_id: first.id, cred_def_id: id, max_cred_num: 8, definition: first.definition },
    };
    let active: object[] = [registry];
    const store = {
      find: async () => ({ rows: active }),
      load: async () => [[registry]],
      key: async (_tenant: string, kid: string) => ({ secret: bytes({ private: kid.startsWith('rev-reg:') ? first.private : key }) }),
    };
    const issuer = (allocated?: number) => context({ store: store as never, ...(allocated !== undefined && { allocated }) });
    const offer = await engine.createOffer('issuer', { schemaId: world.schemaId, credentialDefinitionId: id, keyCorrectnessProof });
    const { request, metadata } = await engine.createRequest('holder', {
      offer,
      credentialDefinition,
      linkSecret,
      linkSecretId: 'default',
      entropy: 'x',
    });
    const input = { offer, request, values: { name: 'Alice', age: '25' } };
    const wanted = await anoncredsIssuance.issue(issuer(), input);
    assert.ok('allocate' in wanted);
    assert.equal(wanted.allocate.upTo, 7);
    const made = await anoncredsIssuance.issue(issuer(5), { ...input, ...wanted.input });
    assert.ok('value' in made);
    assert.deepEqual(made.revocable, { registry: 'reg', rev_reg_id: first.id, cred_def_id: id, index: 5, last: 7 });
    // of an index that the ledger has as revoked no credential would be true
    assert.deepEqual(await anoncredsIssuance.issue(issuer(2), { ...input, ...wanted.input }), wanted);
    active = [];
    await assert.rejects(anoncredsIssuance.issue(issuer(), input), code('registry-unready'));

    const taken = { offer, credential: made.value, secret: bytes(metadata) };
    faults.tails = new AppError('tails-unavailable');
    const stored = await anoncredsIssuance.store(context(), taken);
    assert.equal(asked.tails, 1);
    assert.deepEqual([stored.info.rev_reg_id, stored.info.cred_rev_id], [first.id, '5']);
    assert.deepEqual(stored.detail, { rev_reg_id: first.id, cred_rev_id: '5' });
    const renamed = { ...made.value, rev_reg_id: world.registries.foreign.id };
    await assert.rejects(
      anoncredsIssuance.store(context(), { ...taken, credential: renamed }),
      code('bad-request', /another credential definition/),
    );
  });
});
