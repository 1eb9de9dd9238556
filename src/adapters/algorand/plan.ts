import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { SignedWrite } from '../../ports/ledger.ts';
import { RESOURCE_HEAD } from './codec.ts';
import { dataBox, dataIndex, infoBox, resourceBox, stagedBox } from './ids.ts';

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

/** A plan of one group, and which piece of the write it is. */
export type PiecePlan = Plan & Pick<SignedWrite, 'piece'>;

/** The deposit of a box (go-algorand, config/consensus.go): 2,500 and 400 for every byte of name and value. */
export const deposit = (name: number, value: number): number => 2_500 + 400 * (name + value);

const METADATA = deposit(32, 33);
const INFO = deposit(33, 88);
const STAGED = deposit(33, 48);
const data = (size: number): number => deposit(8, size);

export const selector = (signature: string): Uint8Array => algosdk.ABIMethod.fromSignature(signature).getSelector();
const SELECTORS = Object.freeze({
  didPut: selector('didPut(uint64,uint64,byte[])void'),
  didStage: selector('didStage(uint64,uint64,uint64,byte[])void'),
  didMore: selector('didMore(uint64,byte[])void'),
  didCommit: selector('didCommit(uint64,uint64,byte[])void'),
  didDrop: selector('didDrop()void'),
  setOperator: selector('setOperator(address)void'),
  didDeactivate: selector('didDeactivate(uint64)void'),
  resPut: selector('resPut(address,byte[24],byte[2],uint64,byte[])void'),
  resMore: selector('resMore(address,byte[24],byte[])void'),
});

export const uint64 = (value: bigint | number): Uint8Array => algosdk.encodeUint64(value);
/** An ABI `byte[]`: two bytes of length, then the bytes. */
export const bytes = (value: Uint8Array): Uint8Array =>
  Uint8Array.from(Buffer.concat([Uint8Array.of(value.length >> 8, value.length & 0xff), value]));
const NONE = new Uint8Array();

const chunks = (value: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.max(1, Math.ceil(value.length / size)) }, (_none, i) => value.subarray(i * size, (i + 1) * size));

/**
 * Adds empty references, and then calls that change nothing (`filler`), until the group may read and write `io` bytes.
 * @throws AppError `too-large` if it cannot
 */
export const withBudget = (calls: Call[], io: number, limits: Limits, filler?: () => Call): Call[] => {
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

/** The ledger's state of a DID, as far as a write needs it. A `payer` is named where it is another account than the sponsor, whom the group names anyway. */
export interface DidState {
  key: Uint8Array;
  /** Version, data box and size of the present document, who paid for it, and who may write beside the key; absent before the first. */
  current?: { version: bigint; index: bigint; size: number; operator: Uint8Array; payer?: string };
  /** A document that was staged and given up. */
  staged?: { index: bigint; size: number; payer?: string };
  /** A number under which the data box of the next version does not exist. */
  salt: bigint;
}

/** Appoints the operator that is appointed already: a large document that is read or deleted needs more references than one call has. */
const fillerOf = ({ key, current }: DidState): (() => Call) | undefined =>
  current && (() => ({ args: [SELECTORS.setOperator, current.operator], boxes: [infoBox(key)], accounts: [] }));

const named = (payer: string | undefined): string[] => (payer === undefined ? [] : [payer]);

/**
 * The changes of a call: `locks` and `frees` in microALGO. A balance that another account than the sponsor paid goes back to it whole; otherwise the difference is settled.
 */
const settled = (locks: number, frees: { amount: number; payer?: string }[]): { deposit: number; refunds: number } => {
  const others = frees.filter(({ payer }) => payer !== undefined).length;
  const net = locks - frees.reduce((sum, { amount, payer }) => sum + (payer === undefined ? amount : 0), 0);
  return { deposit: Math.max(0, net), refunds: others + (net < 0 ? 1 : 0) };
};

/** Creates or replaces a DID document: one call, or a staged one, all in one group, which holds 28,500 bytes at most. */
export const planDidPut = (state: DidState, document: Uint8Array, limits: Limits): Plan => {
  const { key, current, staged } = state;
  if (document.length > limits.box) throw new AppError('too-large', `the DID document has ${document.length} bytes`);
  const version = current?.version ?? 0n;
  const [replaced, salt] = [uint64(version), uint64(state.salt)];
  const name = dataBox(dataIndex(key, version + 1n, state.salt));
  const old = current ? [dataBox(current.index)] : [];
  const freed = current ? [{ amount: data(current.size), payer: current.payer }] : [];
  const base = current ? 0 : METADATA + INFO;
  const io = 121 + document.length + (current?.size ?? 0);
  const parts = chunks(document, limits.chunk);
  const last = parts.pop() as Uint8Array;
  if (parts.length === 0) {
    const args = [SELECTORS.didPut, replaced, salt, bytes(last)];
    const call = { args, boxes: [key, infoBox(key), name, ...old], accounts: named(current?.payer) };
    return { calls: withBudget([call], io, limits, fillerOf(state)), ...settled(base + data(document.length), freed) };
  }
  const [first, ...middle] = parts as [Uint8Array, ...Uint8Array[]];
  const calls: Call[] = [
    {
      args: [SELECTORS.didStage, replaced, salt, uint64(document.length), bytes(first)],
      boxes: [stagedBox(key), name, ...(staged ? [dataBox(staged.index)] : [])],
      accounts: named(staged?.payer),
    },
    ...middle.map((part, i): Call => ({ args: [SELECTORS.didMore, uint64((i + 1) * limits.chunk), bytes(part)], boxes: [], accounts: [] })),
    { args: [SELECTORS.didCommit, replaced, salt, bytes(last)], boxes: [key, infoBox(key), ...old], accounts: named(current?.payer) },
  ];
  const dropped = staged ? [{ amount: STAGED + data(staged.size), payer: staged.payer }] : [];
  const begin = settled(STAGED + data(document.length), dropped);
  const end = settled(base, [{ amount: STAGED }, ...freed]);
  return {
    calls: withBudget(calls, io + 96 + (staged?.size ?? 0), limits, fillerOf(state)),
    deposit: begin.deposit + end.deposit,
    refunds: begin.refunds + end.refunds,
  };
};

/** Appoints the account that may write objects beside the DID's key; none with zeros. */
export const planOperator = ({ key }: Pick<DidState, 'key'>, operator: Uint8Array): Plan => ({
  calls: [{ args: [SELECTORS.setOperator, operator], boxes: [infoBox(key)], accounts: [] }],
  deposit: 0,
  refunds: 0,
});

/** Ends a DID, and drops what is staged. */
export const planDidDeactivate = (state: DidState, limits: Limits): Plan => {
  const { key, current, staged } = state;
  if (current === undefined) throw new AppError('did-not-found', 'a DID that does not exist cannot be deactivated');
  const args = [SELECTORS.didDeactivate, uint64(current.version)];
  const calls: Call[] = [{ args, boxes: [key, infoBox(key), dataBox(current.index)], accounts: named(current.payer) }];
  if (staged) calls.push({ args: [SELECTORS.didDrop], boxes: [stagedBox(key), dataBox(staged.index)], accounts: named(staged.payer) });
  const io = 121 + current.size + (staged ? 48 + staged.size : 0);
  return { calls: withBudget(calls, io, limits, fillerOf(state)), deposit: 0, refunds: calls.length };
};

/** Writes a resource; `open` is the size of an unsealed box of this name, which is started anew. */
export const planObjectPut = (
  target: { key: Uint8Array; oid: Uint8Array; head: Uint8Array; payload: Uint8Array; open?: number },
  limits: Limits,
): Plan => {
  const { key, oid, head, payload, open } = target;
  const size = RESOURCE_HEAD + payload.length;
  if (size > limits.box) throw new AppError('too-large', `the object has ${payload.length} bytes when compressed`);
  const [first = NONE, ...rest] = chunks(payload, limits.chunk);
  const name = resourceBox(key, oid);
  const calls: Call[] = [
    { args: [SELECTORS.resPut, key, oid, head, uint64(payload.length), bytes(first)], boxes: [name, key, infoBox(key)], accounts: [] },
    ...rest.map((part): Call => ({ args: [SELECTORS.resMore, key, oid, bytes(part)], boxes: [], accounts: [] })),
  ];
  const net = deposit(name.length, size) - (open === undefined ? 0 : deposit(name.length, open));
  return { calls: withBudget(calls, 121 + Math.max(size, open ?? 0), limits), deposit: Math.max(0, net), refunds: net < 0 ? 1 : 0 };
};
