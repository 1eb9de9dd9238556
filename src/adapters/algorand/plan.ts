import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import { RESOURCE_HEAD } from './codec.ts';
import { dataBox, infoBox, resourceBox, stagedBox } from './ids.ts';

/** The limits that decide the shape of a group, by consensus version. */
export interface Limits {
  /** Bytes of reading or writing that each box reference allows, pooled over the group. */
  bytesPerReference: number;
  /** Bytes of a document or payload in one call: what is left of 2,048 bytes of arguments. */
  chunk: number;
  references: number;
  group: number;
  box: number;
}

const V41: Limits = Object.freeze({ bytesPerReference: 2048, chunk: 1900, references: 8, group: 16, box: 32_768 });
const V40: Limits = Object.freeze({ ...V41, bytesPerReference: 1024 });
const SPECS = 'https://github.com/algorandfoundation/specs/tree/';

/** v42 allows more for a surcharge; its smaller limits are v41's, so v41's are used. */
const BY_VERSION: ReadonlyMap<string, Limits> = new Map([
  [`${SPECS}236dcc18c9c507d794813ab768e467ea42d1b4d9`, V40],
  [`${SPECS}953304de35264fc3ef91bcd05c123242015eeaed`, V41],
  [`${SPECS}268b63433a907455d439995bf916f6b296018f4f`, V41],
]);

/** The limits of a consensus version; v41's for one that is not known, never larger ones. */
export const limitsOf = (consensus: string | undefined): Limits => BY_VERSION.get(consensus ?? '') ?? V41;

/** One application call of a group. */
export interface Call {
  args: Uint8Array[];
  /** Box names; an empty one only adds to the I/O budget. */
  boxes: Uint8Array[];
  accounts: string[];
}

/** The application calls of a write and what must be paid before them, in microALGO. `refunds` counts the inner payments, whose fees the group pools. */
export interface Plan {
  calls: Call[];
  deposit: number;
  refunds: number;
}

/** The deposit of a box (go-algorand, config/consensus.go): 2,500 and 400 for every byte of name and value. */
export const deposit = (name: number, value: number): number => 2_500 + 400 * (name + value);

const METADATA = deposit(32, 33);
const INFO = deposit(33, 88);
const STAGED = deposit(33, 48);
const data = (size: number): number => deposit(8, size);

const selector = (signature: string): Uint8Array => algosdk.ABIMethod.fromSignature(signature).getSelector();
const SELECTORS = Object.freeze({
  didStage: selector('didStage(uint64,uint64,byte[])void'),
  didPut: selector('didPut(uint64,byte[])void'),
  setOperator: selector('setOperator(address)void'),
  didDeactivate: selector('didDeactivate(uint64)void'),
  resPut: selector('resPut(address,byte[24],byte[2],uint64,byte[])void'),
  resMore: selector('resMore(address,byte[24],byte[])void'),
});

const uint64 = (value: bigint | number): Uint8Array => algosdk.encodeUint64(value);
/** An ABI `byte[]`: two bytes of length, then the bytes. */
const bytes = (value: Uint8Array): Uint8Array =>
  Uint8Array.from(Buffer.concat([Uint8Array.of(value.length >> 8, value.length & 0xff), value]));
const NONE = new Uint8Array();

const chunks = (value: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.max(1, Math.ceil(value.length / size)) }, (_none, i) => value.subarray(i * size, (i + 1) * size));

/**
 * Adds empty references, and then calls that change nothing (`filler`), until the group may read and write `io` bytes.
 * @throws AppError `too-large` if it cannot
 */
const withBudget = (calls: Call[], io: number, limits: Limits, filler?: () => Call): Call[] => {
  const all = [...calls];
  let missing = Math.ceil(io / limits.bytesPerReference) - all.reduce((sum, call) => sum + call.boxes.length, 0);
  const fill = (call: Call): void => {
    const room = limits.references - call.boxes.length - call.accounts.length;
    const more = Math.max(0, Math.min(room, missing));
    call.boxes.push(...new Array<Uint8Array>(more).fill(NONE));
    missing -= more;
  };
  for (const call of all) fill(call);
  while (missing > 0 && filler && all.length < limits.group) {
    const call = filler();
    missing -= call.boxes.length;
    fill(call);
    all.unshift(call);
  }
  if (all.length + 1 > limits.group || missing > 0) throw new AppError('too-large', 'the write does not fit one group of transactions');
  return all;
};

/** What the ledger holds of a DID, as far as a write needs it. */
export interface DidState {
  key: Uint8Array;
  /** Version, data box and size of the present document, and who may write beside the key; absent before the first. */
  current?: { version: bigint; index: bigint; size: number; operator: Uint8Array };
  /** A document that somebody began to stage. */
  staged?: { index: bigint; size: number };
  /** The last data box number handed out. */
  lastIndex: bigint;
  /** Who gets refunds, unless it is the sponsor, whom the group names anyway. */
  payer?: string;
}

/** Appoints the operator that is appointed already: a large document that is read or deleted needs more references than one call has. */
const fillerOf = ({ key, current }: DidState): (() => Call) | undefined =>
  current && (() => ({ args: [SELECTORS.setOperator, current.operator], boxes: [infoBox(key)], accounts: [] }));

/** Creates or replaces a DID document: one call, or parts staged before it, all in one group, which holds 28,500 bytes at most. */
export const planDidPut = (state: DidState, document: Uint8Array, limits: Limits): Plan => {
  const { key, current, staged, lastIndex } = state;
  if (document.length > limits.box) throw new AppError('too-large', `the DID document has ${document.length} bytes`);
  const accounts = state.payer === undefined ? [] : [state.payer];
  const old = current ? [dataBox(current.index)] : [];
  const version = uint64(current?.version ?? 0n);
  const base = current ? 0 : METADATA + INFO;
  const freed = current ? data(current.size) : 0;
  const io = 121 + document.length + (current?.size ?? 0) + (staged ? staged.size + 48 : 0) + 48;
  // Other writers may take numbers between this reading and the call: the next few are named too.
  const next = (room: number): Uint8Array[] => Array.from({ length: room }, (_none, i) => dataBox(lastIndex + 1n + BigInt(i)));
  const parts = chunks(document, limits.chunk);
  if (parts.length === 1 && !staged) {
    const named = [key, infoBox(key), stagedBox(key), ...old];
    const call = {
      args: [SELECTORS.didPut, version, bytes(document)],
      boxes: [...named, ...next(limits.references - named.length - accounts.length)],
      accounts,
    };
    const net = base + data(document.length) - freed;
    return { calls: withBudget([call], io, limits, fillerOf(state)), deposit: Math.max(0, net), refunds: net < 0 ? 1 : 0 };
  }
  const last = parts.length > 1 ? (parts.pop() as Uint8Array) : NONE;
  const dropped = staged ? [dataBox(staged.index)] : [];
  const stages = parts.map((part, i): Call => {
    const boxes = i === 0 ? [stagedBox(key), ...dropped, ...next(4)] : [];
    return {
      args: [SELECTORS.didStage, uint64(document.length), uint64(i * limits.chunk), bytes(part)],
      boxes,
      accounts: i === 0 ? accounts : [],
    };
  });
  const put: Call = { args: [SELECTORS.didPut, version, bytes(last)], boxes: [key, infoBox(key), ...old], accounts };
  // The first call swaps what was staged before for this document; the last one frees the note of staging and the old document.
  const first = STAGED + data(document.length) - (staged ? STAGED + data(staged.size) : 0);
  const end = base - STAGED - freed;
  return {
    calls: withBudget([...stages, put], io, limits, fillerOf(state)),
    deposit: Math.max(0, first) + Math.max(0, end),
    refunds: (first < 0 ? 1 : 0) + (end < 0 ? 1 : 0),
  };
};

/** Ends a DID. */
export const planDidDeactivate = (state: DidState, limits: Limits): Plan => {
  const { key, current, staged } = state;
  if (current === undefined) throw new AppError('did-not-found', 'a DID that does not exist cannot be deactivated');
  const accounts = state.payer === undefined ? [] : [state.payer];
  const boxes = [key, infoBox(key), stagedBox(key), dataBox(current.index), ...(staged ? [dataBox(staged.index)] : [])];
  const calls = [{ args: [SELECTORS.didDeactivate, uint64(current.version)], boxes, accounts }];
  return { calls: withBudget(calls, 169 + current.size + (staged?.size ?? 0), limits, fillerOf(state)), deposit: 0, refunds: 1 };
};

/** Writes a resource; `open` is the size of an unsealed box of this name, which is started anew. */
export const planObjectPut = (
  target: { key: Uint8Array; oid: Uint8Array; head: Uint8Array; payload: Uint8Array; open?: number; payer?: string },
  limits: Limits,
): Plan => {
  const { key, oid, head, payload, open } = target;
  const size = RESOURCE_HEAD + payload.length;
  if (size > limits.box) throw new AppError('too-large', `the object has ${payload.length} bytes when compressed`);
  const [first = NONE, ...rest] = chunks(payload, limits.chunk);
  const accounts = target.payer === undefined ? [] : [target.payer];
  const name = resourceBox(key, oid);
  const calls: Call[] = [
    { args: [SELECTORS.resPut, key, oid, head, uint64(payload.length), bytes(first)], boxes: [name, key, infoBox(key)], accounts },
    ...rest.map((part): Call => ({ args: [SELECTORS.resMore, key, oid, bytes(part)], boxes: [], accounts: [] })),
  ];
  const net = deposit(name.length, size) - (open === undefined ? 0 : deposit(name.length, open));
  return { calls: withBudget(calls, 121 + Math.max(size, open ?? 0), limits), deposit: Math.max(0, net), refunds: net < 0 ? 1 : 0 };
};

/** What every transaction of a group needs to know. */
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

/** The transactions of a plan, grouped and unsigned: the sponsor's payment with all fees and the deposit, then the calls at no fee. */
export const buildGroup = (plan: Plan, frame: GroupFrame): { txns: algosdk.Transaction[]; fee: number; lastValid: bigint } => {
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
  const txns = algosdk.assignGroupID([payment(fee), ...calls]);
  return { txns, fee, lastValid };
};
