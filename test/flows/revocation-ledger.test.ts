import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { checkPresentation } from '../../src/formats/anoncreds-checks.ts';
import { anoncredsPresentation } from '../../src/formats/anoncreds-presentation.ts';
import { listOf, statusOf } from '../../src/formats/status-list.ts';
import type { WorkContext } from '../../src/kernel/work.ts';
import type { Credential, Presentation, PresentationRequest } from '../../src/ports/anoncreds.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import type { Ledger, LedgerWrite } from '../../src/ports/ledger.ts';
import { algorandLedger, configOf, type Devnet, type Issuer, perform, published, startDevnet } from '../support/ledger.ts';
import { requestOf, revocationFixture, type World, worldOf } from '../support/revocation.ts';

/** Credentials that can be revoked, with the library and the lists of a ledger: what a proof is made by and verified with has been written to it and read from it. */

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const skip = libraryPath !== undefined && existsSync(libraryPath) ? false : 'LIB_ANONCREDS_PATH names no folder';

suite('AnonCreds revocation with the lists of a ledger', { skip }, () => {
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  let devnet: Devnet;
  let ledger: Ledger;
  let issuer: Issuer;
  let own: World;
  let fixture: ReturnType<typeof revocationFixture>;
  let linkSecret: string;
  let wallet: Record<string, Credential>;
  after(async () => {
    await engine.close();
    fixture?.close();
    await devnet?.close();
  });

  const write = async (one: LedgerWrite): Promise<void> => assert.equal((await perform(ledger, one, issuer)).state, 'confirmed');
  const registry = () => ({ definition: own.registries.first.definition, definitionId: own.registries.first.id });

  before(async () => {
    devnet = await startDevnet();
    ledger = algorandLedger(configOf(devnet));
    const made = await published(ledger);
    issuer = made.issuer;
    own = worldOf(made.did, (type, object) => ledger.idOf(made.did, type, object));
    fixture = revocationFixture(engine, own);
    const put = (type: 'SCHEMA' | 'CLAIM_DEF', id: string, object: object) =>
      write({ kind: 'object-put', id, did: made.did, type, object: object as Record<string, unknown> });
    await put('SCHEMA', own.schemaId, own.schema);
    await put('CLAIM_DEF', own.definitions.revocable.id, own.definitions.revocable.credentialDefinition);
    const [list] = await fixture.lists('first', [[1]]);
    const { id, definition } = own.registries.first;
    await write({ kind: 'registry-put', id, did: made.did, object: definition as never, status: statusOf(list!) });
    linkSecret = await engine.createLinkSecret('holder');
    const issued = (index: number) => fixture.issue(linkSecret, 'revocable', { name: 'first', index, list: list! });
    wallet = { good: await issued(1), revoked: await issued(2), other: await issued(7) };
  });

  /** Publishes changes on what the ledger has. @returns the time of the record */
  const publish = async (revoked: number[], issued: number[] = []): Promise<number> => {
    const { id, definition, private: key } = own.registries.first;
    const head = await ledger.statusAt(id, undefined, { fresh: true });
    const list = listOf(head.status, registry(), head.time);
    const { credentialDefinition } = own.definitions.revocable;
    const next = await engine.updateStatusList('issuer', { credentialDefinition, definition, private: key, list, revoked, issued });
    await write({ kind: 'status-append', id, did: definition.issuerId, expected: head.entries, status: statusOf(next) });
    return (await ledger.statusAt(id, undefined, { fresh: true })).time;
  };

  const context = (held: string[]): WorkContext =>
    ({
      tenant: 'holder',
      anoncreds: engine,
      store: {
        find: async () => ({
          rows: held.map((id) => {
            const subject = { schemaId: own.schemaId, credentialDefinitionId: own.definitions.revocable.id, issuerId: own.schema.issuerId };
            return { category: 'credential', id, version: 1, value: { credential: wallet[id], subject } };
          }),
        }),
        key: async () => ({ secret: Buffer.from(linkSecret) }),
      },
      ledger: () => ledger,
      tails: async () => fixture.tails('first'),
    }) as unknown as WorkContext;

  /** Whether a credential is proven for an interval, and the time that was shown. */
  const proven = async (id: string, interval: object): Promise<[verified: boolean, time: number | null | undefined]> => {
    const request = requestOf(
      { name: { name: 'name', restrictions: [{ cred_def_id: own.definitions.revocable.id }] } },
      { predicates: { adult: { name: 'age', p_type: '>=', p_value: 18 } }, non_revoked: interval },
    ) satisfies PresentationRequest as unknown as JsonObject;
    const made = await anoncredsPresentation.present(context([id]), { request, choice: null });
    assert.ok('value' in made);
    const { verified } = await anoncredsPresentation.verify(context([]), { request, presentation: made.value });
    return [verified, (made.value as unknown as Presentation).identifiers[0]!.timestamp];
  };

  test('a credential is true until the record that revokes it, and false from then on', async () => {
    const { time: first } = await ledger.statusAt(own.registries.first.id);
    for (const id of ['good', 'revoked']) assert.deepEqual(await proven(id, { to: first }), [true, first]);
    const revokedAt = await publish([2]);
    assert.ok(revokedAt > first);
    assert.deepEqual(await proven('good', { from: revokedAt, to: revokedAt }), [true, revokedAt]);
    assert.deepEqual(await proven('revoked', { from: revokedAt, to: revokedAt }), [false, revokedAt]);
    assert.deepEqual(await proven('revoked', { from: first, to: revokedAt - 1 }), [true, first]);
    // now, by whatever clock
    for (const now of [Math.floor(Date.now() / 1000), revokedAt + 1]) {
      assert.deepEqual(await proven('good', { from: now, to: now }), [true, revokedAt]);
      assert.deepEqual(await proven('revoked', { from: now, to: now }), [false, revokedAt]);
    }
    await assert.rejects(proven('good', { to: first - 1 }), { code: 'bad-request' });
  });

  test('proofs go by every record of a log of many', async () => {
    const times: number[] = [];
    for (let round = 0; round < 12; round++) times.push(await publish(round % 2 === 0 ? [3, 5, 7] : [4], round % 2 === 0 ? [] : [3, 7, 5]));
    for (const [round, time] of times.entries()) {
      const revoked = round % 2 === 0;
      assert.deepEqual(await proven('good', { from: time, to: time }), [true, time], `${round}`);
      assert.deepEqual(await proven('other', { from: time, to: time }), [!revoked, time], `${round}`);
    }
  });
});
