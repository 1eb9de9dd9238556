import algosdk from 'algosdk';
import { cut, type Host, type Value } from './avm-values.ts';
import { type App, minBalance, type State } from './state.ts';
import { dump, money } from './texts.ts';

/** An inner payment, as it is reported with the transaction that made it. */
export interface InnerPayment {
  sender: string;
  receiver: string;
  amount: bigint;
  fee: bigint;
}

/** What the transactions of a group share while it runs. */
export interface GroupContext {
  txns: readonly algosdk.Transaction[];
  txids: readonly string[];
  round: bigint;
  /** Time of the previous block in seconds, which is what `global LatestTimestamp` gives. */
  latest: bigint;
  genesisHash: Uint8Array;
  /** Opcode cost left, pooled over the group's application calls. */
  budget: number;
  /** Fees paid beyond the minimum, which inner transactions may use. */
  credit: bigint;
  /** Boxes that the group names, as `app:hex`, and whether each is written. */
  boxes: Map<string, boolean>;
  ioBudget: number;
  dirty: number;
  accounts: Set<string>;
}

const MAX_NAME = 64;
const MAX_BOX = 32_768;
const MAX_LOGS = 32;
const MAX_LOG_BYTES = 1024;
export const MIN_FEE = 1000n;
const ZERO = new Uint8Array(32);

const key = (app: App, name: Uint8Array): string => `${app.id}:${Buffer.from(name).toString('hex')}`;
const bytesOf = (address: string): Uint8Array => algosdk.decodeAddress(address).publicKey;

/** Boxes and the I/O budget: what go-algorand's data/transactions/logic/box.go counts as written, and when. */
const boxRules = (context: GroupContext, state: State, app: App) => {
  const checkName = (name: Uint8Array, size: bigint): void => {
    if (name.length === 0) throw new Error('box names may not be zero length');
    if (name.length > MAX_NAME) throw new Error(`name too long: length was ${name.length}, maximum is ${MAX_NAME}`);
    if (size > BigInt(MAX_BOX)) throw new Error(`box size too large: ${size}, maximum is ${MAX_BOX}`);
  };
  const open = (name: Uint8Array, kind: 'create' | 'read' | 'write' | 'delete' | 'resize', size: number): Uint8Array | undefined => {
    checkName(name, BigInt(size));
    const box = key(app, name);
    const dirty = context.boxes.get(box);
    if (dirty === undefined) throw new Error(`invalid Box reference 0x${Buffer.from(name).toString('hex')}`);
    const content = state.box(app, name);
    if (kind === 'create' && content !== undefined) {
      if (content.length !== size) throw new Error(`box size mismatch ${content.length} ${size}`);
      return content;
    }
    let now = dirty;
    if (kind === 'create' || kind === 'write') {
      if (!dirty) context.dirty += content?.length ?? size;
      now = true;
    } else if (kind === 'resize') {
      context.dirty += size - (dirty ? (content?.length ?? 0) : 0);
      now = true;
    } else if (kind === 'delete') {
      if (dirty) context.dirty -= content?.length ?? 0;
      now = false;
    }
    context.boxes.set(box, now);
    if (context.dirty > context.ioBudget) {
      throw new Error(
        `write budget exceeded (${context.dirty} > ${context.ioBudget}) while ${kind} box 0x${Buffer.from(name).toString('hex')}`,
      );
    }
    return content;
  };
  const must = (name: Uint8Array, content: Uint8Array | undefined): Uint8Array => {
    if (content === undefined) throw new Error(`no such box 0x${Buffer.from(name).toString('hex')}`);
    return content;
  };
  const bounded = (name: Uint8Array, size: bigint): number => {
    checkName(name, size);
    return Number(size);
  };
  return {
    boxCreate: (name: Uint8Array, size: bigint): boolean => {
      if (open(name, 'create', bounded(name, size)) !== undefined) return false;
      state.setBox(app, name, new Uint8Array(Number(size)));
      return true;
    },
    boxRead: (name: Uint8Array): Uint8Array | undefined => open(name, 'read', 0),
    boxWrite: (name: Uint8Array, edit: (content: Uint8Array) => Uint8Array): void => {
      state.setBox(app, name, edit(must(name, open(name, 'write', 0))));
    },
    boxPut: (name: Uint8Array, content: Uint8Array): void => {
      const before = open(name, 'write', content.length);
      if (before !== undefined && before.length !== content.length) {
        throw new Error(`attempt to box_put wrong size ${before.length} != ${content.length}`);
      }
      state.setBox(app, name, content);
    },
    boxDelete: (name: Uint8Array): boolean => {
      if (open(name, 'delete', 0) === undefined) return false;
      state.setBox(app, name, undefined);
      return true;
    },
    boxResize: (name: Uint8Array, size: bigint): void => {
      const length = bounded(name, size);
      const content = must(name, open(name, 'resize', length));
      const out = new Uint8Array(length);
      out.set(content.subarray(0, length));
      state.setBox(app, name, out);
    },
  };
};

const txnField = (context: GroupContext, index: number, field: string, nth: number | undefined): Value => {
  const txn = context.txns[index];
  if (txn === undefined) throw new Error(`txn index ${index}, len(group) is ${context.txns.length}`);
  const call = txn.applicationCall;
  const item = <T>(list: readonly T[] | undefined): T => {
    const value = list?.[nth ?? 0];
    if (value === undefined) throw new Error(`invalid ${field} index ${nth}`);
    return value;
  };
  switch (field) {
    case 'Sender':
      return txn.sender.publicKey;
    case 'Fee':
      return txn.fee;
    case 'FirstValid':
      return txn.firstValid;
    case 'LastValid':
      return txn.lastValid;
    case 'Note':
      return txn.note;
    case 'Lease':
      return txn.lease ?? ZERO;
    case 'Receiver':
      return txn.payment?.receiver.publicKey ?? ZERO;
    case 'Amount':
      return txn.payment?.amount ?? 0n;
    case 'CloseRemainderTo':
      return txn.payment?.closeRemainderTo?.publicKey ?? ZERO;
    case 'RekeyTo':
      return txn.rekeyTo?.publicKey ?? ZERO;
    case 'Type':
      return new TextEncoder().encode(txn.type);
    case 'TypeEnum':
      return txn.payment ? 1n : 6n;
    case 'GroupIndex':
      return BigInt(index);
    case 'TxID':
      return txn.rawTxID();
    case 'ApplicationID':
      return call?.appIndex ?? 0n;
    case 'OnCompletion':
      return BigInt(call?.onComplete ?? 0);
    case 'ApplicationArgs':
      return item(call?.appArgs);
    case 'NumAppArgs':
      return BigInt(call?.appArgs.length ?? 0);
    case 'Accounts':
      return nth === 0 ? txn.sender.publicKey : (item(call ? [txn.sender, ...call.accounts] : []).publicKey ?? ZERO);
    case 'NumAccounts':
      return BigInt(call?.accounts.length ?? 0);
    default:
      throw new Error(`field ${field} is not implemented here`);
  }
};

const globalField = (context: GroupContext, app: App, txn: algosdk.Transaction, field: string): Value => {
  switch (field) {
    case 'MinTxnFee':
      return MIN_FEE;
    case 'MinBalance':
      return 100_000n;
    case 'MaxTxnLife':
      return 1000n;
    case 'ZeroAddress':
      return ZERO;
    case 'GroupSize':
      return BigInt(context.txns.length);
    case 'Round':
      return context.round;
    case 'LatestTimestamp':
      return context.latest;
    case 'CurrentApplicationID':
      return app.id;
    case 'CreatorAddress':
      return bytesOf(app.creator);
    case 'CurrentApplicationAddress':
      return bytesOf(app.address);
    case 'GroupID':
      return txn.group ?? ZERO;
    case 'OpcodeBudget':
      return BigInt(context.budget);
    case 'GenesisHash':
      return context.genesisHash;
    case 'CallerApplicationID':
      return 0n;
    case 'CallerApplicationAddress':
      return ZERO;
    default:
      throw new Error(`field ${field} is not implemented here`);
  }
};

const available = (context: GroupContext, address: string): string => {
  if (!context.accounts.has(address)) throw new Error(`unavailable Account ${address}`);
  return address;
};

/** Makes an inner payment; nothing else is known here. */
const innerPayment = (context: GroupContext, state: State, app: App, fields: ReadonlyMap<string, Value>): InnerPayment => {
  const number = (field: string, otherwise: bigint): bigint => {
    const value = fields.get(field) ?? otherwise;
    if (typeof value !== 'bigint') throw new Error(`${field} is not a uint64`);
    return value;
  };
  const address = (field: string, otherwise: string): string => {
    const value = fields.get(field);
    if (value === undefined) return otherwise;
    if (typeof value === 'bigint' || value.length !== 32) throw new Error(`${field} is not an address`);
    return available(context, algosdk.encodeAddress(value));
  };
  if (number('TypeEnum', 0n) !== 1n) throw new Error('only inner payments are implemented here');
  for (const field of fields.keys()) {
    if (!['TypeEnum', 'Receiver', 'Amount', 'Fee', 'Sender', 'Note'].includes(field))
      throw new Error(`inner field ${field} is not implemented here`);
  }
  const sender = address('Sender', app.address);
  if ((state.account(sender).auth ?? sender) !== app.address) throw new Error(`unauthorized AssetSender ${sender}`);
  const payment = {
    sender,
    receiver: address('Receiver', algosdk.encodeAddress(ZERO)),
    amount: number('Amount', 0n),
    fee: number('Fee', MIN_FEE),
  };
  const paid = payment.fee + context.credit;
  if (paid < MIN_FEE) {
    const subtxns = context.txns.map((one) => dump(new algosdk.SignedTransaction({ txn: one }))).join(', ');
    throw new Error(`group fee ${money(paid)} too small (needs ${money(MIN_FEE - paid)} more) []transactions.SignedTxnWithAD{${subtxns}}`);
  }
  context.credit += payment.fee - MIN_FEE;
  // The minimum balance is the top-level transaction's business: it is checked when the whole call is over.
  spend(state, payment.sender, payment.fee);
  spend(state, payment.sender, payment.amount);
  state.put(payment.receiver, { balance: state.account(payment.receiver).balance + payment.amount });
  state.count();
  return payment;
};

/** The host of one application call: everything it may read and change, under the group's shared budgets. */
export const hostOf = (
  context: GroupContext,
  state: State,
  app: App,
  groupIndex: number,
): Host & { logs: Uint8Array[]; payments: InnerPayment[] } => {
  const logs: Uint8Array[] = [];
  const payments: InnerPayment[] = [];
  const txn = context.txns[groupIndex] as algosdk.Transaction;
  const hexKey = (name: Uint8Array): string => Buffer.from(name).toString('hex');
  const acctField = (bytes: Uint8Array, field: string): { value: Value; exists: boolean } => {
    const account = state.account(available(context, algosdk.encodeAddress(bytes)));
    const values: Record<string, Value> = {
      AcctBalance: account.balance,
      AcctMinBalance: minBalance(account),
      AcctAuthAddr: account.auth === undefined ? ZERO : bytesOf(account.auth),
      AcctTotalBoxes: BigInt(account.boxes),
      AcctTotalBoxBytes: BigInt(account.boxBytes),
      AcctTotalAppsCreated: BigInt(account.apps),
    };
    const value = values[field];
    if (value === undefined) throw new Error(`field ${field} is not implemented here`);
    return { value, exists: account.balance > 0n };
  };

  const appField = (id: bigint, field: string): { value: Value; exists: boolean } => {
    const other = id === app.id || id === 0n ? app : undefined;
    if (other === undefined) throw new Error(`unavailable App ${id}`);
    const values: Record<string, Value> = {
      AppApprovalProgram: other.approval,
      AppClearStateProgram: other.clear,
      AppCreator: bytesOf(other.creator),
      AppAddress: bytesOf(other.address),
      AppExtraProgramPages: BigInt(other.extraPages),
      AppGlobalNumUint: BigInt(other.uints),
      AppGlobalNumByteSlice: BigInt(other.byteSlices),
    };
    const value = values[field];
    if (value === undefined) throw new Error(`field ${field} is not implemented here`);
    return { value, exists: true };
  };

  return {
    groupIndex,
    logs,
    payments,
    txnField: (index, field, nth) => txnField(context, index, field, nth),
    globalField: (field) => globalField(context, app, txn, field),
    acctField,
    appField,
    ...boxRules(context, state, app),
    globalGet: (name) => app.globals.get(hexKey(name)) ?? 0n,
    globalGetEx: (id, name) => {
      if (id !== 0n && id !== app.id) throw new Error(`unavailable App ${id}`);
      const value = app.globals.get(hexKey(name));
      return { value: value ?? 0n, exists: value !== undefined };
    },
    globalPut: (name, value) => {
      if (name.length > MAX_NAME) throw new Error(`key too long: length was ${name.length}`);
      if (name.length + (typeof value === 'bigint' ? 0 : value.length) > 128) throw new Error('value too long for key');
      state.setGlobal(app, hexKey(name), value);
      const kinds = [...app.globals.values()].map((item) => typeof item === 'bigint');
      if (kinds.filter(Boolean).length > app.uints || kinds.filter((uint) => !uint).length > app.byteSlices) {
        throw new Error('store count exceeds schema count');
      }
    },
    globalDel: (name) => state.setGlobal(app, hexKey(name), undefined),
    log: (bytes) => {
      if (logs.length >= MAX_LOGS) throw new Error(`too many log calls in program. up to ${MAX_LOGS} is allowed`);
      if (logs.reduce((sum, item) => sum + item.length, bytes.length) > MAX_LOG_BYTES) throw new Error(`program logs too large`);
      logs.push(cut(bytes, 0n, BigInt(bytes.length)));
    },
    inner: (fields) => {
      payments.push(innerPayment(context, state, app, fields));
    },
    charge: (cost) => {
      context.budget -= cost;
      return context.budget >= 0;
    },
  };
};

/** Takes an amount from an account. @throws if it has less */
export const spend = (state: State, address: string, amount: bigint): void => {
  const { balance } = state.account(address);
  if (balance < amount) throw new Error(`overspend (account ${address}, data {MicroAlgos:${balance}}, tried to spend {${amount}})`);
  state.put(address, { balance: balance - amount });
};
