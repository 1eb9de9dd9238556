import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import {
  admin,
  algorandLedger,
  configOf,
  credDefOf,
  type Devnet,
  devLedgerOnly,
  documentOf,
  type Issuer,
  newIssuer,
  objectWrite,
  published,
  schemaOf,
  startDevnet,
} from '../../../test/support/ledger.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { Control, Ledger, LedgerKeys, LedgerSigner, LedgerWrite, SignedWrite, WriteOutcome } from '../../ports/ledger.ts';
import { controlAddress } from './control.ts';

/** Authority over a DID that moves: to another key, to several keys, to an operator for objects. */

const fails = (act: Promise<unknown>, code: ErrorCode, detail = /./): Promise<void> =>
  assert.rejects(
    act,
    (error) => error instanceof AppError && error.code === code && (detail.test(error.message) || assert.fail(error.message)),
  );

let devnet: Devnet;
let ledger: Ledger;
before(async () => {
  devnet = await startDevnet();
});
beforeEach(() => {
  ledger = algorandLedger(configOf(devnet));
});
after(() => devnet.close());

const verkeyOf = (issuer: Issuer): string => base58.encode(issuer.publicKey);
const one = (issuer: Issuer): Control => ({ threshold: 1, verkeys: [verkeyOf(issuer)] });
const several = (threshold: number, ...issuers: Issuer[]): Control => ({ threshold, verkeys: issuers.map(verkeyOf) });
/** A wallet with the keys of these. */
const walletOf =
  (...issuers: Issuer[]): LedgerSigner =>
  async (verkey, bytes) => {
    const found = issuers.find((issuer) => verkeyOf(issuer) === verkey);
    return await found?.sign(verkey, bytes);
  };

let operations = 0;
interface By {
  wallet: LedgerSigner;
  keys?: LedgerKeys;
  rekey?: Control;
}
const write = async (what: LedgerWrite, { wallet, keys, rekey }: By): Promise<WriteOutcome> => {
  const plan = await ledger.plan(what, `control ${operations++}`, keys);
  if (plan.state !== 'planned') throw new Error(`not planned but ${JSON.stringify(plan)}`);
  const { signed } = await ledger.sign(plan.planned, { sponsor: true, account: wallet, keys, rekey });
  return await ledger.send(signed as SignedWrite);
};
const landed = async (what: LedgerWrite, by: By): Promise<void> => {
  const outcome = await write(what, by);
  assert.equal(outcome.state, 'confirmed', JSON.stringify(outcome));
};
const rekeyed = (did: string, control: Control, by: By): Promise<void> =>
  landed({ kind: 'did-rekey', did, control }, { ...by, rekey: control });
const sponsored = async (): Promise<bigint> => {
  const { addr } = algosdk.mnemonicToSecretKey(devnet.sponsor.mnemonic);
  return (await new algosdk.Algodv2(devnet.token, devnet.url).accountInformation(addr).do()).amount;
};
const put = (did: string, a: number): LedgerWrite => ({ kind: 'did-put', did, document: documentOf(did, { a }) });

describe('a control account', () => {
  test('that is rekeyed is signed for by the other key, and by the first one no more, until it is rekeyed back', async () => {
    const { did, issuer } = await published(ledger);
    const next = newIssuer();
    const keys = { controls: [one(next)] };
    const both = walletOf(issuer, next);
    const before = await sponsored();
    await rekeyed(did, one(next), { wallet: walletOf(issuer) });
    assert.equal(before - (await sponsored()), 102_000n, 'two fees and the minimum balance');
    const { account, authority, balance } = await ledger.authority(did, keys);
    assert.deepEqual(
      [account, authority.address, authority.control, balance],
      [algosdk.encodeAddress(issuer.publicKey), algosdk.encodeAddress(next.publicKey), one(next), 100_000],
    );
    assert.deepEqual(await ledger.plan({ kind: 'did-rekey', did, control: one(next) }, 'again', keys), { state: 'done' });
    await fails(ledger.plan(put(did, 1), 'without the key'), 'ledger-rejected', /is signed for by .* no key of this wallet/);
    await fails(write(put(did, 1), { wallet: walletOf(issuer), keys }), 'ledger-rejected', /0 of the 1 keys/);
    await landed(put(did, 1), { wallet: both, keys });
    await landed(objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'x')), { wallet: walletOf(next), keys });
    const between = await sponsored();
    await rekeyed(did, one(issuer), { wallet: both, keys });
    assert.equal(between - (await sponsored()), 2_000n);
    assert.deepEqual((await ledger.authority(did)).authority, { address: algosdk.encodeAddress(issuer.publicKey), control: one(issuer) });
    await landed(put(did, 2), { wallet: walletOf(issuer), keys });
    await landed({ kind: 'did-deactivate', did }, { wallet: walletOf(issuer), keys });
  });

  test('of several keys is signed for by as many as it takes, in whatever wallet of them', async () => {
    const { did, issuer } = await published(ledger);
    const [first, second, third] = [newIssuer(), newIssuer(), newIssuer()];
    const two = several(2, first, second, third);
    await rekeyed(did, two, { wallet: walletOf(issuer) });
    const keys = { controls: [one(newIssuer()), two] };
    await fails(write(put(did, 1), { wallet: walletOf(second), keys }), 'ledger-rejected', /1 of the 2 keys/);
    await landed(put(did, 1), { wallet: walletOf(third, first), keys });
    await landed(objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), { wallet: walletOf(second, third), keys });
    const recovery = several(1, first, newIssuer());
    await rekeyed(did, recovery, { wallet: walletOf(first, second, third), keys });
    await landed(put(did, 3), { wallet: walletOf(first), keys: { controls: [recovery, two] } });
  });

  test('of another order of the same keys is another account', () => {
    const [first, second] = [newIssuer(), newIssuer()];
    assert.notEqual(controlAddress(several(1, first, second)), controlAddress(several(1, second, first)));
    for (const control of [
      several(1),
      several(0, first),
      several(3, first, second),
      several(1, first, first),
      { threshold: 1, verkeys: ['no key'] },
      several(1, ...Array.from({ length: 17 }, newIssuer)),
    ])
      assert.throws(() => controlAddress(control), AppError);
  });

  test('is handed on to nobody but who was ordered', async () => {
    const { did, issuer } = await published(ledger);
    const [next, thief] = [newIssuer(), newIssuer()];
    const plan = await ledger.plan({ kind: 'did-rekey', did, control: one(next) }, 'to next');
    if (plan.state !== 'planned') return assert.fail(plan.state);
    const never = (): never => assert.fail('nothing is signed');
    await fails(ledger.sign(plan.planned, { account: never }), 'ledger-rejected', /no write needs/);
    await fails(ledger.sign(plan.planned, { account: never, rekey: one(thief) }), 'ledger-rejected', /no write needs/);
    const [payment, part] = plan.planned.parts;
    const txn = algosdk.decodeUnsignedTransaction(Uint8Array.from(Buffer.from(part!.txn, 'base64')));
    const receiver = algosdk.Address.fromString(algosdk.encodeAddress(thief.publicKey));
    for (const change of [
      { rekeyTo: receiver },
      { payment: { ...txn.payment, amount: 1n } },
      { payment: { ...txn.payment, closeRemainderTo: receiver } },
    ]) {
      const forged = Object.assign(algosdk.decodeUnsignedTransaction(Uint8Array.from(Buffer.from(part!.txn, 'base64'))), change);
      const parts = [payment!, { by: 'account' as const, txn: Buffer.from(algosdk.encodeUnsignedTransaction(forged)).toString('base64') }];
      await fails(ledger.sign({ ...plan.planned, parts }, { account: never, rekey: one(next) }), 'ledger-rejected', /no write needs/);
    }
    const stranger = { ...plan.planned, sender: { verkey: verkeyOf(thief), control: one(thief) } };
    await fails(ledger.sign(stranger, { account: never, rekey: one(next) }), 'ledger-rejected', /neither the key of/);
    assert.ok((await ledger.sign(plan.planned, { sponsor: true, account: issuer.sign, rekey: one(next) })).signed);
  });

  test('that was rekeyed long ago is known by its effect; what never landed expires', { skip: devLedgerOnly }, async () => {
    const { did, issuer } = await published(ledger);
    const next = newIssuer();
    const signedTo = async (control: Control, by: By): Promise<SignedWrite> => {
      const plan = await ledger.plan({ kind: 'did-rekey', did, control }, `rekey ${operations++}`, by.keys);
      if (plan.state !== 'planned') throw new Error(plan.state);
      return (await ledger.sign(plan.planned, { sponsor: true, account: by.wallet, keys: by.keys, rekey: control })).signed as SignedWrite;
    };
    const signed = await signedTo(one(next), { wallet: walletOf(issuer) });
    await ledger.send(signed);
    const lost = await signedTo(several(1, issuer, next), { wallet: walletOf(next), keys: { controls: [one(next)] } });
    await admin(devnet, 'POST', 'advance', { rounds: 1_100 });
    assert.equal((await ledger.outcome(signed)).state, 'confirmed');
    assert.deepEqual(await ledger.outcome(lost), { state: 'expired' });
  });

  test('is rekeyed and writes under congestion, at the price of each of its bytes', { skip: devLedgerOnly }, async () => {
    const { did, issuer } = await published(ledger);
    const [first, second] = [newIssuer(), newIssuer()];
    const two = several(2, first, second);
    await admin(devnet, 'POST', 'pool', { feePerByte: 3 });
    try {
      await rekeyed(did, two, { wallet: walletOf(issuer) });
      const by = { wallet: walletOf(first, second), keys: { controls: [two], operators: [] } };
      await landed(put(did, 1), by);
      await landed(objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'x')), by);
      await rekeyed(did, one(issuer), { ...by, wallet: walletOf(first, second, issuer) });
      assert.equal((await ledger.authority(did)).balance, 100_000);
    } finally {
      await admin(devnet, 'DELETE', 'faults');
    }
  });
});

describe('an operator', () => {
  test('writes objects where the wallet does not control the DID, and nothing else', async () => {
    const { did, issuer } = await published(ledger);
    const [operator, cold] = [newIssuer(), newIssuer()];
    const appoint = (key?: string): LedgerWrite => ({ kind: 'did-operator', did, ...(key === undefined ? {} : { operator: key }) });
    await landed(appoint(verkeyOf(operator)), { wallet: walletOf(issuer) });
    assert.equal((await ledger.authority(did)).operator, verkeyOf(operator));
    assert.deepEqual(await ledger.plan(appoint(verkeyOf(operator)), 'again'), { state: 'done' });
    await rekeyed(did, one(cold), { wallet: walletOf(issuer) });
    const server = { wallet: walletOf(issuer, operator), keys: { operators: [verkeyOf(operator)] } };
    await landed(objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'x')), server);
    for (const what of [
      put(did, 1),
      appoint(),
      { kind: 'did-deactivate', did },
      { kind: 'did-rekey', did, control: one(issuer) },
    ] as LedgerWrite[])
      await fails(write(what, server), 'ledger-rejected', /no key of this wallet/);
    const other = { wallet: walletOf(newIssuer()), keys: { operators: [verkeyOf(newIssuer())] } };
    await fails(write(objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), other), 'ledger-rejected', /no key of this wallet/);
    const owner = { wallet: walletOf(cold), keys: { controls: [one(cold)] } };
    await landed(appoint(), owner);
    assert.equal((await ledger.authority(did)).operator, undefined);
    await fails(write(objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), server), 'ledger-rejected', /no key of this wallet/);
    await landed(objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), owner);
  });

  test('pays for its bytes under congestion, and its account is left as it was', { skip: devLedgerOnly }, async () => {
    const { did, issuer } = await published(ledger);
    const operator = newIssuer();
    await landed({ kind: 'did-operator', did, operator: verkeyOf(operator) }, { wallet: walletOf(issuer) });
    await rekeyed(did, one(newIssuer()), { wallet: walletOf(issuer) });
    await admin(devnet, 'POST', 'pool', { feePerByte: 2 });
    try {
      const server = { wallet: walletOf(operator), keys: { operators: [verkeyOf(operator)] } };
      await landed(objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), server);
      const { amount } = await new algosdk.Algodv2(devnet.token, devnet.url)
        .accountInformation(algosdk.encodeAddress(operator.publicKey))
        .do();
      assert.equal(amount, 0n);
    } finally {
      await admin(devnet, 'DELETE', 'faults');
    }
  });

  test('needs a DID', async () => {
    const issuer = newIssuer();
    const what: LedgerWrite = { kind: 'did-operator', did: ledger.didOf(issuer.publicKey), operator: verkeyOf(newIssuer()) };
    await fails(write(what, { wallet: walletOf(issuer) }), 'did-not-found');
  });
});
