import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { LedgerWrite, SignedWrite } from '../../ports/ledger.ts';
import { packObject, unpackMetadata, unpackObject } from './codec.ts';
import { type AlgoDid, formatObjectId, infoBox, logBox, oidOf, parseObjectId, resourceBox, segmentBox } from './ids.ts';
import type { AlgodNode } from './node.ts';
import { bytes, type Call, deposit, type Limits, type Plan, planObjectPut, selector, uint64, withBudget } from './plan.ts';
import {
  checkSize,
  ENTRY_HEAD,
  encodeStatus,
  entriesOf,
  type LogHead,
  SEGMENT,
  SEGMENT_HEAD,
  STATUS_KIND,
  type Status,
  sameStatus,
  statesOf,
  statusOf,
} from './status-codec.ts';
import { boxesOf, type OpenLog, oldestSegment, openLog, segmentAt, statusNumber } from './status-log.ts';

/** Plans the writes of status logs, on what the ledger holds now. */

const SELECTORS = Object.freeze({
  logOpen: selector('logOpen(address,byte[24],uint8)void'),
  logAppend: selector('logAppend(address,byte[24],uint64,byte[])void'),
  logPrune: selector('logPrune(address,byte[24],uint64)void'),
});

/** Bytes of the boxes that every call looks at: metadata and info of the DID. */
const DID_BYTES = 121;
const HEAD_BYTES = 41;
const NAME = 57;
const SEGMENT_NAME = 61;

const HEAD = deposit(NAME, HEAD_BYTES);
const segmentDeposit = (size: number): number => deposit(SEGMENT_NAME, size);
const PER_BYTE = 400;

/** The log that a write is about. */
export interface LogTarget {
  key: Uint8Array;
  lid: Uint8Array;
}

const sizeOf = (entries: readonly Uint8Array[]): number => entries.reduce((sum, data) => sum + ENTRY_HEAD + data.length, 0);

/** The calls that append entries: into the `segment` that there is, or a new one of this number. */
const appendCalls = ({ key, lid }: LogTarget, expected: number, entries: readonly Uint8Array[], segment: number): Call[] =>
  entries.map((data, i) => ({
    args: [SELECTORS.logAppend, key, lid, uint64(expected + i), bytes(data)],
    boxes: i === 0 ? [key, infoBox(key), logBox(key, lid), segmentBox(key, lid, segment)] : [],
    accounts: [],
  }));

/** A log that is there: its head, the size of its current segment, and the bitmap that a toggling record may start from. */
export interface AppendBase {
  head: LogHead;
  size: number;
  /** Absent where the current segment cannot be gone on with: another account paid for it, its last record is torn, or it cannot be read. */
  former?: Uint8Array;
}

/** The bytes that one call may read and write bound the segments of earlier consensus versions. */
const roomOf = (limits: Limits): number => Math.min(SEGMENT, limits.references * limits.bytesPerReference - 300);

/**
 * The next record of a log: in the current segment, or whole in a new one where that has no room, or cannot be gone on with.
 * @throws AppError `too-large`
 */
export const planAppend = (target: LogTarget, status: Status, { head, size, former }: AppendBase, limits: Limits): Plan => {
  if (former) {
    const entries = entriesOf(encodeStatus(status, former), limits.chunk, false);
    const grown = size + sizeOf(entries);
    if (grown <= roomOf(limits)) {
      const calls = appendCalls(target, head.entries, entries, head.segment);
      const budgeted = withBudget(calls, DID_BYTES + HEAD_BYTES + grown, limits);
      return { calls: budgeted, deposit: PER_BYTE * sizeOf(entries), refunds: 0 };
    }
  }
  const entries = entriesOf(encodeStatus(status), limits.chunk, true);
  const begun = SEGMENT_HEAD + sizeOf(entries);
  const calls = appendCalls(target, head.entries, entries, head.segment + 1);
  return { calls: withBudget(calls, DID_BYTES + HEAD_BYTES + begun, limits), deposit: segmentDeposit(begun), refunds: 0 };
};

/** Opens a log with its first record. */
const planLog = (target: LogTarget, status: Status, limits: Limits): Plan => {
  const { key, lid } = target;
  const entries = entriesOf(encodeStatus(status), limits.chunk, false);
  const size = SEGMENT_HEAD + sizeOf(entries);
  const open: Call = {
    args: [SELECTORS.logOpen, key, lid, Uint8Array.of(STATUS_KIND)],
    boxes: [key, infoBox(key), logBox(key, lid), segmentBox(key, lid, 0)],
    accounts: [],
  };
  const calls = [open, ...appendCalls(target, 0, entries, 0).map((call) => ({ ...call, boxes: [] }))];
  return { calls: withBudget(calls, DID_BYTES + HEAD_BYTES + size, limits), deposit: HEAD + segmentDeposit(size), refunds: 0 };
};

/** A registry from nothing: its definition, its log and the first record, in one group. @throws AppError `too-large` */
export const planRegistry = (object: Parameters<typeof planObjectPut>[0], status: Status, limits: Limits): Plan => {
  const put = planObjectPut(object, limits);
  const log = planLog({ key: object.key, lid: object.oid }, status, limits);
  if (put.calls.length + log.calls.length + 1 > limits.group)
    throw new AppError('too-large', 'the registry does not fit one group of transactions');
  return { calls: [...put.calls, ...log.calls], deposit: put.deposit + log.deposit, refunds: put.refunds + log.refunds };
};

/** A segment that is removed: its number, its bytes, and who paid for it where that is not the sponsor. */
export interface Pruned {
  number: number;
  size: number;
  payer?: string;
}

/** Removes segments, each by a call that pays its deposit back. */
const planPrune = ({ key, lid }: LogTarget, segments: readonly Pruned[], limits: Limits): Plan => {
  const calls = segments.map(
    ({ number, payer }): Call => ({
      args: [SELECTORS.logPrune, key, lid, uint64(number)],
      boxes: [key, infoBox(key), logBox(key, lid), segmentBox(key, lid, number)],
      accounts: payer === undefined ? [] : [payer],
    }),
  );
  const io = DID_BYTES + HEAD_BYTES + segments.reduce((sum, { size }) => sum + size, 0);
  return { calls: withBudget(calls, io, limits), deposit: 0, refunds: calls.length };
};

/** Segments that one group removes: beside the sponsor's payment, and what is lent and given back under congestion. */
const PRUNED_AT_ONCE = 13;

type StatusWrite = Extract<LedgerWrite, { kind: 'registry-put' | 'status-append' | 'status-prune' }>;
type StatusWritePlan = Plan & Pick<SignedWrite, 'piece'>;

export const isStatusWrite = (write: LedgerWrite): write is StatusWrite =>
  write.kind === 'registry-put' || write.kind === 'status-append' || write.kind === 'status-prune';

/** The input of planning. */
export interface StatusPlanning {
  node: AlgodNode;
  owner: AlgoDid;
  /** The address of the account that pays; without one everything was paid by another. */
  sponsor?: string;
  limits: Limits;
  /** The definition of the registry that a write names. */
  definition: (id: string) => Promise<Record<string, unknown>>;
}

const sizeFrom = (definition: Record<string, unknown>): number =>
  checkSize((definition.value as { maxCredNum?: unknown } | undefined)?.maxCredNum);

const overtaken = (entries: number): AppError =>
  new AppError('status-overtaken', `the log of the registry has another record there: it has ${entries} entries by now`);

/** @throws AppError `did-not-found`, `did-invalid` */
const checkActive = async ({ node, owner }: StatusPlanning): Promise<void> => {
  const metadata = await node.readBox(owner.appId, owner.key);
  if (metadata === undefined) throw new AppError('did-not-found', `${owner.did} must be on the ledger before its registries`);
  if (unpackMetadata(metadata).status !== 1) throw new AppError('did-invalid', `${owner.did} is deactivated`);
};

/** The state that the next record of a log starts from. */
const baseOf = ({ head, current }: OpenLog, size: number, sponsor: string | undefined): AppendBase => {
  const base = { head, size: current.size };
  if (head.open || algosdk.encodeAddress(current.payer) !== sponsor) return base;
  try {
    return { ...base, former: statesOf(current, size).at(-1)?.status.revoked };
  } catch {
    // A damaged segment is left behind: the next one stands by itself.
    return base;
  }
};

const planRegistryPut = async (
  planning: StatusPlanning,
  write: Extract<StatusWrite, { kind: 'registry-put' }>,
): Promise<StatusWritePlan | 'done'> => {
  const { node, owner, sponsor, limits } = planning;
  const { key, appId, did } = owner;
  const lid = oidOf(write.object);
  if (write.id !== formatObjectId(did, 'REV_REG_DEF', lid)) throw new AppError('object-invalid', `the object does not hash to ${write.id}`);
  const size = sizeFrom(write.object);
  const status = statusOf(write.status, size);
  const [piece, ...rest] = packObject(did, 'REV_REG_DEF', write.object);
  if (rest.length > 0) throw new AppError('too-large', 'the definition of the registry does not fit one group of transactions');
  const [box, log] = await Promise.all([node.readBox(appId, resourceBox(key, lid)), openLog(boxesOf(node, owner, lid))]);
  const there = box !== undefined && unpackObject(did, 'REV_REG_DEF', lid, box) !== undefined;
  if (there && log && log.head.entries > 0) {
    const first = await statusNumber(log, size, 0);
    // A first record that was pruned was there.
    if (first ? sameStatus(first, status) : (await oldestSegment(log, log.head.segment)) > 0) return 'done';
    throw overtaken(log.head.entries);
  }
  await checkActive(planning);
  const target = { key, lid };
  const object = { key, ...piece, open: box?.length };
  if (log === undefined) return there ? planLog(target, status, limits) : planRegistry(object, status, limits);
  if (log.head.entries > 0) throw overtaken(log.head.entries);
  // Somebody with the authority has opened the log, and written nothing.
  const append = planAppend(target, status, baseOf(log, size, sponsor), limits);
  if (there) return append;
  const put = planObjectPut(object, limits);
  return { calls: [...put.calls, ...append.calls], deposit: put.deposit + append.deposit, refunds: put.refunds + append.refunds };
};

const planStatusAppend = async (
  planning: StatusPlanning,
  write: Extract<StatusWrite, { kind: 'status-append' }>,
): Promise<StatusWritePlan | 'done'> => {
  const { node, owner, sponsor, limits } = planning;
  const { oid: lid } = parseObjectId(write.id);
  const size = sizeFrom(await planning.definition(write.id));
  const status = statusOf(write.status, size);
  const log = await openLog(boxesOf(node, owner, lid));
  if (log === undefined) throw new AppError('object-not-found', `${write.id} has no status log`);
  const { entries } = log.head;
  if (entries < write.expected)
    throw new AppError('ledger-unavailable', `the node shows ${entries} entries of a log that has ${write.expected} at least`);
  if (entries > write.expected) {
    const written = await statusNumber(log, size, write.expected);
    if (written && sameStatus(written, status)) return 'done';
    throw overtaken(entries);
  }
  await checkActive(planning);
  return planAppend({ key: owner.key, lid }, status, baseOf(log, size, sponsor), limits);
};

const planStatusPrune = async (
  planning: StatusPlanning,
  write: Extract<StatusWrite, { kind: 'status-prune' }>,
): Promise<StatusWritePlan | 'done'> => {
  const { node, owner, sponsor, limits } = planning;
  const { oid: lid } = parseObjectId(write.id);
  const log = await openLog(boxesOf(node, owner, lid));
  if (log === undefined) throw new AppError('object-not-found', `${write.id} has no status log`);
  // The segment that the state of `before` is in stays.
  const end = Math.max(0, await segmentAt(log, write.before));
  const first = await oldestSegment(log, end);
  const numbers = Array.from({ length: Math.min(end - first, PRUNED_AT_ONCE) }, (_none, i) => first + i);
  const segments: Pruned[] = [];
  for (const number of numbers) {
    const segment = await log.segment(number);
    if (segment === undefined) continue;
    const payer = algosdk.encodeAddress(segment.payer);
    segments.push({ number, size: segment.size, ...(payer !== sponsor && { payer }) });
  }
  if (segments.length === 0) return 'done';
  await checkActive(planning);
  return { ...planPrune({ key: owner.key, lid }, segments, limits), piece: { number: first, more: end - first > segments.length } };
};

/**
 * The calls that perform a write of a status log, or `done` where the ledger holds exactly that.
 * @throws AppError as `Ledger.plan`
 */
export const planStatusWrite = async (planning: StatusPlanning, write: StatusWrite): Promise<StatusWritePlan | 'done'> => {
  if (write.kind === 'registry-put') return await planRegistryPut(planning, write);
  const { type, owner } = parseObjectId(write.id);
  if (type !== 'REV_REG_DEF' || owner.did !== planning.owner.did)
    throw new AppError('object-invalid', `${write.id} is no revocation registry of ${planning.owner.did}`);
  return write.kind === 'status-append' ? await planStatusAppend(planning, write) : await planStatusPrune(planning, write);
};
