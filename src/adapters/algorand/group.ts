import { createPrivateKey, sign as signEd25519 } from 'node:crypto';
import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { LedgerSigner, PlannedPart, PlannedWrite, SignedWrite } from '../../ports/ledger.ts';
import type { Plan } from './plan.ts';

/** What every transaction of a group has in common. */
export interface GroupFrame {
  sponsor: string;
  /** The account of the DID key. */
  account: string;
  appId: bigint;
  firstRound: bigint;
  minFee: number;
  /** MicroALGO a byte; 0 while the network is not congested. */
  feePerByte: number;
  genesisHash: Uint8Array;
  genesisId: string;
  lease: Uint8Array;
}

/** Rounds that a group stays valid: about 85 seconds. */
const LIFETIME = 30n;
/** A signature and its MessagePack frame. */
const SIGNATURE = 75;

/** A group that is not signed yet: each transaction with who must sign it. `fee` is what the sponsor pays in fees, in microALGO. */
export interface BuiltGroup {
  txns: { txn: algosdk.Transaction; by: PlannedPart['by'] }[];
  fee: number;
  lastValid: bigint;
}

/** The transactions of a plan, grouped and unsigned: the sponsor's payment with all fees and the deposit, then the calls at no fee. */
export const buildGroup = (plan: Plan, frame: GroupFrame): BuiltGroup => {
  const lastValid = frame.firstRound + LIFETIME;
  const suggested = (fee: number): algosdk.SuggestedParams => ({
    fee: BigInt(fee),
    flatFee: true,
    minFee: BigInt(frame.minFee),
    firstValid: frame.firstRound,
    lastValid,
    genesisHash: frame.genesisHash,
    genesisID: frame.genesisId,
  });
  const calls = plan.calls.map(({ args, boxes, accounts }) =>
    algosdk.makeApplicationNoOpTxnFromObject({
      sender: frame.account,
      appIndex: frame.appId,
      appArgs: args,
      boxes: boxes.map((name) => ({ appIndex: 0, name })),
      accounts,
      suggestedParams: suggested(0),
    }),
  );
  const payment = (fee: number): algosdk.Transaction =>
    algosdk.makePaymentTxnWithSuggestedParamsFromObject({
      sender: frame.sponsor,
      receiver: algosdk.getApplicationAddress(frame.appId),
      amount: plan.deposit,
      lease: frame.lease,
      suggestedParams: suggested(fee),
    });
  const feeOf = (txn: algosdk.Transaction): number => Math.max(frame.minFee, frame.feePerByte * (txn.toByte().length + SIGNATURE));
  const fee = [payment(frame.minFee), ...calls].reduce((sum, txn) => sum + feeOf(txn), plan.refunds * frame.minFee);
  const txns = algosdk
    .assignGroupID([payment(fee), ...calls])
    .map((txn, i) => ({ txn, by: i === 0 ? ('sponsor' as const) : ('account' as const) }));
  return { txns, fee, lastValid };
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

/** A group's transactions as values that can be stored and sent to another signer. */
export const partsOf = ({ txns }: BuiltGroup): PlannedPart[] =>
  txns.map(({ txn, by }) => ({ by, txn: Buffer.from(algosdk.encodeUnsignedTransaction(txn)).toString('base64') }));

/**
 * Signs the parts of those who are given, each only where it is that account's own transaction.
 * @throws AppError `ledger-rejected` if a part is another account's
 */
export const signParts = async (
  parts: readonly PlannedPart[],
  key: Uint8Array,
  signers: { sponsor?: Sponsor; account?: LedgerSigner },
): Promise<PlannedPart[]> => {
  const account = algosdk.encodeAddress(key);
  const signed: PlannedPart[] = [];
  for (const part of parts) {
    if (part.signed !== undefined || signers[part.by] === undefined) {
      signed.push(part);
      continue;
    }
    const txn = algosdk.decodeUnsignedTransaction(Uint8Array.from(Buffer.from(part.txn, 'base64')));
    const { sponsor } = signers;
    const signer = part.by === 'sponsor' ? (sponsor as Sponsor).addr.toString() : account;
    if (txn.sender.toString() !== signer)
      throw new AppError('ledger-rejected', `a transaction of ${txn.sender} is not ${signer}'s to sign`);
    const bytes = txn.bytesToSign();
    const signature =
      part.by === 'sponsor' ? (sponsor as Sponsor).sign(bytes) : await (signers.account as LedgerSigner)(base58.encode(key), bytes);
    signed.push({ ...part, signed: Buffer.from(txn.attachSignature(signer, signature)).toString('base64') });
  }
  return signed;
};

/** The group as it is sent; undefined while a signature is missing. */
export const signedWrite = ({ write, parts, txids, lastValid, piece }: PlannedWrite): SignedWrite | undefined => {
  const blobs = parts.flatMap(({ signed }) => (signed === undefined ? [] : [Buffer.from(signed, 'base64')]));
  if (blobs.length < parts.length) return undefined;
  return { write, group: Buffer.concat(blobs).toString('base64'), txids, lastValid, ...(piece && { piece }) };
};
