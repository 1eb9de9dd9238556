import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import algosdk from 'algosdk';
import {
  admin,
  algorandLedger,
  between,
  configOf,
  credDefOf,
  type Devnet,
  devLedgerOnly,
  documentOf,
  newIssuer,
  objectWrite,
  perform,
  prepare,
  prepared,
  published,
  schemaOf,
  startDevnet,
} from '../../../test/support/ledger.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { packObject, unpackObject } from './codec.ts';
import { canonical, dataBox, dataIndex, oidOf, parseDid, parseObjectId, resourceBox } from './ids.ts';

const fails = (act: Promise<unknown>, code: ErrorCode, detail = /./): Promise<void> =>
  assert.rejects(act, (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, detail);
    return true;
  });

let devnet: Devnet;
let ledger: Ledger;
before(async () => {
  devnet = await startDevnet();
  ledger = algorandLedger(configOf(devnet));
});
after(() => devnet.close());

describe('identifiers', () => {
  const hex = 'ab'.repeat(32);

  test('are read in every spelling and written in one', () => {
    assert.equal(parseDid(`did:algo:app:7:${hex.toUpperCase()}`).did, `did:algo:mainnet:app:7:${hex}`);
    assert.equal(parseDid(`did:algo:custom:app:1001:${hex}`).appId, 1001n);
    for (const bad of [
      'did:algo:app:0:',
      'did:algo:devnet:app:1:',
      'did:algo:custom:app:01:',
      'did:algo:custom:asa:1:',
      'did:algo:custom:app:18446744073709551616:',
    ]) {
      assert.throws(() => parseDid(bad + hex), /not a did:algo/);
    }
    assert.throws(() => parseDid(`did:algo:custom:app:1:${hex}#key-1`), /not a did:algo/);
  });

  test('of objects are the hash of the canonical object, whatever its key order', () => {
    const did = `did:algo:custom:app:1001:${hex}`;
    const schema = { issuerId: did, name: 'n', version: '1', attrNames: ['a'] };
    const reversed = Object.fromEntries(Object.entries(schema).reverse());
    assert.equal(ledger.idOf(did, 'SCHEMA', schema), ledger.idOf(did.replace(hex, hex.toUpperCase()), 'SCHEMA', reversed));
    assert.match(ledger.idOf(did, 'SCHEMA', schema), /^did:algo:custom:app:1001:(ab){32}\/anoncreds\/v1\/SCHEMA\/[A-Za-z0-9_-]{32}$/);
    assert.throws(() => parseObjectId(`${did}/anoncreds/v1/SCHEMA/short`), /not the identifier/);
  });
});

describe('payloads', () => {
  const did = `did:algo:custom:app:1001:${'cd'.repeat(32)}`;
  const box = (head: Uint8Array, payload: Uint8Array): Uint8Array => Uint8Array.from([...head, ...new Uint8Array(16), ...payload]);

  test('leave out the parts that follow from the DID, and come back equal', () => {
    const object = credDefOf(did, `${did}/anoncreds/v1/SCHEMA/${'x'.repeat(32)}`);
    const [{ head, payload }] = packObject(did, 'CLAIM_DEF', object);
    assert.equal(head[0], 1);
    assert.equal(canonical(unpackObject(did, 'CLAIM_DEF', oidOf(object), box(head, payload))), canonical(object));
  });

  test('with a value that begins with a slash are kept whole', () => {
    const object = { issuerId: did, name: '/etc', version: '1', attrNames: ['a'] };
    const [{ head, payload }] = packObject(did, 'SCHEMA', object);
    assert.equal(head[0], 2);
    assert.deepEqual(unpackObject(did, 'SCHEMA', oidOf(object), box(head, payload)), object);
  });

  test('that inflate without end, are not JSON, or have another codec are refused', () => {
    const bomb = deflateRawSync(`{"name":"${' '.repeat(10_000_000)}"}`);
    assert.throws(() => unpackObject(did, 'SCHEMA', new Uint8Array(24), box(Uint8Array.of(1, 1), bomb)), /cannot be read/);
    for (const [head, payload] of [
      [Uint8Array.of(1, 1), deflateRawSync('[1]')],
      [Uint8Array.of(1, 1), Buffer.from('not deflate')],
      [Uint8Array.of(9, 1), deflateRawSync('{}')],
      [Uint8Array.of(1, 2), deflateRawSync('{}')],
    ] as const) {
      assert.throws(() => unpackObject(did, 'SCHEMA', new Uint8Array(24), box(head, payload)), /the ledger object/);
    }
    assert.equal(unpackObject(did, 'SCHEMA', new Uint8Array(24), new Uint8Array()), undefined);
  });
});

describe('DIDs', () => {
  test('are created, resolved, replaced and ended', async () => {
    const issuer = newIssuer();
    const did = ledger.didOf(issuer.publicKey);
    await fails(ledger.resolve(did), 'did-not-found');
    const document = documentOf(did);
    assert.equal((await perform(ledger, { kind: 'did-put', did, document }, issuer)).state, 'confirmed');
    const { document: found, metadata } = await ledger.resolve(did);
    assert.deepEqual(found, document);
    assert.equal(metadata.versionId, '1');
    assert.match(metadata.created as string, /^2026-01-01T00:0\d:\d\dZ$/);
    assert.equal(metadata.canonicalId, undefined);
    const shouted = did.slice(0, -64) + did.slice(-64).toUpperCase();
    assert.equal((await ledger.resolve(shouted)).metadata.canonicalId, did);
    for (const [version, extra] of [
      ['2', { alsoKnownAs: ['did:web:example.org'] }],
      ['3', { alsoKnownAs: [] }],
    ] as const) {
      await perform(ledger, { kind: 'did-put', did, document: documentOf(did, extra) }, issuer);
      const now = await ledger.resolve(did);
      assert.equal(now.metadata.versionId, version, 'a write of ours is seen at once');
      assert.deepEqual(now.document, documentOf(did, extra));
    }
    assert.deepEqual(
      await prepare(ledger, { kind: 'did-put', did, document: documentOf(did, { alsoKnownAs: [] }) }, 'again', issuer.sign),
      {
        state: 'done',
      },
    );
    assert.equal((await perform(ledger, { kind: 'did-deactivate', did }, issuer)).state, 'confirmed');
    assert.deepEqual(await ledger.resolve(did), { document: { id: did }, metadata: { versionId: '4', deactivated: true } });
    assert.deepEqual(await prepare(ledger, { kind: 'did-deactivate', did }, 'again', issuer.sign), { state: 'done' });
    await fails(prepare(ledger, { kind: 'did-put', did, document }, 'revive', issuer.sign), 'did-invalid', /deactivated/);
  });

  test('may have documents larger than a call, and shrink again', async () => {
    const { did, issuer } = await published(ledger);
    for (const length of [6_000, 18_000, 9_000, 10]) {
      const document = documentOf(did, { note: credDefOf(did, 'x').value, pad: 'p'.repeat(length) });
      assert.equal((await perform(ledger, { kind: 'did-put', did, document }, issuer)).state, 'confirmed');
      assert.deepEqual((await ledger.resolve(did)).document, document);
    }
    for (const length of [28_000, 10, 28_000]) {
      const document = { id: did, pad: 'p'.repeat(length) };
      await perform(ledger, { kind: 'did-put', did, document }, issuer);
      assert.deepEqual((await ledger.resolve(did)).document, document);
    }
    const huge = documentOf(did, { pad: 'p'.repeat(40_000) });
    await fails(prepare(ledger, { kind: 'did-put', did, document: huge }, 'huge', issuer.sign), 'too-large');
    assert.equal((await perform(ledger, { kind: 'did-deactivate', did }, issuer)).state, 'confirmed');
  });

  test('of other issuers do not get in the way of a prepared write', async () => {
    const issuers = Array.from({ length: 3 }, newIssuer);
    const signed = await Promise.all(
      issuers.map((issuer) => {
        const did = ledger.didOf(issuer.publicKey);
        return prepared(ledger, { kind: 'did-put', did, document: documentOf(did) }, issuer);
      }),
    );
    for (const one of signed) assert.equal((await ledger.send(one)).state, 'confirmed');
  });

  test('lose a race with a clear reason, and may be prepared anew', async () => {
    const { did, issuer } = await published(ledger);
    const mine = await prepared(ledger, { kind: 'did-put', did, document: documentOf(did, { a: 1 }) }, issuer);
    await perform(ledger, { kind: 'did-put', did, document: documentOf(did, { a: 2 }) }, issuer);
    const outcome = await ledger.send(mine);
    assert.deepEqual(outcome, { state: 'rejected', reason: outcome.state === 'rejected' ? outcome.reason : '', rebuild: true });
    assert.match(outcome.state === 'rejected' ? outcome.reason : '', /^(version-conflict|box-moved): /);
  });

  test('whose data box somebody has prepared take another salt, before the group is signed and after', {
    skip: devLedgerOnly,
  }, async () => {
    const issuer = newIssuer();
    const did = ledger.didOf(issuer.publicKey);
    const salts = [7n, 8n, 8n, 9n];
    const own = algorandLedger(configOf(devnet, { salt: () => salts.shift() as bigint }));
    const plant = (salt: bigint): Promise<void> => {
      const name = Buffer.from(dataBox(dataIndex(issuer.publicKey, 1n, salt))).toString('base64');
      return admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name, value: Buffer.from('{}').toString('base64') });
    };
    // What a fault plants locks the application's money, which nobody paid in.
    const address = algosdk.getApplicationAddress(devnet.appId).toString();
    await admin(devnet, 'POST', 'fund', { address, amount: 20_000 });
    await plant(7n);
    const write = { kind: 'did-put', did, document: documentOf(did) } as const;
    const early = await prepared(own, write, issuer);
    assert.deepEqual(salts, [8n, 9n]);
    await plant(8n);
    const outcome = await own.send(early);
    assert.deepEqual(outcome, { state: 'rejected', reason: 'box-taken: data box taken', rebuild: true });
    assert.equal((await perform(own, write, issuer)).state, 'confirmed');
    assert.deepEqual(salts, []);
    assert.deepEqual((await own.resolve(did)).document, write.document);
  });

  test('that are replaced while they are read are read again, also where the box of the old one is another DID’s by then', async () => {
    const { did, issuer } = await published(ledger);
    const name = await dataBoxOf(issuer.publicKey);
    const forged = Buffer.from(JSON.stringify(documentOf(did, { forged: true }))).toString('base64');
    const document = documentOf(did, { a: 2 });
    let boxes = 0;
    const node = await between(devnet, async (path) => {
      if (!path.includes('/box?') || ++boxes !== 2) return undefined;
      await perform(ledger, { kind: 'did-put', did, document }, issuer);
      await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name, value: forged });
      return undefined;
    });
    try {
      const reader = algorandLedger(configOf(devnet, { algodUrl: node.url, genesisHash: undefined }));
      assert.deepEqual((await reader.resolve(did)).document, document);
      assert.ok(boxes > 4, 'it was read twice');
    } finally {
      await node.close();
    }
    await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name, value: null });
  });

  test('carry their own id, or are refused at both ends', async () => {
    const issuer = newIssuer();
    const did = ledger.didOf(issuer.publicKey);
    await fails(
      prepare(ledger, { kind: 'did-put', did, document: documentOf('did:algo:custom:app:1:00') }, 'x', issuer.sign),
      'did-invalid',
    );
    await perform(ledger, { kind: 'did-put', did, document: documentOf(did) }, issuer);
    const other = documentOf(ledger.didOf(newIssuer().publicKey));
    const index = await dataBoxOf(issuer.publicKey);
    await admin(devnet, 'POST', 'corrupt', {
      app: devnet.appId,
      name: index,
      value: Buffer.from(JSON.stringify(other)).toString('base64'),
    });
    await fails(ledger.resolve(did), 'did-invalid', /has the id/);
    await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name: index, value: Buffer.from([0xff, 0xfe]).toString('base64') });
    await fails(ledger.resolve(did), 'did-invalid', /not JSON/);
    await admin(devnet, 'POST', 'corrupt', {
      app: devnet.appId,
      name: index,
      value: Buffer.from(JSON.stringify(documentOf(did))).toString('base64'),
    });
    assert.equal((await ledger.resolve(did)).document.id, did, 'a failed check is not cached');
    await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name: index, value: null });
    await fails(ledger.resolve(did, true), 'ledger-unavailable', /changed with every read/);
  });

  test('on another network are not asked for', async () => {
    await fails(ledger.resolve(`did:algo:app:1001:${'00'.repeat(32)}`), 'did-unsupported', /mainnet/);
    await fails(
      ledger.read(`did:algo:testnet:app:1001:${'00'.repeat(32)}/anoncreds/v1/SCHEMA/${'a'.repeat(32)}`, 'SCHEMA'),
      'did-unsupported',
    );
  });
});

const dataBoxOf = async (key: Uint8Array): Promise<string> => {
  const url = `${devnet.url}/v2/applications/${devnet.appId}/box?name=${encodeURIComponent(`b64:${Buffer.from(key).toString('base64')}`)}`;
  const box = (await (await fetch(url, { headers: { 'x-algo-api-token': devnet.token } })).json()) as { value: string };
  return Buffer.from(box.value, 'base64').subarray(0, 8).toString('base64');
};

describe('objects', () => {
  test('of every size are written once and read back equal', async () => {
    const { did, issuer } = await published(ledger);
    const schema = schemaOf(did);
    const schemaId = ledger.idOf(did, 'SCHEMA', schema);
    await fails(ledger.read(schemaId, 'SCHEMA'), 'object-not-found');
    const cases = [
      ['SCHEMA', schema, 2],
      ['CLAIM_DEF', credDefOf(did, schemaId), 4],
      ['CLAIM_DEF', credDefOf(did, schemaId, true), 5],
    ] as const;
    for (const [type, object, transactions] of cases) {
      const write = objectWrite(ledger, did, type, object);
      const signed = await prepared(ledger, write, issuer);
      assert.equal(signed.txids.length, transactions);
      assert.equal((await ledger.send(signed)).state, 'confirmed');
      assert.equal((await ledger.send(signed)).state, 'confirmed', 'sending it again is harmless');
      assert.deepEqual(await prepare(ledger, write, 'again', issuer.sign), { state: 'done' });
      const found = await ledger.read(ledger.idOf(did, type, object), type);
      assert.equal(canonical(found), canonical(object));
      assert.throws(() => Object.assign(found, { tag: 'x' }), TypeError);
    }
    assert.ok(Math.abs(canonical(cases[1][1]).length - 9_600) < 600, String(canonical(cases[1][1]).length));
    assert.ok(Math.abs(canonical(cases[2][1]).length - 12_700) < 600, String(canonical(cases[2][1]).length));
    await fails(ledger.read(schemaId, 'CLAIM_DEF'), 'object-invalid');
  });

  test('need their DID, their issuer and their own identifier', async () => {
    const { did, issuer } = await published(ledger);
    const other = newIssuer();
    const absent = ledger.didOf(other.publicKey);
    await fails(prepare(ledger, objectWrite(ledger, absent, 'SCHEMA', schemaOf(absent)), 'x', other.sign), 'did-not-found');
    await fails(prepare(ledger, objectWrite(ledger, did, 'SCHEMA', schemaOf(absent)), 'x', issuer.sign), 'object-invalid', /issuerId/);
    const write = objectWrite(ledger, did, 'SCHEMA', schemaOf(did));
    await fails(
      prepare(ledger, { ...write, id: `${did}/anoncreds/v1/SCHEMA/${'a'.repeat(32)}` } as typeof write, 'x', issuer.sign),
      'object-invalid',
      /hash/,
    );
    const forged = await prepare(ledger, write, 'x', async () => new Uint8Array(64).fill(1));
    assert.equal(forged.state, 'signed');
    const outcome = forged.state === 'signed' ? await ledger.send(forged.signed) : undefined;
    assert.equal(outcome?.state, 'rejected');
    assert.match(outcome?.state === 'rejected' ? outcome.reason : '', /^unauthorised/);
  });

  test('that a lying node changes are refused, and not remembered', async () => {
    const { did, issuer } = await published(ledger);
    const schema = schemaOf(did);
    const id = ledger.idOf(did, 'SCHEMA', schema);
    await perform(ledger, objectWrite(ledger, did, 'SCHEMA', schema), issuer);
    const name = Buffer.from(resourceBox(issuer.publicKey, oidOf(schema))).toString('base64');
    const set = (object: Record<string, unknown>, first?: number): Promise<void> => {
      const [{ head, payload }] = packObject(String(object.issuerId), 'SCHEMA', object);
      const value = Buffer.from([first ?? (head[0] as number), head[1] as number, ...new Uint8Array(16), ...payload]).toString('base64');
      return admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name, value });
    };
    await set({ ...schema, version: '2.0' });
    await fails(ledger.read(id, 'SCHEMA'), 'object-invalid', /does not hash/);
    await set(schema, 0x81);
    await fails(ledger.read(id, 'SCHEMA'), 'object-not-found');
    const fresh = algorandLedger(configOf(devnet));
    await fails(fresh.read(id, 'SCHEMA'), 'object-not-found');
    await set(schema);
    await fails(fresh.read(id, 'SCHEMA'), 'object-not-found');
    assert.equal(canonical(await algorandLedger(configOf(devnet)).read(id, 'SCHEMA')), canonical(schema));
  });

  test('of another issuer are refused even where the hash is right', async () => {
    const { did, issuer } = await published(ledger);
    const foreign = schemaOf(ledger.didOf(newIssuer().publicKey));
    const oid = oidOf(foreign);
    const name = Buffer.from(resourceBox(issuer.publicKey, oid)).toString('base64');
    const value = Buffer.from([2, 1, ...new Uint8Array(16), ...deflateRawSync(canonical(foreign))]).toString('base64');
    await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name, value });
    await fails(
      ledger.read(`${did}/anoncreds/v1/SCHEMA/${Buffer.from(oid).toString('base64url')}`, 'SCHEMA'),
      'object-invalid',
      /another issuer/,
    );
  });

  test('of 125 attributes take several groups, are there when the last has landed, and go on where a write was left', async () => {
    const { did, issuer } = await published(ledger);
    const object = credDefOf(did, `${did}/anoncreds/v1/SCHEMA/${'b'.repeat(32)}`, false, 125, 3072);
    const write = objectWrite(ledger, did, 'CLAIM_DEF', object);
    const id = ledger.idOf(did, 'CLAIM_DEF', object);
    const first = await prepared(ledger, write, issuer);
    assert.deepEqual(first.piece, { number: 0, more: true });
    assert.equal((await ledger.send(first)).state, 'confirmed');
    await fails(algorandLedger(configOf(devnet)).read(id, 'CLAIM_DEF'), 'object-not-found');
    // whoever takes over knows nothing of it but what the ledger holds
    const other = algorandLedger(configOf(devnet));
    assert.equal((await other.outcome(first)).state, 'confirmed');
    for (let number = 1, more = true; more; number++) {
      const next = await prepared(other, write, issuer);
      assert.equal(next.piece?.number, number);
      assert.equal((await other.send(next)).state, 'confirmed');
      more = next.piece!.more;
    }
    assert.equal((await prepare(other, write, 'again', issuer.sign)).state, 'done');
    assert.equal(canonical(await algorandLedger(configOf(devnet)).read(id, 'CLAIM_DEF')), canonical(object));
    // a part that a lying node changes is refused with the whole
    const [part] = packObject(did, 'CLAIM_DEF', object);
    const name = Buffer.from(resourceBox(issuer.publicKey, part.oid)).toString('base64');
    for (const [change, reason] of [
      [(box: Buffer) => box.fill(1, 100, 200), /cannot be read|does not hash/],
      [(box: Buffer) => box.fill(1, 0, 1), /parts of an unknown form/],
    ] as const) {
      const box = Buffer.from([...part.head, ...new Uint8Array(16), ...part.payload]);
      await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name, value: change(box).toString('base64') });
      await fails(algorandLedger(configOf(devnet)).read(id, 'CLAIM_DEF'), 'object-invalid', reason);
    }
  });

  test('that were left unsealed are written anew', async () => {
    const { did, issuer } = await published(ledger);
    const object = credDefOf(did, `${did}/anoncreds/v1/SCHEMA/${'a'.repeat(32)}`);
    const write = objectWrite(ledger, did, 'CLAIM_DEF', object);
    const name = resourceBox(issuer.publicKey, oidOf(object));
    const open = Buffer.from([0x81, 2, 0, 0, 0, 0, 0, 0, 0, 18, ...new Uint8Array(5_000)]).toString('base64');
    // A box that appears from nowhere is not paid for.
    await admin(devnet, 'POST', 'fund', { address: (await appAddress()) as string, amount: 2_500 + 400 * (57 + 5_010) });
    await admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name: Buffer.from(name).toString('base64'), value: open });
    assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
    assert.equal(canonical(await ledger.read(write.kind === 'object-put' ? write.id : '', 'CLAIM_DEF')), canonical(object));
  });
});

const appAddress = async (): Promise<string> => (await import('algosdk')).default.getApplicationAddress(devnet.appId).toString();

test('an agent with an empty cache resolves what another one wrote, byte for byte', async () => {
  const writer = algorandLedger(configOf(devnet));
  const reader = algorandLedger(configOf(devnet, { sponsorMnemonic: undefined }));
  const { did, issuer } = await published(writer);
  const schema = schemaOf(did);
  const schemaId = writer.idOf(did, 'SCHEMA', schema);
  const credDef = credDefOf(did, schemaId, true);
  const credDefId = writer.idOf(did, 'CLAIM_DEF', credDef);
  await perform(writer, objectWrite(writer, did, 'SCHEMA', schema), issuer);
  await perform(writer, objectWrite(writer, did, 'CLAIM_DEF', credDef), issuer);
  assert.equal(canonical((await reader.resolve(did)).document), canonical(documentOf(did)));
  assert.equal(canonical(await reader.read(schemaId, 'SCHEMA')), canonical(schema));
  assert.equal(canonical(await reader.read(credDefId, 'CLAIM_DEF')), canonical(credDef));
  await fails(prepare(reader, { kind: 'did-deactivate', did }, 'x', issuer.sign), 'ledger-none');
});
