import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, suite, test } from 'node:test';
import { makeNewKeys } from '../../../test/support/new-keys.ts';
import { requestOf, revocationFixture, world } from '../../../test/support/revocation.ts';
import { TEST_MS } from '../../../test/support/waiting.ts';
import { toBase58 } from '../../didcomm/encoding.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { checkPresentation } from '../../formats/anoncreds-checks.ts';
import type { Presentation, RevocationStatusList } from '../../ports/anoncreds.ts';
import { openAnonCreds } from './anoncreds.ts';

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const skip = libraryPath !== undefined && existsSync(libraryPath) ? false : 'LIB_ANONCREDS_PATH names no folder';
const code = (wanted: ErrorCode, words?: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === wanted && (words?.test(error.message) ?? true);

suite('revocation registries with the AnonCreds library', { skip }, () => {
  makeNewKeys();
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  const fixture = revocationFixture(engine);
  after(async () => {
    await engine.close();
    fixture.close();
  });
  const { credentialDefinition } = world.definitions.revocable;
  const { definition, private: key, id: registryId } = world.registries.first;
  const registry = { credentialDefinition, definition, private: key };
  const asked = { non_revoked: { from: 0, to: 10_000 } };
  /** Whether the credential of an index, with a witness by one list, is proven by another. */
  const proven = async (linkSecret: string, index: number, of: RevocationStatusList, by = of): Promise<boolean> => {
    const credential = await fixture.issue(linkSecret, 'revocable', { name: 'first', index, list: first });
    const request = requestOf({ name: { name: 'name' } }, asked);
    const state = await fixture.witness('first', of, index);
    const shown = { credential, attributes: [{ referent: 'name', reveal: true }], predicates: [], timestamp: of.timestamp!, state };
    const presentation = await fixture.present(request, [shown], linkSecret);
    return (await fixture.verify({ request, presentation, statusLists: [fixture.inForce('first', by, of.timestamp!)] })).verified;
  };
  let first: RevocationStatusList;
  let linkSecret: string;

  test('a definition with revocation, a registry of the smallest size and its tails', { timeout: TEST_MS }, async () => {
    const { issuerId, schemaId } = { issuerId: world.schema.issuerId, schemaId: world.schemaId };
    const made = await engine.createCredentialDefinition('issuer', {
      schemaId,
      schema: world.schema,
      issuerId,
      tag: 'x',
      supportRevocation: true,
    });
    assert.ok(made.credentialDefinition.value.revocation);
    const input = {
      credentialDefinition: made.credentialDefinition,
      credentialDefinitionId: 'did:x:y/CLAIM_DEF/z',
      issuerId,
      tag: 'a b/c',
    };
    const small = await engine.createRevocationRegistry('issuer', { ...input, maxCredNum: 4 });
    assert.equal(small.tails.length, 2 + 128 * 9);
    assert.equal(small.definition.value.maxCredNum, 4);
    assert.equal(small.definition.value.tailsLocation, '');
    assert.equal(small.definition.tag, 'a b/c');
    assert.equal(toBase58(createHash('sha256').update(small.tails).digest()), small.tailsHash);
    for (const maxCredNum of [0, 1, 3, 32_769, 4.5, '8'])
      await assert.rejects(engine.createRevocationRegistry('issuer', { ...input, maxCredNum: maxCredNum as number }), code('bad-request'));
  });

  test('a registry that takes too long is given up', async () => {
    const hasty = openAnonCreds({ libraryPath, checkPresentation, workers: 1, registryTimeoutMs: 1000 });
    const input = { credentialDefinition, credentialDefinitionId: world.definitions.revocable.id, issuerId: definition.issuerId, tag: 't' };
    await assert.rejects(hasty.createRevocationRegistry('issuer', { ...input, maxCredNum: 2000 }), code('anoncreds-busy'));
    // other work goes on meanwhile: it has a worker of its own
    assert.match(await hasty.createLinkSecret('holder'), /^[0-9]+$/);
    // its thread goes on to the end of the call and is ended then; the next registry has its turn after that
    await hasty.createRevocationRegistry('issuer', { ...input, maxCredNum: 4 }).catch(code('anoncreds-busy'));
    await hasty.close();
  });

  test('tails of another hash than their definition has are refused', async () => {
    const { tails } = world.registries.first;
    const worker = new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort } from 'node:worker_threads';
        parentPort.postMessage({ ready: true });
        parentPort.on('message', ({ id, input }) => {
          const tails = new Uint8Array(Buffer.from('${tails}', 'base64'));
          if (input.tag === 'damaged') tails[100] ^= 1;
          parentPort.postMessage({ id, value: { ...${JSON.stringify({ definition, private: key })}, tails } });
        });
      `)}`,
    );
    const other = openAnonCreds({ worker, checkPresentation, workers: 1 });
    const input = {
      credentialDefinition,
      credentialDefinitionId: world.definitions.revocable.id,
      issuerId: definition.issuerId,
      maxCredNum: 8,
    };
    assert.equal((await other.createRevocationRegistry('issuer', { ...input, tag: 'whole' })).tailsHash, definition.value.tailsHash);
    await assert.rejects(other.createRevocationRegistry('issuer', { ...input, tag: 'damaged' }), code('anoncreds-failed', /another hash/));
    await other.close();
  });

  test('indices are 1 to N-1: 0 and N are refused for issue, revocation and witness', async () => {
    [first] = (await fixture.lists('first', [[1000]])) as [RevocationStatusList];
    linkSecret = await engine.createLinkSecret('holder');
    assert.deepEqual(first.revocationList, [0, 0, 0, 0, 0, 0, 0, 0]);
    for (const index of [0, 8, 9, -1, 1.5]) {
      await assert.rejects(fixture.issue(linkSecret, 'revocable', { name: 'first', index, list: first }), code('bad-request'), `${index}`);
      await assert.rejects(
        engine.updateStatusList('issuer', { ...registry, list: first, revoked: [index] }),
        code('bad-request'),
        `${index}`,
      );
      await assert.rejects(
        engine.updateStatusList('issuer', { ...registry, list: first, issued: [index] }),
        code('bad-request'),
        `${index}`,
      );
      await assert.rejects(fixture.witness('first', first, index), code('bad-request'), `${index}`);
    }
    for (const index of [1, 7]) assert.equal(await proven(linkSecret, index, first), true);
    await assert.rejects(engine.updateStatusList('issuer', { ...registry, list: first, revoked: [3, 3] }), code('bad-request'));
    await assert.rejects(engine.updateStatusList('issuer', { ...registry, list: first, revoked: [3], issued: [3] }), code('bad-request'));
  });

  test('no credential is issued at a revoked index, of another registry, or with none', async () => {
    const list = await engine.updateStatusList('issuer', { ...registry, list: first, revoked: [3], timestamp: 1001 });
    await assert.rejects(fixture.issue(linkSecret, 'revocable', { name: 'first', index: 3, list }), code('bad-request', /revoked/));
    await assert.rejects(
      fixture.issue(linkSecret, 'revocable', { name: 'second', index: 3, list }),
      code('bad-request', /another registry/),
    );
    await assert.rejects(fixture.issue(linkSecret, 'revocable', {}), code('bad-request', /A registry is needed/));
    await assert.rejects(
      fixture.issue(linkSecret, 'permanent', { name: 'first', index: 3, list: first }),
      code('bad-request', /A registry is needed/),
    );
  });

  test('lists of the same bits are one another, whatever their accumulators are written like', async () => {
    const step = (list: RevocationStatusList, revoked: number[], issued: number[] = []) =>
      engine.updateStatusList('issuer', { ...registry, list, revoked, issued, timestamp: 1001 });
    const [a, b, c] = [await step(await step(first, [3]), [5]), await step(await step(first, [5]), [3]), await step(first, [3, 5])];
    const undone = await step(await step(c, [7]), [], [7]);
    const all = [a, b, c, undone];
    assert.equal(new Set(all.map(({ currentAccumulator }) => currentAccumulator)).size, 4);
    assert.deepEqual(new Set(all.map(({ revocationList }) => revocationList.join(''))), new Set(['00010100']));
    for (const by of all) assert.equal(await proven(linkSecret, 1, a, by), true);
    assert.equal(await proven(linkSecret, 3, a), false);
    assert.equal(await proven(linkSecret, 7, undone), true);
  });

  test('two credentials at one index are both false when it is revoked', async () => {
    const list = await engine.updateStatusList('issuer', { ...registry, list: first, revoked: [2], timestamp: 1001 });
    assert.equal(await proven(linkSecret, 2, first), true);
    for (const _ of [1, 2]) assert.equal(await proven(linkSecret, 2, list), false);
  });

  test('an accumulator stays one after hundreds of changes', async () => {
    let list = first;
    for (let round = 0; round < 150; round++) {
      list = await engine.updateStatusList('issuer', { ...registry, list, revoked: [3, 5], timestamp: 1001 });
      list = await engine.updateStatusList('issuer', { ...registry, list, issued: [5, 3], timestamp: 1002 });
    }
    list = await engine.updateStatusList('issuer', { ...registry, list, revoked: [3], timestamp: 1003 });
    assert.equal(await proven(linkSecret, 1, list), true);
    assert.equal(await proven(linkSecret, 3, list), false);
  });

  test('a list whose bits are not those of its accumulator: the accumulator decides', async () => {
    const list = await engine.updateStatusList('issuer', { ...registry, list: first, revoked: [2], timestamp: 1001 });
    const lying = { ...list, revocationList: first.revocationList };
    assert.equal(await proven(linkSecret, 1, list, lying), true);
    assert.equal(await proven(linkSecret, 1, lying, list), false);
  });

  test('a witness is brought up to date by the former one, forwards and back', async () => {
    const later = await engine.updateStatusList('issuer', { ...registry, list: first, revoked: [2, 4], timestamp: 1001 });
    const again = await engine.updateStatusList('issuer', { ...registry, list: later, revoked: [], issued: [4], timestamp: 1002 });
    const tails = fixture.tails('first');
    let former = { state: await fixture.witness('first', first, 1), list: first };
    const credential = await fixture.issue(linkSecret, 'revocable', { name: 'first', index: 1, list: first });
    for (const list of [later, again, later]) {
      const state = await engine.createRevocationState('holder', { definition, list, index: 1, tails, former });
      former = { state, list };
      const request = requestOf({ name: { name: 'name' } }, asked);
      const shown = { credential, attributes: [{ referent: 'name', reveal: true }], predicates: [], timestamp: list.timestamp!, state };
      const presentation = await fixture.present(request, [shown], linkSecret);
      const { verified } = await fixture.verify({ request, presentation, statusLists: [fixture.inForce('first', list)] });
      assert.equal(verified, true, `${list.timestamp}`);
    }
  });

  test('tails of other bytes make a witness that proves nothing: the hash is the caller’s to check', async () => {
    const path = fixture.tails('first');
    const bytes = readFileSync(path);
    // the tail of an index that is revoked is what the witness is made of
    const list = await engine.updateStatusList('issuer', { ...registry, list: first, revoked: [2], timestamp: 1001 });
    writeFileSync(
      path,
      bytes.map((byte, at) => (at > 2 && at % 128 === 60 ? byte ^ 1 : byte)),
    );
    const credential = await fixture.issue(linkSecret, 'revocable', { name: 'first', index: 1, list: first });
    const state = await engine
      .createRevocationState('holder', { definition, list, index: 1, tails: path })
      .catch((error: unknown) => error);
    if (!(state instanceof AppError)) {
      const request = requestOf({ name: { name: 'name' } }, asked);
      const shown = {
        credential,
        attributes: [{ referent: 'name', reveal: true }],
        predicates: [],
        timestamp: 1001,
        state: state as never,
      };
      const presentation = await fixture.present(request, [shown], linkSecret);
      assert.equal((await fixture.verify({ request, presentation, statusLists: [fixture.inForce('first', list)] })).verified, false);
    }
    await assert.rejects(
      engine.createRevocationState('holder', { definition, list, index: 1, tails: `${path}-none` }),
      code('anoncreds-failed'),
    );
  });

  test('a credential of a registry is stored with its definition, and no other is', async () => {
    const { id, keyCorrectnessProof, private: issuer } = world.definitions.revocable;
    const offer = await engine.createOffer('issuer', { schemaId: world.schemaId, credentialDefinitionId: id, keyCorrectnessProof });
    const common = { credentialDefinition, linkSecret };
    const { request, metadata } = await engine.createRequest('holder', { ...common, offer, linkSecretId: 'main', entropy: 'x' });
    const values = { name: { raw: 'A', encoded: '1' }, age: { raw: '2', encoded: '2' } };
    const revocation = { definition, definitionId: registryId, private: key, list: first, index: 5 };
    const credential = await engine.createCredential('issuer', {
      credentialDefinition,
      private: issuer,
      offer,
      request,
      values,
      revocation,
    });
    const input = { ...common, credential, metadata };
    await assert.rejects(engine.processCredential('holder', input), code('bad-request', /index/));
    const bare = structuredClone(credential) as unknown as { rev_reg_id?: unknown; signature: { r_credential?: { i: number } } };
    bare.rev_reg_id = null;
    await assert.rejects(engine.processCredential('holder', { ...input, credential: bare as never }), code('bad-request', /index/));
    const outside = structuredClone(credential) as unknown as typeof bare;
    outside.signature.r_credential!.i = 8;
    const revocationRegistryDefinition = definition;
    await assert.rejects(
      engine.processCredential('holder', { ...input, revocationRegistryDefinition, credential: outside as never }),
      code('bad-request', /index/),
    );
    const stored = await engine.processCredential('holder', { ...input, revocationRegistryDefinition });
    assert.equal(stored.rev_reg_id, registryId);
  });

  test('a presentation without a proof of non-revocation needs neither list nor witness', async () => {
    const credential = await fixture.issue(linkSecret, 'revocable', { name: 'first', index: 6, list: first });
    const request = requestOf({ name: { name: 'name' } }, { predicates: { adult: { name: 'age', p_type: '>=', p_value: 18 } } });
    const shown = { credential, attributes: [{ referent: 'name', reveal: true }], predicates: ['adult'] };
    const presentation: Presentation = await fixture.present(request, [shown], linkSecret);
    assert.deepEqual(await fixture.verify({ request, presentation }), { verified: true, refusals: [] });
    const strange = { ...definition, value: { ...definition.value, maxCredNum: 2 } };
    const revocationRegistryDefinitions = { [registryId]: strange };
    assert.equal((await fixture.verify({ request, presentation, revocationRegistryDefinitions })).refusals[0]?.reason, 'object-missing');
    await assert.rejects(fixture.present(request, [{ ...shown, timestamp: 5 }], linkSecret), code('bad-request', /both time and witness/));
  });
});
