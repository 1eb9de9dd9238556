import { createHash } from 'node:crypto';
import algosdk from 'algosdk';
import { algodChain } from './algod-sync.ts';
import { faucetGroup, makeGenesis, REGISTRY_APP, SPONSOR_MNEMONIC } from './genesis.ts';
import type { Genesis } from './ledger.ts';
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

/** A chain with the registry on it, as tests of its bytecode use one. Addresses are texts, times seconds. */
export interface Chain {
  genesis: Genesis;
  /** Sends a group in a block of its own. @throws Refused */
  submit(group: Uint8Array): string;
  round(): bigint;
  time(round: bigint): bigint | undefined;
  /** The opcode cost of a call; -1 where the chain does not tell. */
  cost(txid: string): number;
  /** The application that a transaction created. */
  created(txid: string): bigint | undefined;
  box(app: bigint, name: Uint8Array): Uint8Array | undefined;
  account(address: string): Account;
  /** MicroALGO that an account holds above its minimum balance. */
  surplus(address: string): bigint;
  plant(app: bigint, name: Uint8Array, value: Uint8Array): void;
}

const devChain = ({ ledger, submit }: DevNode): Chain => ({
  genesis: ledger.genesis,
  submit,
  round: () => ledger.last().round,
  time: (round) => ledger.blocks[Number(round)]?.timestamp,
  cost: (txid) => ledger.receipt(txid)?.cost ?? -1,
  created: (txid) => ledger.receipt(txid)?.createdApp,
  box: (app, name) => ledger.state.box(ledger.state.app(app) as App, name),
  account: (address) => ledger.state.account(address),
  surplus: (address) => {
    const account = ledger.state.account(address);
    return account.balance - minBalance(account);
  },
  plant: (app, name, value) => {
    ledger.state.setBox(ledger.state.app(app) as App, name, value);
    ledger.state.settle();
  },
});

/** The path of a real algod that tests are to run on, and its protocol. */
const { FLEXID_TEST_ALGOD: ALGOD, FLEXID_TEST_CONSENSUS: CONSENSUS = 'v41' } = process.env;

/** Why a test of what a dev ledger alone can do is left out; false on the dev ledger. */
export const devLedgerOnly: string | false = ALGOD === undefined ? false : 'only the dev ledger can do this';

/** Why a test of v41's own limits is left out; false where they hold. */
export const v41Only: string | false = ALGOD === undefined || CONSENSUS === 'v41' ? false : `${CONSENSUS} has other limits`;

/** A chain with the registry, and what tests ask of it: the dev ledger in this process, or a real algod where FLEXID_TEST_ALGOD names one. */
export const testNode = () => {
  const node = ALGOD === undefined ? startNode({ genesis: makeGenesis() }) : undefined;
  const chain = node ? devChain(node) : algodChain(ALGOD as string, CONSENSUS);
  const params = (fee: number): algosdk.SuggestedParams => ({
    fee: BigInt(fee),
    flatFee: true,
    minFee: 1000n,
    firstValid: chain.round() + 1n,
    lastValid: chain.round() + 20n,
    genesisHash: chain.genesis.hash,
    genesisID: chain.genesis.id,
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
    chain,
    params,
    build,
    sign,
    submit: chain.submit,
    round: chain.round,
    /** When the last block but one was made: what the last one's programs saw as the latest time. */
    lastSeen: () => chain.time(chain.round() - 1n),
    advance: (rounds: number): void => {
      for (let i = 0; i < rounds; i++) chain.submit(faucetGroup(chain.genesis, chain.round(), sponsor.addr.toString(), 0n));
    },
    /** Sends a group; returns the opcode cost of each call. @throws Refused */
    send: (group: TestGroup): number[] => {
      const { txns, signers } = build(group);
      chain.submit(sign(txns, signers));
      return txns.map((txn) => chain.cost(txn.txID())).slice(group.pay === undefined ? 0 : 1);
    },
    box: (name: Uint8Array): Uint8Array | undefined => chain.box(REGISTRY_APP, name),
    account: (signer: Signer): Account => chain.account(signer.addr.toString()),
    /** MicroALGO that the application holds above its minimum balance. */
    surplus: (): bigint => chain.surplus(APP_ADDRESS.toString()),
    /** Puts a box in place, as somebody who knew its name beforehand would have. */
    plant: (name: Uint8Array, value: Uint8Array): void => chain.plant(REGISTRY_APP, name, value),
  };
};

export type TestNode = ReturnType<typeof testNode>;
