import { createPrivateKey, sign as signEd25519 } from 'node:crypto';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { Control, LedgerSigner, PlannedPart, PlannedWrite, SignedWrite } from '../../ports/ledger.ts';
import { signAs } from './control.ts';
import type { Plan } from './plan.ts';

/** The common fields of a group's transactions. */
export interface GroupFrame {
  sponsor: string;
  /** The account that sends the calls, what it holds, in microALGO (that matters under congestion only), and how many bytes its signature has beyond a single one. */
  account: string;
  held: bigint;
  signatureBytes?: number;
  appId: bigint;
  firstRound: bigint;
  minFee: number;
  /** MicroALGO a byte that the node's pool asks for; 0 while the network is not congested. */
  feePerByte: number;
  genesisHash: Uint8Array;
  genesisId: string;
  lease: Uint8Array;
  /** Rounds that it stays valid, where that is not the usual lifetime. */
  rounds?: number;
}

/** Rounds that a group stays valid: about 85 seconds. */
const LIFETIME = 30n;
/** Bytes that a signature, the group's id and their MessagePack frames add to a transaction. */
const SIGNED = 75 + 38;
/** The minimum balance of an account. */
const MIN_BALANCE = 100_000;
const MAX_GROUP = 16;

/**
 * A group that is not signed yet: each transaction with who must sign it. In microALGO, `fee` is what the sponsor pays in fees, and `advance` what it lends within the
 * group and has back at its end.
 */
export interface BuiltGroup {
  txns: { txn: algosdk.Transaction; by: PlannedPart['by'] }[];
  fee: number;
  advance: number;
  lastValid: bigint;
}

/** Makes the transactions of a group, each for a fee in microALGO. */
const maker = (plan: Plan, frame: GroupFrame) => {
  const lastValid = frame.firstRound + (frame.rounds === undefined ? LIFETIME : BigInt(frame.rounds));
  const suggestedParams = (fee: number): algosdk.SuggestedParams => ({
    fee: BigInt(fee),
    flatFee: true,
    minFee: BigInt(frame.minFee),
    firstValid: frame.firstRound,
    lastValid,
    genesisHash: frame.genesisHash,
    genesisID: frame.genesisId,
  });
  return {
    lastValid,
    calls: (feeOf: (nth: number) => number): algosdk.Transaction[] =>
      plan.calls.map(({ args, boxes, accounts }, i) =>
        algosdk.makeApplicationNoOpTxnFromObject({
          sender: frame.account,
          appIndex: frame.appId,
          appArgs: args,
          boxes: boxes.map((name) => ({ appIndex: 0, name })),
          accounts,
          suggestedParams: suggestedParams(feeOf(i)),
        }),
      ),
    deposit: (fee: number): algosdk.Transaction =>
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: frame.sponsor,
        receiver: algosdk.getApplicationAddress(frame.appId),
        amount: plan.deposit,
        lease: frame.lease,
        suggestedParams: suggestedParams(fee),
      }),
    /** The loan that the control account pays its fees from. */
    lend: (amount: number, fee: number, lease?: Uint8Array): algosdk.Transaction =>
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: frame.sponsor,
        receiver: frame.account,
        amount,
        lease,
        suggestedParams: suggestedParams(fee),
      }),
    /** Hands the authority over the control account on. */
    rekey: (rekeyTo: string, fee: number): algosdk.Transaction =>
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: frame.account,
        receiver: frame.account,
        amount: 0,
        rekeyTo,
        suggestedParams: suggestedParams(fee),
      }),
    /** Closes the control account again, in the sponsor's favour. */
    giveBack: (fee: number): algosdk.Transaction =>
      algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: frame.account,
        receiver: frame.sponsor,
        amount: 0,
        closeRemainderTo: frame.sponsor,
        suggestedParams: suggestedParams(fee),
      }),
  };
};

type By = BuiltGroup['txns'][number]['by'];
const grouped = (txns: readonly (readonly [algosdk.Transaction, By])[]): BuiltGroup['txns'] =>
  algosdk.assignGroupID(txns.map(([txn]) => txn)).map((txn, i) => ({ txn, by: txns[i]?.[1] as By }));

/** The least fees of the pool for a transaction of the sponsor, and for one of the control account. */
const feesOf = ({ minFee, feePerByte, signatureBytes = 0 }: GroupFrame) => {
  const of =
    (signed: number) =>
    (txn: algosdk.Transaction): number =>
      Math.max(minFee, feePerByte * (txn.toByte().length + signed));
  return [of(SIGNED), of(SIGNED + signatureBytes)] as const;
};

/** While the network is idle the sponsor's payment carries the fees of all, and the calls have none: the control account needs no money. */
const pooledFees = (plan: Plan, frame: GroupFrame): BuiltGroup => {
  const make = maker(plan, frame);
  const fee = frame.minFee * (1 + plan.calls.length + plan.refunds);
  const calls = make.calls(() => 0).map((txn) => [txn, 'account'] as const);
  return { txns: grouped([[make.deposit(fee), 'sponsor'], ...calls]), fee, advance: 0, lastValid: make.lastValid };
};

/**
 * Under congestion the pool wants a fee of each transaction for its own bytes. The sponsor lends the control account what its calls pay, and where the account was empty
 * the minimum balance too, which the last transaction gives back. An account that holds money is never closed: it may have been rekeyed, or hold more than a loan.
 * @throws AppError `ledger-waiting` where the group has no room for that
 */
const ownFees = (plan: Plan, frame: GroupFrame): BuiltGroup => {
  const make = maker(plan, frame);
  const [feeOf, ownFeeOf] = feesOf(frame);
  const any = 1_000_000;
  const empty = frame.held === 0n;
  const callFees = make.calls(() => any).map(ownFeeOf);
  const backFee = empty ? ownFeeOf(make.giveBack(any)) : 0;
  const lendFee = feeOf(make.lend(any, any));
  const depositFee = feeOf(make.deposit(any)) + plan.refunds * frame.minFee;
  const loan = callFees.reduce((sum, fee) => sum + fee, backFee);
  const advance = empty ? MIN_BALANCE : 0;
  const txns: (readonly [algosdk.Transaction, By])[] = [
    [make.deposit(depositFee), 'sponsor'],
    [make.lend(loan + advance, lendFee), 'sponsor'],
    ...make.calls((nth) => callFees[nth] as number).map((txn) => [txn, 'account'] as const),
    ...(empty ? [[make.giveBack(backFee), 'account'] as const] : []),
  ];
  if (txns.length > MAX_GROUP)
    throw new AppError(
      'ledger-waiting',
      'the network is congested, and the write does not fit one group while every transaction pays for itself',
    );
  return { txns: grouped(txns), fee: depositFee + lendFee + loan, advance, lastValid: make.lastValid };
};

/** The transactions of a plan, grouped and unsigned; first the sponsor's payment of the deposit, which has the lease. */
export const buildGroup = (plan: Plan, frame: GroupFrame): BuiltGroup =>
  frame.feePerByte === 0 ? pooledFees(plan, frame) : ownFees(plan, frame);

/**
 * A group that rekeys the control account: the sponsor pays what the account lacks of its minimum balance, `missing`, since an account with another authority is not
 * empty any more, and it stays there.
 */
export const buildRekey = (rekeyTo: string, missing: number, frame: GroupFrame): BuiltGroup => {
  const make = maker({ calls: [], deposit: 0, refunds: 0 }, frame);
  const [feeOf, ownFeeOf] = feesOf(frame);
  const any = 1_000_000;
  const own = frame.feePerByte === 0 ? 0 : ownFeeOf(make.rekey(rekeyTo, any));
  const fee = frame.feePerByte === 0 ? 2 * frame.minFee : feeOf(make.lend(any, any, frame.lease));
  return {
    txns: grouped([
      [make.lend(missing + own, fee, frame.lease), 'sponsor'],
      [make.rekey(rekeyTo, own), 'account'],
    ]),
    fee: fee + own,
    advance: 0,
    lastValid: make.lastValid,
  };
};

/** The account that pays. */
export interface Sponsor {
  addr: algosdk.Address;
  sign(bytes: Uint8Array): Uint8Array;
}

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The account of 25 words; it signs with the runtime's own Ed25519, about a hundred times as fast as the one in algosdk. */
export const sponsorOf = (mnemonic: string): Sponsor => {
  const { addr, sk } = algosdk.mnemonicToSecretKey(mnemonic);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, sk.subarray(0, 32)]), format: 'der', type: 'pkcs8' });
  return { addr, sign: (bytes) => Uint8Array.from(signEd25519(null, bytes, key)) };
};

/**
 * The transactions that the control account signs: calls of the registry, and the end of a loan. It pays nobody, and hands its authority on to `rekey` alone, where there is one.
 * @throws AppError `ledger-rejected`
 */
const checkOwn = (txn: algosdk.Transaction, appId: bigint, payer: string | undefined, rekey: string | undefined): void => {
  const { applicationCall: call, payment, rekeyTo } = txn;
  const calls = call !== undefined && call.appIndex === appId && Number(call.onComplete) === 0;
  const back = payment?.closeRemainderTo?.toString();
  const givesBack = payment !== undefined && payment.amount === 0n && back !== undefined && back === payer;
  const rekeys =
    payment !== undefined && payment.amount === 0n && back === undefined && rekey !== undefined && rekeyTo?.toString() === rekey;
  if (rekeys ? false : rekeyTo !== undefined || (!calls && !givesBack))
    throw new AppError('ledger-rejected', 'the group holds a transaction that no write needs of the control account');
};

/** A group's transactions as values that can be stored and sent to another signer. */
export const partsOf = ({ txns }: BuiltGroup): PlannedPart[] =>
  txns.map(({ txn, by }) => ({ by, txn: Buffer.from(algosdk.encodeUnsignedTransaction(txn)).toString('base64') }));

/** The signers of a group: the sponsor, and the authority over the address `account`; `rekey` is the next authority. */
export interface PartSigners {
  sponsor?: Sponsor;
  account?: { address: string; control: Control; sign: LedgerSigner; rekey?: string };
}

/**
 * Signs the parts of those who are given, each only where it is that account's own transaction.
 * @throws AppError `ledger-rejected` if a part is another account's, or is none that a write needs of the control account
 */
export const signParts = async (parts: readonly PlannedPart[], appId: bigint, signers: PartSigners): Promise<PlannedPart[]> => {
  const decoded = (part: PlannedPart | undefined): algosdk.Transaction | undefined =>
    part && algosdk.decodeUnsignedTransaction(Uint8Array.from(Buffer.from(part.txn, 'base64')));
  const payer = decoded(parts[0])?.sender.toString();
  const signed: PlannedPart[] = [];
  for (const part of parts) {
    if (part.signed !== undefined || signers[part.by] === undefined) {
      signed.push(part);
      continue;
    }
    const txn = decoded(part) as algosdk.Transaction;
    const { sponsor, account } = signers as Required<PartSigners>;
    const signer = part.by === 'sponsor' ? sponsor.addr.toString() : account.address;
    if (txn.sender.toString() !== signer)
      throw new AppError('ledger-rejected', `a transaction of ${txn.sender} is not ${signer}'s to sign`);
    if (part.by === 'account') checkOwn(txn, appId, payer, account.rekey);
    const bytes =
      part.by === 'sponsor'
        ? txn.attachSignature(signer, sponsor.sign(txn.bytesToSign()))
        : await signAs(txn, account.control, account.sign);
    signed.push({ ...part, signed: Buffer.from(bytes).toString('base64') });
  }
  return signed;
};

/** The group as it is sent; undefined while a signature is missing. */
export const signedWrite = ({ write, parts, txids, lastValid, piece }: PlannedWrite): SignedWrite | undefined => {
  const blobs = parts.flatMap(({ signed }) => (signed === undefined ? [] : [Buffer.from(signed, 'base64')]));
  if (blobs.length < parts.length) return undefined;
  return { write, group: Buffer.concat(blobs).toString('base64'), txids, lastValid, ...(piece && { piece }) };
};
