import algosdk from 'algosdk';
import { run } from './avm.ts';
import { AvmError } from './avm-values.ts';
import { type GroupContext, hostOf, type InnerPayment, MIN_FEE, spend } from './host.ts';
import { type App, appAddress, emptyState, type State } from './state.ts';
import { dump, money } from './texts.ts';
import { authorizer, decodeSigned, sha512_256, splitGroup } from './wire.ts';

/** The first block, before any transaction. */
export interface Genesis {
  id: string;
  hash: Uint8Array;
  /** Seconds since the epoch. */
  timestamp: bigint;
  allocations: readonly { address: string; balance: bigint }[];
  /** What `GET /genesis` answers. */
  document: string;
}

/** A block: the groups as they were sent, so that the chain can be replayed from bytes. */
export interface Block {
  round: bigint;
  timestamp: bigint;
  hash: Uint8Array;
  groups: readonly Uint8Array[];
  txids: readonly string[];
}

/** What became of a transaction. `cost` is the opcode cost of its program. */
export interface Receipt {
  txid: string;
  stxn: algosdk.SignedTransaction;
  round: bigint;
  cost: number;
  logs: readonly Uint8Array[];
  payments: readonly InnerPayment[];
  createdApp?: bigint;
}

/** Why a group is refused, worded as algod words it. */
export class Refused extends Error {
  /** Whether the pool found it, which puts its name before the reason, or whoever looked before. */
  readonly pooled: boolean;
  /** What algod adds for a program that failed: program counter and stack. */
  readonly data: unknown;
  constructor(text: string, { pooled = true, data }: { pooled?: boolean; data?: unknown } = {}) {
    super(text);
    this.name = 'Refused';
    this.pooled = pooled;
    this.data = data;
  }
}

/** The limits of consensus v41 (go-algorand, config/consensus.go). */
export const LIMITS = Object.freeze({
  consensus: 'https://github.com/algorandfoundation/specs/tree/953304de35264fc3ef91bcd05c123242015eeaed',
  group: 16,
  lifetime: 1000n,
  note: 1024,
  args: 16,
  argBytes: 2048,
  references: 8,
  access: 16,
  programPage: 2048,
  extraPages: 3,
  bytesPerReference: 2048,
  opcodes: 700,
});

/** Receives the fees. */
const FEE_SINK = algosdk.encodeAddress(sha512_256(new TextEncoder().encode('dev fee sink')));

export interface Ledger {
  readonly genesis: Genesis;
  readonly state: State;
  readonly blocks: readonly Block[];
  last(): Block;
  /** Runs a group against the present state. Kept only if `keep`. @throws Refused */
  evaluate(group: Uint8Array, options: { keep: boolean; unsigned?: boolean }): Receipt[];
  /** Closes a block that holds these groups, which `evaluate` has kept. */
  close(groups: readonly Uint8Array[], timestamp: bigint): Block;
  /** Undoes what `evaluate` kept since the last block. */
  abandon(): void;
  receipt(txid: string): Receipt | undefined;
}

const feesOf = (txns: readonly algosdk.Transaction[]): bigint => txns.reduce((sum, txn) => sum + txn.fee, 0n);

/** Checks that need no state: forms, sizes and limits. */
const wellFormed = (txn: algosdk.Transaction): void => {
  if (txn.type !== 'pay' && txn.type !== 'appl') throw new Error(`transaction type ${txn.type} is not implemented here`);
  if (txn.lastValid < txn.firstValid) throw new Error(`transaction invalid range (${txn.firstValid}--${txn.lastValid})`);
  if (txn.lastValid - txn.firstValid > LIMITS.lifetime)
    throw new Error(`transaction window size excessive (${txn.firstValid}--${txn.lastValid})`);
  if (txn.note.length > LIMITS.note) throw new Error(`transaction note too big: ${txn.note.length} > ${LIMITS.note}`);
  const call = txn.applicationCall;
  if (call === undefined) return;
  if (call.appArgs.length > LIMITS.args) throw new Error(`too many application args, max ${LIMITS.args}`);
  const bytes = call.appArgs.reduce((sum, arg) => sum + arg.length, 0);
  if (bytes > LIMITS.argBytes) throw new Error(`tx.ApplicationArgs total length is too long. ${bytes} > ${LIMITS.argBytes}`);
  if (call.boxes.length > LIMITS.references) throw new Error(`tx.Boxes too long, max number of box references is ${LIMITS.references}`);
  const references = call.accounts.length + call.foreignApps.length + call.foreignAssets.length + call.boxes.length;
  if (references > LIMITS.references) throw new Error(`tx references exceed MaxAppTotalTxnReferences = ${LIMITS.references}`);
  if (call.access.length > LIMITS.access) throw new Error(`tx.Access too long, max number of references is ${LIMITS.access}`);
  if (call.extraPages > LIMITS.extraPages) throw new Error(`tx.ExtraProgramPages exceeds MaxExtraAppProgramPages = ${LIMITS.extraPages}`);
  const room = LIMITS.programPage * (1 + call.extraPages);
  if (call.approvalProgram.length + call.clearProgram.length > room) throw new Error(`app programs too long. max total len ${room} bytes`);
  if (call.appIndex !== 0n && (call.extraPages || call.numGlobalInts || call.numGlobalByteSlices)) {
    throw new Error('tx.ExtraProgramPages and schemas are immutable');
  }
};

const sameBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  Buffer.compare(a ?? new Uint8Array(), b ?? new Uint8Array()) === 0;

const checkGroupId = (txns: readonly algosdk.Transaction[]): void => {
  const group = txns[0]?.group;
  if (!txns.every((txn) => sameBytes(txn.group, group))) throw new Refused('transactionGroup: inconsistent group values');
  if (group === undefined) {
    if (txns.length > 1) throw new Refused(`transactionGroup: [0] had zero Group but was submitted in a group of ${txns.length}`);
    return;
  }
  const bare = txns.map((txn) => {
    const copy = algosdk.decodeUnsignedTransaction(algosdk.encodeUnsignedTransaction(txn));
    delete copy.group;
    return copy;
  });
  const whole = algosdk.computeGroupID(bare);
  if (!sameBytes(whole, group)) {
    const text = (bytes: Uint8Array): string => algosdk.encodeAddress(bytes).slice(0, 52);
    throw new Refused(`transactionGroup: incomplete group: ${text(group)} != ${text(whole)} ({})`);
  }
};

/** The resources that a group's transactions name, and the read budget they give. */
const contextOf = (
  txns: readonly algosdk.Transaction[],
  txids: readonly string[],
  round: bigint,
  latest: bigint,
  genesis: Genesis,
): GroupContext => {
  const boxes = new Map<string, boolean>();
  const accounts = new Set<string>();
  let references = 0;
  for (const txn of txns) {
    accounts.add(txn.sender.toString());
    if (txn.payment) accounts.add(txn.payment.receiver.toString());
    if (txn.payment?.closeRemainderTo) accounts.add(txn.payment.closeRemainderTo.toString());
    const call = txn.applicationCall;
    if (call === undefined) continue;
    for (const account of call.accounts) accounts.add(account.toString());
    for (const app of [call.appIndex, ...call.foreignApps]) if (app !== 0n) accounts.add(appAddress(app));
    for (const reference of call.access) if (reference.address) accounts.add(reference.address.toString());
    const named = [...call.boxes, ...call.access.flatMap((reference) => reference.box ?? [])];
    const empty = call.access.filter(
      (one) => !one.address && !one.appIndex && !one.assetIndex && !one.holding && !one.locals && !one.box,
    ).length;
    references += named.length + empty;
    for (const { appIndex, name } of named) {
      if (name.length > 0) boxes.set(`${appIndex === 0n ? call.appIndex : appIndex}:${Buffer.from(name).toString('hex')}`, false);
    }
  }
  const calls = txns.filter((txn) => txn.applicationCall !== undefined).length;
  return {
    txns,
    txids,
    round,
    latest,
    genesisHash: genesis.hash,
    budget: LIMITS.opcodes * calls,
    credit: feesOf(txns) - MIN_FEE * BigInt(txns.length),
    boxes,
    ioBudget: references * LIMITS.bytesPerReference,
    dirty: 0,
    accounts,
  };
};

/** A new application, and what it costs its creator in minimum balance. */
const createApp = (state: State, sender: string, fields: algosdk.ApplicationTransactionFields): App => {
  const id = state.counter() + 1n;
  const app: App = {
    id,
    creator: sender,
    address: appAddress(id),
    approval: fields.approvalProgram,
    clear: fields.clearProgram,
    extraPages: fields.extraPages,
    uints: fields.numGlobalInts,
    byteSlices: fields.numGlobalByteSlices,
    globals: new Map(),
    boxes: new Map(),
  };
  state.addApp(app);
  const creator = state.account(sender);
  state.put(sender, {
    apps: creator.apps + 1,
    extraPages: creator.extraPages + app.extraPages,
    uints: creator.uints + app.uints,
    byteSlices: creator.byteSlices + app.byteSlices,
  });
  return app;
};

/** The account that signed a transaction whose form is right; undefined where none had to. @throws Refused */
const authorizerOf = (stxn: algosdk.SignedTransaction, unsigned: boolean): string | undefined => {
  try {
    wellFormed(stxn.txn);
    return unsigned ? undefined : authorizer(stxn);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason.startsWith('At least one signature')) throw new Refused(reason, { pooled: false });
    throw new Refused(`transaction ${dump(stxn)} invalid : ${reason}`, { pooled: false });
  }
};

/** A program's failure as algod words it. */
const failedProgram = (error: AvmError, app: bigint, index: number, txid: string | undefined): Refused => {
  const stack = error.values.map((value) =>
    typeof value === 'bigint' ? { type: 2, uint: Number(value) } : { type: 1, bytes: Buffer.from(value).toString('base64') },
  );
  const data = { 'app-index': Number(app), 'eval-states': [{ stack }], 'group-index': index, pc: error.pc };
  const opcodes = error.opcodes.join('; ');
  return new Refused(`transaction ${txid}: logic eval error: ${error.message}. Details: app=${app}, pc=${error.pc}, opcodes=${opcodes}`, {
    data,
  });
};

/** The transactions of a ledger by id and lease: those of the open block can be taken back. */
const recentTransactions = (genesis: Genesis) => {
  const receipts = new Map<string, Receipt>();
  const leases = new Map<string, bigint>();
  let open: { receipts: string[]; leases: [string, bigint | undefined][] } = { receipts: [], leases: [] };
  return {
    receipt: (txid: string): Receipt | undefined => receipts.get(txid),
    /** @throws Refused for one that is too early or too late, of another network, or there already */
    check(txn: algosdk.Transaction, txid: string, round: bigint): void {
      if (round < txn.firstValid || round > txn.lastValid)
        throw new Refused(`txn dead: round ${round} outside of ${txn.firstValid}--${txn.lastValid}`);
      if (txn.genesisID && txn.genesisID !== genesis.id)
        throw new Refused(`tx.GenesisID <${txn.genesisID}> does not match expected <${genesis.id}>`);
      if (!sameBytes(txn.genesisHash, genesis.hash)) {
        const text = (hash: Uint8Array | undefined): string => algosdk.encodeAddress(hash ?? new Uint8Array(32)).slice(0, 52);
        throw new Refused(`tx.GenesisHash <${text(txn.genesisHash)}> does not match expected <${text(genesis.hash)}>`);
      }
      // In the open block the id is looked at first; in confirmed ones the lease is.
      if (open.receipts.includes(txid)) throw new Refused(`transaction already in ledger: ${txid}`);
      const lease = leaseKey(txn);
      if (lease !== undefined && (leases.get(lease) ?? 0n) >= round) {
        const value = algosdk.encodeAddress(txn.lease as Uint8Array);
        throw new Refused(`transaction ${txid} using an overlapping lease (sender, lease):(${txn.sender}, ${value})`);
      }
      if (receipts.has(txid)) throw new Refused(`transaction already in ledger: ${txid}`);
    },
    add(receipt: Receipt): void {
      const { txid } = receipt;
      const { txn } = receipt.stxn;
      receipts.set(txid, receipt);
      open.receipts.push(txid);
      const lease = leaseKey(txn);
      if (lease !== undefined) {
        open.leases.push([lease, leases.get(lease)]);
        leases.set(lease, txn.lastValid);
      }
    },
    mark: (): readonly [number, number] => [open.receipts.length, open.leases.length],
    rollback([receiptMark, leaseMark]: readonly [number, number]): void {
      for (const txid of open.receipts.splice(receiptMark)) receipts.delete(txid);
      for (const [key, before] of open.leases.splice(leaseMark).reverse()) {
        if (before === undefined) leases.delete(key);
        else leases.set(key, before);
      }
    },
    /** Ends the open block. @returns the ids of its transactions */
    close(): string[] {
      const closed = open.receipts;
      open = { receipts: [], leases: [] };
      return closed;
    },
  };
};

/** The first application call of a group pays for reading every box that the group names. */
const checkReads = (state: State, context: GroupContext): void => {
  let read = 0;
  for (const name of context.boxes.keys()) {
    const [id, box] = name.split(':') as [string, string];
    read += state.app(BigInt(id))?.boxes.get(box)?.length ?? 0;
  }
  if (read > context.ioBudget) throw new Error(`read budget exceeded (${read} > ${context.ioBudget})`);
};

const pay = (state: State, txn: algosdk.Transaction, payment: algosdk.PaymentTransactionFields): void => {
  const sender = txn.sender.toString();
  const give = (to: string, amount: bigint): void => state.put(to, { balance: state.account(to).balance + amount });
  spend(state, sender, payment.amount);
  give(payment.receiver.toString(), payment.amount);
  if (payment.closeRemainderTo === undefined) return;
  const { balance, apps } = state.account(sender);
  if (apps > 0) throw new Error(`cannot close: ${apps} outstanding created apps`);
  state.put(sender, { balance: 0n, auth: undefined });
  give(payment.closeRemainderTo.toString(), balance);
};

/** A ledger at its genesis block. */
export const createLedger = (genesis: Genesis): Ledger => {
  const state = emptyState();
  const recent = recentTransactions(genesis);
  const blocks: Block[] = [{ round: 0n, timestamp: genesis.timestamp, hash: genesis.hash, groups: [], txids: [] }];
  for (const { address, balance } of genesis.allocations) state.put(address, { balance });
  state.settle();
  const last = (): Block => blocks[blocks.length - 1] as Block;

  const call = (context: GroupContext, index: number, fields: algosdk.ApplicationTransactionFields): Partial<Receipt> => {
    const sender = context.txns[index]?.sender.toString() as string;
    let app = state.app(fields.appIndex);
    let createdApp: bigint | undefined;
    if (fields.appIndex === 0n) {
      app = createApp(state, sender, fields);
      createdApp = app.id;
      for (const { appIndex, name } of fields.boxes)
        if (appIndex === 0n) context.boxes.set(`${createdApp}:${Buffer.from(name).toString('hex')}`, false);
      context.accounts.add(app.address);
    }
    if (app === undefined) throw new Error(`only ClearState is supported for an application (${fields.appIndex}) that does not exist`);
    if (context.txns.findIndex((txn) => txn.applicationCall !== undefined) === index) checkReads(state, context);
    const before = context.budget;
    const host = hostOf(context, state, app, index);
    try {
      if (!run(app.approval, host)) throw new Error('transaction rejected by ApprovalProgram');
    } catch (error) {
      throw error instanceof AvmError ? failedProgram(error, app.id, index, context.txids[index]) : error;
    }
    if (Number(fields.onComplete) !== 0) throw new Error('only NoOp calls are implemented here');
    return { cost: before - context.budget, logs: host.logs, payments: host.payments, createdApp };
  };

  const runGroup = (stxns: readonly algosdk.SignedTransaction[], unsigned: boolean): Receipt[] => {
    const round = last().round + 1n;
    const txns = stxns.map((stxn) => stxn.txn);
    const txids = txns.map((txn) => txn.txID());
    const fail = (index: number, error: unknown): never => {
      if (error instanceof Refused) throw error;
      throw new Refused(`transaction ${txids[index]}: ${error instanceof Error ? error.message : String(error)}`);
    };
    const authorizers = stxns.map((stxn) => authorizerOf(stxn, unsigned));
    checkGroupId(txns);
    const need = MIN_FEE * BigInt(txns.length);
    if (feesOf(txns) < need)
      throw new Refused(
        `txgroup with ${money(feesOf(txns))} fees is less than ${money(need)} (usage=${txns.length}.000000 * base=${money(MIN_FEE)})`,
      );
    const context = contextOf(txns, txids, round, last().timestamp, genesis);
    return stxns.map((stxn, index) => {
      const { txn } = stxn;
      const txid = txids[index] as string;
      const sender = txn.sender.toString();
      recent.check(txn, txid, round);
      const receipt: Receipt = { txid, stxn, round, cost: 0, logs: [], payments: [] };
      try {
        const actual = authorizers[index];
        if (actual !== undefined) {
          const expected = state.account(sender).auth ?? sender;
          if (actual !== expected) throw new Error(`should have been authorized by ${expected} but was actually authorized by ${actual}`);
        }
        spend(state, sender, txn.fee);
        state.put(FEE_SINK, { balance: state.account(FEE_SINK).balance + txn.fee });
        if (txn.payment) pay(state, txn, txn.payment);
        if (txn.applicationCall) Object.assign(receipt, call(context, index, txn.applicationCall));
        state.count();
        const rekey = txn.rekeyTo?.toString();
        if (rekey !== undefined) state.put(sender, { auth: rekey === sender ? undefined : rekey });
        const short = state.shortfall(0, FEE_SINK);
        if (short && short.address !== FEE_SINK)
          throw new Error(`account ${short.address} balance ${short.balance} below min ${short.minimum} (0 assets)`);
      } catch (error) {
        fail(index, error);
      }
      recent.add(receipt);
      return receipt;
    });
  };

  return {
    genesis,
    state,
    blocks,
    last,
    evaluate: (group, { keep, unsigned = false }) => {
      const [place, kept] = [state.mark(), recent.mark()];
      const rollback = (): void => {
        state.rollback(place);
        recent.rollback(kept);
      };
      try {
        const parts = splitGroup(group);
        if (parts.length === 0) throw new Refused('empty txgroup', { pooled: false });
        if (parts.length > LIMITS.group) throw new Refused(`max group size is ${LIMITS.group}`, { pooled: false });
        const stxns = parts.map(unsigned ? algosdk.decodeSignedTransaction : decodeSigned);
        const done = runGroup(stxns, unsigned);
        if (!keep) rollback();
        return done;
      } catch (error) {
        rollback();
        throw error instanceof Refused ? error : new Refused(error instanceof Error ? error.message : String(error));
      }
    },
    close: (groups, timestamp) => {
      const previous = last();
      const round = previous.round + 1n;
      const text = new TextEncoder().encode(`${round}:${timestamp}`);
      const block: Block = { round, timestamp, hash: sha512_256(previous.hash, text, ...groups), groups, txids: recent.close() };
      blocks.push(block);
      state.settle();
      return block;
    },
    abandon: () => {
      state.rollback(0);
      recent.rollback([0, 0]);
    },
    receipt: recent.receipt,
  };
};

const leaseKey = (txn: algosdk.Transaction): string | undefined =>
  txn.lease === undefined || txn.lease.every((byte) => byte === 0)
    ? undefined
    : `${txn.sender.toString()}/${Buffer.from(txn.lease).toString('base64')}`;
