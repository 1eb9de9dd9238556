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
import type { Ledger, SignedWrite, WriteOutcome } from '../../ports/ledger.ts';
import { dataBox, dataIndex, infoBox, stagedBox } from './ids.ts';

/** What happens when the node, the network or the money fails. */

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
});
beforeEach(async () => {
  await admin(devnet, 'DELETE', 'faults');
  ledger = algorandLedger(configOf(devnet));
});
after(() => devnet.close());

const fault = (kind: string, more: object = {}): Promise<void> => admin(devnet, 'POST', 'faults', { kind, ...more });
const SUBMIT = { path: '/v2/transactions' };

describe('a node', () => {
  test('that is down, slow or failing is a ledger that may be asked again', async () => {
    const { did } = await published(ledger);
    await fault('status', { status: 503 });
    await fails(ledger.resolve(did, true), 'ledger-unavailable', /503/);
    await fault('drop');
    await fails(ledger.resolve(did, true), 'ledger-unavailable');
    const hasty = algorandLedger(configOf(devnet, { timeoutMs: 100 }));
    await fault('delay', { ms: 400 });
    await fails(hasty.resolve(did), 'ledger-unavailable', /does not answer/);
    assert.equal(new AppError('ledger-unavailable').row.retry, true);
    assert.equal((await ledger.resolve(did, true)).document.id, did);
    const closed = await startDevnet();
    await closed.close();
    const gone = algorandLedger(configOf(closed));
    await fails(gone.resolve(did), 'ledger-unavailable', /ECONNREFUSED/);
    assert.equal((await gone.health()).ok, false);
    assert.equal((await ledger.health()).ok, true);
    await fails(algorandLedger(configOf(devnet, { token: 'wrong' })).resolve(did), 'ledger-unavailable', /401/);
  });

  test('on another genesis is neither read nor written', async () => {
    const other = await startDevnet({ salt: 'another network' });
    try {
      const confused = algorandLedger(configOf(devnet, { algodUrl: other.url }));
      const issuer = newIssuer();
      const did = confused.didOf(issuer.publicKey);
      await fails(confused.resolve(did), 'ledger-wrong-network');
      await fails(confused.read(confused.idOf(did, 'SCHEMA', schemaOf(did)), 'SCHEMA'), 'ledger-wrong-network');
      await fails(prepare(confused, { kind: 'did-put', did, document: documentOf(did) }, 'x', issuer.sign), 'ledger-wrong-network');
      const { ok, reason } = await confused.health();
      assert.equal(ok, false);
      assert.match(reason as string, /genesis/);
      const trusting = algorandLedger(configOf(devnet, { algodUrl: other.url, genesisHash: undefined }));
      await fails(trusting.resolve(did), 'did-not-found');
      await fails(
        algorandLedger(configOf(devnet, { network: 'testnet' })).resolve(did.replace('custom', 'testnet')),
        'ledger-wrong-network',
      );
    } finally {
      await other.close();
    }
  });
});

describe('caches', () => {
  test('keep objects for ever, documents for a minute, absences for five seconds', async () => {
    let now = 1_000_000;
    const own = await startDevnet();
    const cached = algorandLedger(configOf(own, { clock: () => now }));
    const { did, issuer } = await published(cached);
    const schema = schemaOf(did);
    const id = cached.idOf(did, 'SCHEMA', schema);
    await fails(cached.read(id, 'SCHEMA'), 'object-not-found');
    await perform(algorandLedger(configOf(own)), objectWrite(cached, did, 'SCHEMA', schema), issuer);
    await fails(cached.read(id, 'SCHEMA'), 'object-not-found');
    now += 5_001;
    await cached.read(id, 'SCHEMA');
    await cached.resolve(did);
    await perform(algorandLedger(configOf(own)), { kind: 'did-put', did, document: documentOf(did, { a: 1 }) }, issuer);
    assert.equal((await cached.resolve(did)).metadata.versionId, '1');
    assert.equal((await cached.resolve(did, true)).metadata.versionId, '2');
    assert.equal((await cached.resolve(did)).metadata.versionId, '2');
    await own.close();
    await cached.resolve(did);
    now += 60_001;
    await fails(cached.resolve(did), 'ledger-unavailable');
    assert.equal((await cached.read(id, 'SCHEMA')).name, schema.name);
  });

  test('ask once for many who ask at the same time', async () => {
    const { did } = await published(ledger);
    const fresh = algorandLedger(configOf(devnet, { genesisHash: undefined }));
    await fault('status', { status: 500, path: '/box' });
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => fresh.resolve(did)));
    assert.equal(answers.filter(({ status }) => status === 'rejected').length, 10);
    await fresh.resolve(did);
  });
});

describe('a write', () => {
  const reason = (outcome: WriteOutcome): string => (outcome.state === 'rejected' ? outcome.reason : outcome.state);

  test('whose answer is lost is found confirmed by whoever asks next', async () => {
    const { signed, write, issuer } = await startWrite();
    await fault('drop-after', SUBMIT);
    await fails(ledger.send(signed), 'ledger-unavailable');
    const next = algorandLedger(configOf(devnet));
    assert.equal((await next.outcome(signed)).state, 'confirmed');
    assert.equal((await next.send(signed)).state, 'confirmed');
    assert.deepEqual(await prepare(next, write, 'again', issuer.sign), { state: 'done' });
  });

  test('that never arrived is pending, and can be sent again', async () => {
    const { signed } = await startWrite();
    await fault('drop', SUBMIT);
    await fails(ledger.send(signed), 'ledger-unavailable');
    assert.deepEqual(await ledger.outcome(signed), { state: 'pending' });
    assert.equal((await ledger.send(signed)).state, 'confirmed');
  });

  test('that the node forgot is pending until its last round, then expired, and can be prepared anew', async () => {
    const { signed, write, issuer } = await startWrite();
    await fault('hold', SUBMIT);
    assert.deepEqual(await ledger.send(signed), { state: 'pending' });
    await admin(devnet, 'POST', 'advance', { rounds: 40 });
    assert.deepEqual(await ledger.outcome(signed), { state: 'expired' });
    assert.deepEqual(await ledger.send(signed), { state: 'expired' });
    assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
  });

  test('that expires on the way says so', async () => {
    const { signed } = await startWrite();
    await fault('expire', SUBMIT);
    assert.deepEqual(await ledger.send(signed), { state: 'expired' });
  });

  test('that landed long ago is known by its effect', async () => {
    const { signed } = await startWrite();
    await ledger.send(signed);
    await admin(devnet, 'POST', 'advance', { rounds: 1_100 });
    assert.equal((await ledger.outcome(signed)).state, 'confirmed');
  });

  test('that is rejected carries the reason', async () => {
    const { signed, write, issuer } = await startWrite();
    await fault('reject', { ...SUBMIT, message: 'TransactionPool.Remember: transaction X: account Y balance 1 below min 2 (0 assets)' });
    const outcome = await ledger.send(signed);
    assert.match(reason(outcome), /^deposit-short: /);
    assert.equal(outcome.state === 'rejected' && outcome.rebuild, true);
    const racing = await prepared(ledger, write, issuer);
    assert.equal((await ledger.send(signed)).state, 'confirmed');
    assert.match(reason(await ledger.send(racing)), /^exists: resource sealed/);
  });

  test('cannot be under way twice for one operation', async () => {
    const { did, issuer } = await published(ledger);
    const put = (a: number) => prepared(ledger, { kind: 'did-put', did, document: documentOf(did, { a }) }, issuer, 'one operation');
    const [first, second] = [await put(1), await put(2)];
    assert.equal((await ledger.send(first)).state, 'confirmed');
    assert.match(reason(await ledger.send(second)), /^lease: /);
  });

  test('waits for money, signs nothing meanwhile, and goes on when there is some', async () => {
    const poor = algosdk.generateAccount();
    const own = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(poor.sk) }));
    const issuer = newIssuer();
    const did = own.didOf(issuer.publicKey);
    const write = { kind: 'did-put', did, document: documentOf(did) } as const;
    const never = (): never => assert.fail('nothing is signed while there is no money');
    const wait = await prepare(own, write, 'x', never);
    assert.equal(wait.state, 'wait');
    if (wait.state !== 'wait') return;
    assert.equal(wait.held, 0);
    const address = poor.addr.toString();
    await admin(devnet, 'POST', 'fund', { address, amount: wait.needed - 1 });
    assert.deepEqual(await prepare(own, write, 'x', never), { state: 'wait', needed: wait.needed, held: wait.needed - 1 });
    await admin(devnet, 'POST', 'fund', { address, amount: 1 });
    assert.equal((await perform(own, write, issuer)).state, 'confirmed');
    const account = await new algosdk.Algodv2(devnet.token, devnet.url).accountInformation(address).do();
    assert.equal(account.amount, 100_000n, 'exactly the minimum balance is left');
  });

  test('whose sponsor is drained after it was signed is refused whole, waits, and goes on when there is money', async () => {
    const algod = new algosdk.Algodv2(devnet.token, devnet.url);
    const payer = algosdk.generateAccount();
    const address = payer.addr.toString();
    const own = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(payer.sk) }));
    await admin(devnet, 'POST', 'fund', { address, amount: 30_000_000 });
    const { did, issuer } = await published(own);
    const drain = async (): Promise<void> => {
      const { amount } = await algod.accountInformation(address).do();
      const suggestedParams = await algod.getTransactionParams().do();
      const { sponsor } = devnet;
      const receiver = algosdk.mnemonicToSecretKey(sponsor.mnemonic).addr;
      const txn = algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: address,
        receiver,
        amount: amount - 110_000n,
        note: Uint8Array.from(Buffer.from(String(amount))),
        suggestedParams: { ...suggestedParams, flatFee: true, fee: 1_000n },
      });
      await algod.sendRawTransaction(txn.signTxn(payer.sk)).do();
    };
    // in the middle of a write of several groups: what has landed stays, and the rest waits
    const object = credDefOf(did, `${did}/anoncreds/v1/SCHEMA/${'b'.repeat(32)}`, false, 125, 3072);
    const write = objectWrite(own, did, 'CLAIM_DEF', object);
    const first = await prepared(own, write, issuer);
    assert.equal((await own.send(first)).state, 'confirmed');
    const second = await prepared(own, write, issuer);
    await drain();
    const refused = await own.send(second);
    assert.deepEqual([refused.state, refused.state === 'rejected' && refused.rebuild], ['rejected', true], JSON.stringify(refused));
    assert.match(reason(refused), /^(funds|deposit)-short: /);
    const never = (): never => assert.fail('nothing is signed while there is no money');
    const wait = await prepare(own, write, 'drained', never);
    assert.equal(wait.state, 'wait');
    await admin(devnet, 'POST', 'fund', { address, amount: 60_000_000 });
    for (let more: boolean | undefined = true; more; ) {
      const next = await prepared(own, write, issuer);
      assert.equal((await own.send(next)).state, 'confirmed');
      more = next.piece?.more;
    }
    assert.equal((await prepare(own, write, 'again', never)).state, 'done');
  });

  test('refunds go to who paid, also when another sponsor pays for the change', async () => {
    const { did, issuer } = await published(ledger);
    const rich = algosdk.generateAccount();
    await admin(devnet, 'POST', 'fund', { address: rich.addr.toString(), amount: 5_000_000 });
    const own = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(rich.sk) }));
    assert.equal((await perform(own, { kind: 'did-put', did, document: { id: did } }, issuer)).state, 'confirmed');
    assert.equal(
      (await perform(own, { kind: 'did-put', did, document: documentOf(did, { pad: 'p'.repeat(3_000) }) }, issuer)).state,
      'confirmed',
    );
    assert.equal((await perform(own, { kind: 'did-deactivate', did }, issuer)).state, 'confirmed');
  });

  test('above the fee cap is not made', async () => {
    const { did, issuer } = await published(ledger);
    const careful = algorandLedger(configOf(devnet, { feeCap: 1_999 }));
    await fails(
      prepare(careful, objectWrite(careful, did, 'SCHEMA', schemaOf(did, 'x')), 'x', issuer.sign),
      'ledger-waiting',
      /above the cap/,
    );
  });
});

describe('a pool', () => {
  const pool = (body: object): Promise<void> => admin(devnet, 'POST', 'pool', body);
  const algod = (): algosdk.Algodv2 => new algosdk.Algodv2(devnet.token, devnet.url);
  const addressOf = (issuer: { publicKey: Uint8Array }): string => algosdk.encodeAddress(issuer.publicKey);
  const amountOf = async (address: string): Promise<bigint> => (await algod().accountInformation(address).do()).amount;

  test('that is congested is paid by each transaction for itself, and the control account is left as it was', async () => {
    const { did, issuer } = await published(ledger);
    await pool({ feePerByte: 2 });
    const sponsor = algosdk.mnemonicToSecretKey(devnet.sponsor.mnemonic).addr.toString();
    for (const write of [
      objectWrite(ledger, did, 'SCHEMA', schemaOf(did, 'congested')),
      objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'x')),
      { kind: 'did-put', did, document: { id: did } },
      { kind: 'did-put', did, document: documentOf(did, { pad: 'p'.repeat(4_000) }) },
      { kind: 'did-deactivate', did },
    ] as const) {
      const before = await amountOf(sponsor);
      const plan = await ledger.plan(write, `congested ${before}`);
      assert.equal(plan.state, 'planned');
      if (plan.state !== 'planned') return;
      const { signed } = await ledger.sign(plan.planned, { sponsor: true, account: issuer.sign });
      assert.equal((await ledger.send(signed as SignedWrite)).state, 'confirmed', write.kind);
      const paid = before - (await amountOf(sponsor));
      assert.ok(paid <= BigInt(plan.cost), `${write.kind} cost ${paid}, planned ${plan.cost}`);
      assert.equal(await amountOf(addressOf(issuer)), 0n);
    }
    await admin(devnet, 'DELETE', 'faults');
  });

  test('that is congested leaves money that the control account has where it is', async () => {
    const { did, issuer } = await published(ledger);
    await admin(devnet, 'POST', 'fund', { address: addressOf(issuer), amount: 300_000 });
    await pool({ feePerByte: 3 });
    const outcome = await perform(ledger, objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'y')), issuer);
    assert.equal(outcome.state, 'confirmed');
    assert.equal(await amountOf(addressOf(issuer)), 300_000n);
    await admin(devnet, 'DELETE', 'faults');
  });

  test('whose fee rises after a group was signed refuses it, and takes it once it is planned anew', async () => {
    const { write, issuer, signed } = await startWrite();
    await pool({ feePerByte: 2 });
    const outcome = await ledger.send(signed);
    assert.deepEqual([outcome.state, outcome.state === 'rejected' && outcome.rebuild], ['rejected', true]);
    assert.match(outcome.state === 'rejected' ? outcome.reason : '', /^fee: fee \{0\} below threshold \d+ \(2 per byte \* \d+ bytes\)$/);
    assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
    await admin(devnet, 'DELETE', 'faults');
  });

  test('that asks for more than the cap is waited for', async () => {
    const { did } = await published(ledger);
    await pool({ feePerByte: 100 });
    await fails(ledger.plan(objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'z')), 'x'), 'ledger-waiting', /above the cap/);
    await admin(devnet, 'DELETE', 'faults');
  });

  for (const [refuse, text] of [
    ['full', /reached capacity/],
    ['stopping', /shutting down/],
    ['starting', /no pending block evaluator/],
  ] as const) {
    test(`that is ${refuse} takes the same group later`, async () => {
      const { signed } = await startWrite();
      await pool({ refuse });
      await fails(ledger.send(signed), 'ledger-unavailable', text);
      assert.deepEqual(await ledger.outcome(signed), { state: 'pending' });
      await admin(devnet, 'DELETE', 'faults');
      assert.equal((await ledger.send(signed)).state, 'confirmed');
    });
  }

  test('a confirmed group that is sent again meets its own lease, and is confirmed', async () => {
    const { signed } = await startWrite();
    assert.equal((await ledger.send(signed)).state, 'confirmed');
    await assert.rejects(
      algod()
        .sendRawTransaction(Uint8Array.from(Buffer.from(signed.group, 'base64')))
        .do(),
      /overlapping lease/,
    );
    assert.equal((await ledger.send(signed)).state, 'confirmed');
  });

  test('a node that makes no empty blocks leaves a group pending', async () => {
    const { signed } = await startWrite();
    const patient = algorandLedger(configOf(devnet, { timeoutMs: 2_000 }));
    await pool({ silent: true });
    await fault('hold', SUBMIT);
    assert.deepEqual(await patient.send(signed), { state: 'pending' });
    await admin(devnet, 'DELETE', 'faults');
    assert.equal((await ledger.send(signed)).state, 'confirmed');
  });
});

/** A write of an object, signed and not sent. */
const startWrite = async () => {
  const { did, issuer } = await published(ledger);
  const write = objectWrite(ledger, did, 'SCHEMA', schemaOf(did));
  return { write, issuer, signed: await prepared(ledger, write, issuer) };
};

test('deposits are exact: after many writes the application holds its minimum balance and no more', async () => {
  const algod = new algosdk.Algodv2(devnet.token, devnet.url);
  const surplus = async (): Promise<bigint> => {
    const { amount, minBalance } = await algod.accountInformation(algosdk.getApplicationAddress(devnet.appId)).do();
    return amount - minBalance;
  };
  const before = await surplus();
  const { did, issuer } = await published(ledger);
  for (const pad of [10, 3_000, 12_000, 4_000, 5])
    await perform(ledger, { kind: 'did-put', did, document: documentOf(did, { pad: 'p'.repeat(pad) }) }, issuer);
  await perform(ledger, objectWrite(ledger, did, 'SCHEMA', schemaOf(did)), issuer);
  await perform(ledger, { kind: 'did-deactivate', did }, issuer);
  assert.equal(await surplus(), before);
});

describe('much at once', () => {
  test('16 groups of one DID: one document and every object lands, and no deposit is lost', async () => {
    const algod = new algosdk.Algodv2(devnet.token, devnet.url);
    const surplus = async (): Promise<bigint> => {
      const { amount, minBalance } = await algod.accountInformation(algosdk.getApplicationAddress(devnet.appId)).do();
      return amount - minBalance;
    };
    const before = await surplus();
    const { did, issuer } = await published(ledger);
    const many = Array.from({ length: 16 }, (_none, a) => a);
    const documents = await Promise.all(
      many.map((a) => prepared(ledger, { kind: 'did-put', did, document: documentOf(did, { a }) }, issuer)),
    );
    const objects = await Promise.all(many.map((a) => prepared(ledger, objectWrite(ledger, did, 'SCHEMA', schemaOf(did, `${a}`)), issuer)));
    const outcomes = await Promise.all([...documents, ...objects].map((signed) => ledger.send(signed)));
    const puts = outcomes.slice(0, 16);
    assert.equal(puts.filter(({ state }) => state === 'confirmed').length, 1);
    for (const outcome of puts)
      if (outcome.state !== 'confirmed') assert.equal(outcome.state === 'rejected' && outcome.rebuild, true, JSON.stringify(outcome));
    assert.deepEqual([...new Set(outcomes.slice(16).map(({ state }) => state))], ['confirmed']);
    assert.equal((await algorandLedger(configOf(devnet)).resolve(did)).metadata.versionId, '2');
    assert.equal(await surplus(), before);
  });

  test('an attacker who stages, publishes and opens logs in every block keeps no signed group from landing', async () => {
    const attack = await attacker();
    const { did, issuer } = await published(ledger);
    const other = newIssuer();
    const fresh = ledger.didOf(other.publicKey);
    for (const [write, by] of [
      [{ kind: 'did-put', did: fresh, document: documentOf(fresh) }, other],
      [{ kind: 'did-put', did, document: documentOf(did, { a: 1 }) }, issuer],
      [{ kind: 'did-put', did, document: documentOf(did, { pad: 'p'.repeat(6_000) }) }, issuer],
      [objectWrite(ledger, did, 'CLAIM_DEF', credDefOf(did, 'x')), issuer],
      [objectWrite(ledger, fresh, 'SCHEMA', schemaOf(fresh)), other],
      [{ kind: 'did-deactivate', did }, issuer],
    ] as const) {
      const signed = await prepared(ledger, write, by);
      for (let block = 0; block < 3; block++) await attack();
      const outcome = await ledger.send(signed);
      assert.equal(outcome.state, 'confirmed', JSON.stringify(outcome));
      await attack();
    }
  });
});

/** An account with 1,000 ALGO and no key of anybody else. @returns what makes three blocks of its own: a staged document, a new DID, a log */
const attacker = async (): Promise<() => Promise<void>> => {
  const algod = new algosdk.Algodv2(devnet.token, devnet.url);
  const payer = algosdk.generateAccount();
  await admin(devnet, 'POST', 'fund', { address: payer.addr.toString(), amount: 1_000_000_000 });
  const mine = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(payer.sk) }));
  const { issuer } = await published(mine);
  const key = issuer.publicKey;
  let turn = 0;
  const calls = async (deposit: number, method: string, args: Uint8Array[], boxes: Uint8Array[]): Promise<void> => {
    const suggested = await algod.getTransactionParams().do();
    const of = (fee: number) => ({ ...suggested, flatFee: true, fee: BigInt(fee) });
    const txns = algosdk.assignGroupID([
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: payer.addr,
        receiver: algosdk.getApplicationAddress(devnet.appId),
        amount: deposit,
        suggestedParams: of(3_000),
      }),
      algosdk.makeApplicationNoOpTxnFromObject({
        sender: algosdk.encodeAddress(key),
        appIndex: devnet.appId,
        appArgs: [algosdk.ABIMethod.fromSignature(method).getSelector(), ...args],
        boxes: boxes.map((name) => ({ appIndex: 0, name })),
        suggestedParams: of(0),
      }),
    ]) as [algosdk.Transaction, algosdk.Transaction];
    const signature = (await issuer.sign(base58.encode(key), txns[1].bytesToSign())) as Uint8Array;
    const group = [txns[0].signTxn(payer.sk), txns[1].attachSignature(algosdk.encodeAddress(key), signature)];
    await algod.sendRawTransaction(group).do();
  };
  const named = (prefix: string, ...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat([Buffer.from(prefix), ...parts]));
  const number = (value: number): Uint8Array => algosdk.encodeUint64(value);
  const bytes = Uint8Array.of(0, 1, 7);
  return async () => {
    turn += 1;
    const before = turn === 1 ? [] : [dataBox(dataIndex(key, 2n, BigInt(turn - 1)))];
    await calls(
      turn === 1 ? 2_500 + 400 * (33 + 48) + 2_500 + 400 * 9 : 0,
      'didStage(uint64,uint64,uint64,byte[])void',
      [number(1), number(turn), number(1), bytes],
      [stagedBox(key), dataBox(dataIndex(key, 2n, BigInt(turn))), ...before],
    );
    await published(mine);
    const lid = Uint8Array.from({ length: 24 }, () => turn);
    await calls(
      2_500 + 400 * (57 + 41) + 2_500 + 400 * (61 + 32),
      'logOpen(address,byte[24],uint8)void',
      [key, lid, Uint8Array.of(1)],
      [key, infoBox(key), named('l', key, lid), named('g', key, lid, new Uint8Array(4))],
    );
  };
};
