import { createHash } from 'node:crypto';
import algosdk from 'algosdk';
import { makeGenesis, REGISTRY_APP, SPONSOR_MNEMONIC } from './genesis.ts';
import { type DevNode, startNode } from './node.ts';
import type { Account, App } from './state.ts';
import { minBalance } from './state.ts';

/** Support for tests: a node in this process, and groups as a client would build them. */

export type Signer = algosdk.Account;
export const sponsor: Signer = algosdk.mnemonicToSecretKey(SPONSOR_MNEMONIC);
export const APP_ADDRESS = algosdk.getApplicationAddress(REGISTRY_APP);

/** An account made from a name, so that failures read the same every time. */
export const accountOf = (name: string): Signer =>
  algosdk.mnemonicToSecretKey(algosdk.mnemonicFromSeed(Uint8Array.from(createHash('sha256').update(name).digest())));

export const keyOf = (signer: Signer): Uint8Array => signer.addr.publicKey;
export const named = (prefix: string, ...parts: Uint8Array[]): Uint8Array =>
  Uint8Array.from(Buffer.concat([Buffer.from(prefix), ...parts]));
export const filler = (length: number, seed = 1): Uint8Array => Uint8Array.from({ length }, (_none, i) => (i * 31 + seed) & 0xff);
/** The name of the data box for a version of a DID's document. */
export const dataName = (key: Uint8Array, version: number | bigint, salt: number | bigint): Uint8Array =>
  Uint8Array.from(
    createHash('sha256').update(key).update(algosdk.encodeUint64(version)).update(algosdk.encodeUint64(salt)).digest().subarray(0, 8),
  );
/** The deposit of a box, in microALGO. */
export const boxCost = (name: number, value: number): number => 2_500 + 400 * (name + value);

export interface TestCall {
  method: string;
  args: algosdk.ABIValue[];
  boxes: Uint8Array[];
  from: Signer;
  accounts?: string[];
  fee?: number;
}

export interface TestGroup {
  /** What the sponsor pays to the application; no payment at all without it. */
  pay?: number;
  payer?: Signer;
  fee?: number;
  calls: TestCall[];
  change?: (txns: algosdk.Transaction[]) => void;
}

/** A node with the registry, and what tests ask of it. */
export const testNode = (node: DevNode = startNode({ genesis: makeGenesis() })) => {
  const { ledger } = node;
  const app = (): App => ledger.state.app(REGISTRY_APP) as App;
  const params = (fee: number): algosdk.SuggestedParams => ({
    fee: BigInt(fee),
    flatFee: true,
    minFee: 1000n,
    firstValid: ledger.last().round + 1n,
    lastValid: ledger.last().round + 20n,
    genesisHash: ledger.genesis.hash,
    genesisID: ledger.genesis.id,
  });
  const build = ({ pay, payer = sponsor, fee, calls, change }: TestGroup): { txns: algosdk.Transaction[]; signers: Signer[] } => {
    const own = calls.reduce((sum, call) => sum + (call.fee ?? 0), 0);
    const total = fee ?? 1000 * (calls.length + (pay === undefined ? 0 : 1)) - own;
    const txns = calls.map(({ method, args, boxes, from, accounts = [], fee: callFee }, index) => {
      const abi = algosdk.ABIMethod.fromSignature(method);
      return algosdk.makeApplicationNoOpTxnFromObject({
        sender: from.addr,
        appIndex: REGISTRY_APP,
        appArgs: [abi.getSelector(), ...abi.args.map((arg, i) => (arg.type as algosdk.ABIType).encode(args[i] as algosdk.ABIValue))],
        boxes: boxes.map((name) => ({ appIndex: 0, name })),
        accounts,
        suggestedParams: params(callFee ?? (pay === undefined && index === 0 ? total : 0)),
      });
    });
    const signers = calls.map((call) => call.from);
    if (pay !== undefined) {
      const suggestedParams = params(total);
      txns.unshift(
        algosdk.makePaymentTxnWithSuggestedParamsFromObject({ sender: payer.addr, receiver: APP_ADDRESS, amount: pay, suggestedParams }),
      );
      signers.unshift(payer);
    }
    change?.(txns);
    if (txns.length > 1) algosdk.assignGroupID(txns);
    return { txns, signers };
  };
  const sign = (txns: algosdk.Transaction[], signers: Signer[]): Uint8Array =>
    Uint8Array.from(Buffer.concat(txns.map((txn, i) => txn.signTxn((signers[i] as Signer).sk))));
  return {
    node,
    ledger,
    params,
    build,
    sign,
    /** Sends a group; returns the opcode cost of each call. @throws Refused */
    send: (group: TestGroup): number[] => {
      const { txns, signers } = build(group);
      node.submit(sign(txns, signers));
      return txns.map((txn) => ledger.receipt(txn.txID())?.cost ?? -1).slice(group.pay === undefined ? 0 : 1);
    },
    box: (name: Uint8Array): Uint8Array | undefined => ledger.state.box(app(), name),
    account: (signer: Signer): Account => ledger.state.account(signer.addr.toString()),
    /** MicroALGO that the application holds above its minimum balance. */
    surplus: (): bigint => {
      const account = ledger.state.account(APP_ADDRESS.toString());
      return account.balance - minBalance(account);
    },
    /** Puts a box in place, as somebody who knew its name beforehand would have. */
    plant: (name: Uint8Array, value: Uint8Array): void => {
      ledger.state.setBox(app(), name, value);
      ledger.state.settle();
    },
  };
};

export type TestNode = ReturnType<typeof testNode>;
