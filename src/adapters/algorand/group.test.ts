import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import { algorandLedger, configOf, type Devnet, documentOf, newIssuer, startDevnet } from '../../../test/support/ledger.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { Ledger } from '../../ports/ledger.ts';

/** A group on its way from one signer to the next. */

const fails = (act: Promise<unknown>, code: ErrorCode, detail = /./): Promise<void> =>
  assert.rejects(act, (error) => error instanceof AppError && error.code === code && detail.test(error.message));

let devnet: Devnet;
let ledger: Ledger;
before(async () => {
  devnet = await startDevnet();
  ledger = algorandLedger(configOf(devnet));
});
after(() => devnet.close());

test('a group is planned, signed by who pays and by who writes, and sent, each by another agent if need be', async () => {
  const author = algorandLedger(configOf(devnet, { sponsorMnemonic: undefined }));
  const issuer = newIssuer();
  const did = ledger.didOf(issuer.publicKey);
  const plan = await ledger.plan({ kind: 'did-put', did, document: documentOf(did) }, 'two agents');
  assert.equal(plan.state, 'planned');
  if (plan.state !== 'planned') return;
  assert.deepEqual(
    plan.planned.parts.map(({ by, signed }) => [by, signed]),
    [
      ['sponsor', undefined],
      ['account', undefined],
    ],
  );
  await fails(author.sign(plan.planned, { sponsor: true }), 'ledger-none');
  const paid = await ledger.sign(plan.planned, { sponsor: true });
  assert.equal(paid.signed, undefined, 'the author has not signed');
  const handed = JSON.parse(JSON.stringify(paid.planned)) as typeof paid.planned;
  const thief = newIssuer();
  const stolen = { ...handed, write: { ...handed.write, did: ledger.didOf(thief.publicKey) } };
  await fails(author.sign(stolen, { account: thief.sign }), 'ledger-rejected', /neither the key of/);
  const verkey = base58.encode(thief.publicKey);
  const claimed = { ...stolen, sender: { verkey, control: { threshold: 1, verkeys: [verkey] } } };
  await fails(author.sign(claimed, { account: thief.sign }), 'ledger-rejected', /is not .* to sign/);
  const [payment, call] = handed.parts as [(typeof handed.parts)[0], (typeof handed.parts)[0]];
  const bytes = (part: typeof call): Uint8Array => Uint8Array.from(Buffer.from(part.txn, 'base64'));
  const { sender, receiver } = { sender: algosdk.encodeAddress(issuer.publicKey), receiver: algosdk.encodeAddress(thief.publicKey) };
  const suggestedParams = await new algosdk.Algodv2(devnet.token, devnet.url).getTransactionParams().do();
  const rekeyed = algosdk.decodeUnsignedTransaction(bytes(call));
  Object.assign(rekeyed, { rekeyTo: algosdk.Address.fromString(receiver) });
  for (const txn of [
    rekeyed,
    algosdk.makePaymentTxnWithSuggestedParamsFromObject({ sender, receiver, amount: 1, suggestedParams }),
    algosdk.makePaymentTxnWithSuggestedParamsFromObject({ sender, receiver, amount: 0, closeRemainderTo: receiver, suggestedParams }),
    algosdk.makeApplicationNoOpTxnFromObject({ sender, appIndex: 7, suggestedParams }),
    algosdk.makeApplicationDeleteTxnFromObject({ sender, appIndex: BigInt(devnet.appId), suggestedParams }),
  ]) {
    const forged = { by: 'account' as const, txn: Buffer.from(algosdk.encodeUnsignedTransaction(txn)).toString('base64') };
    const never = (): never => assert.fail('nothing is signed');
    await fails(author.sign({ ...handed, parts: [payment, forged] }, { account: never }), 'ledger-rejected', /no write needs/);
  }
  const { signed } = await author.sign(handed, { account: issuer.sign });
  assert.ok(signed);
  assert.equal((await author.send(signed)).state, 'confirmed');
  assert.deepEqual((await author.resolve(did)).document, documentOf(did));
});
