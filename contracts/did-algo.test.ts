import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import algosdk from 'algosdk';
import { algorandLedger, configOf, credDefOf, type Devnet, documentOf, newIssuer, perform, startDevnet } from '../test/support/ledger.ts';

/**
 * A minimal resolver written from the published did:algo specification alone (sections 3 and 4), as strict as those in use: the metadata is decoded as the ABI
 * tuple of 33 bytes that they decode. It must read what our agent writes, with no knowledge of our registry.
 */
const specResolve = async (algod: algosdk.Algodv2, did: string): Promise<unknown> => {
  const match = /^did:algo:custom:app:(\d+):([0-9a-f]{64})$/.exec(did);
  if (!match) throw new Error('not a did:algo');
  const app = BigInt(match[1] as string);
  const metadata = await algod.getApplicationBoxByName(app, Buffer.from(match[2] as string, 'hex')).do();
  const tuple = algosdk.ABIType.from('(uint64,uint64,uint8,uint64,uint64)').decode(metadata.value) as bigint[];
  const [start, end, status, endSize] = tuple as [bigint, bigint, bigint, bigint, bigint];
  if (status !== 1n) throw new Error(`status ${status}`);
  const parts: Uint8Array[] = [];
  for (let index = start; index <= end; index++) {
    const { value } = await algod.getApplicationBoxByName(app, algosdk.encodeUint64(index)).do();
    parts.push(index === end ? value.slice(0, Number(endSize)) : value);
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
};

let devnet: Devnet;
let algod: algosdk.Algodv2;
before(async () => {
  devnet = await startDevnet();
  algod = new algosdk.Algodv2(devnet.token, devnet.url);
});
after(() => devnet.close());

test('a resolver that knows only the published specification reads our DIDs', async () => {
  const ledger = algorandLedger(configOf(devnet));
  const issuer = newIssuer();
  const did = ledger.didOf(issuer.publicKey);
  for (const extra of [{}, { alsoKnownAs: ['did:web:example.org'] }, { large: credDefOf(did, 'x') }]) {
    const document = documentOf(did, extra);
    await perform(ledger, { kind: 'did-put', did, document }, issuer);
    assert.deepEqual(await specResolve(algod, did), document);
  }
  await perform(ledger, { kind: 'did-deactivate', did }, issuer);
  await assert.rejects(specResolve(algod, did), /status 2/);
});

test('the metadata is exactly 33 bytes, or the resolvers in use would throw', async () => {
  const five = algosdk.ABIType.from('(uint64,uint64,uint8,uint64,uint64)');
  assert.throws(() => five.decode(new Uint8Array(34)));
  assert.throws(() => algosdk.ABIType.from('(uint64,uint64,uint8,uint64)').decode(new Uint8Array(33)));
  const ledger = algorandLedger(configOf(devnet));
  const issuer = newIssuer();
  const did = ledger.didOf(issuer.publicKey);
  await perform(ledger, { kind: 'did-put', did, document: documentOf(did) }, issuer);
  const { value } = await algod.getApplicationBoxByName(devnet.appId, issuer.publicKey).do();
  assert.equal(value.length, 33);
  assert.equal((five.decode(value) as bigint[])[4], 1n, 'the fifth number is the version');
});

test('only DIDs have names that a did:algo resolver can meet', async () => {
  const { boxes } = await algod.getApplicationBoxes(devnet.appId).do();
  const lengths = new Set(boxes.map(({ name }) => name.length));
  assert.deepEqual([...lengths].sort(), [32, 33, 8]);
});
