import { AppError, type ErrorCode } from '../../errors.ts';
import type { Ledger, LedgerWrite, StatusEntry } from '../../ports/ledger.ts';
import { coalesce, createCache, deepFreeze } from './cache.ts';
import { type AlgoDid, canonical, formatObjectId, logBox, parseObjectId, segmentBox } from './ids.ts';
import { type AlgodNode, lastBlockTime } from './node.ts';
import {
  checkSize,
  type LogHead,
  type LogState,
  type Segment,
  type Status,
  shownStatus,
  statesOf,
  unpackHead,
  unpackSegment,
} from './status-codec.ts';

/** Reads that are tried while head and segment disagree: a record may have come between them. */
const TORN_READS = 3;
/** Segments without a state that are stepped over: a writer who leaves that many behind writes no log. */
const MAX_STEPS = 64;
/** Settled states that are remembered; one has 6 kB at most. */
const MAX_STATES = 500;

const invalid = (reason: string): AppError => new AppError('object-invalid', `the status log ${reason}`);

/** The boxes of one log. */
export interface LogBoxes {
  head(): Promise<Uint8Array | undefined>;
  segment(number: number): Promise<Uint8Array | undefined>;
}

/** The head of a log and its current segment, which belong together. */
export interface OpenLog {
  head: LogHead;
  current: Segment;
  /** A segment of the log; undefined where it was pruned. */
  segment(number: number): Promise<Segment | undefined>;
}

/** The boxes of a log by its name, as one node has them. */
export const boxesOf = (node: AlgodNode, { appId, key }: AlgoDid, lid: Uint8Array): LogBoxes => ({
  head: () => node.readBox(appId, logBox(key, lid)),
  segment: (number) => node.readBox(appId, segmentBox(key, lid, number)),
});

const agree = (head: LogHead, current: Segment): boolean => {
  const last = current.entries.at(-1);
  if (last === undefined) return head.entries === 0 && head.segment === 0;
  const open = ((last.data[0] as number) & 0x80) !== 0;
  return last.time === head.updated && last.round === head.round && open === head.open && current.entries.length <= head.entries;
};

/**
 * Opens a log; undefined where there is none.
 * @throws AppError `object-invalid`
 */
export const openLog = async (boxes: LogBoxes): Promise<OpenLog | undefined> => {
  for (let attempt = 0; attempt < TORN_READS; attempt++) {
    const headBox = await boxes.head();
    if (headBox === undefined) return undefined;
    const head = unpackHead(headBox);
    const box = await boxes.segment(head.segment);
    const current = box && unpackSegment(box, head.segment);
    if (current === undefined || !agree(head, current)) continue;
    const segment = async (number: number): Promise<Segment | undefined> => {
      if (number === head.segment) return current;
      const older = await boxes.segment(number);
      return older && unpackSegment(older, number);
    };
    return { head, current, segment };
  }
  throw invalid('has a head that is not that of its current segment');
};

/** When the first entry of a segment was written; an empty one, or one that was pruned, began before everything. */
const startOf = (segment: Segment | undefined): number => segment?.entries[0]?.time ?? Number.NEGATIVE_INFINITY;

/** The last number from 0 below `end` for which `holds`, where it holds up to some number and no further; -1 for none. */
const lastThat = async (end: number, holds: (number: number) => Promise<boolean>): Promise<number> => {
  let [low, high] = [0, end - 1];
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    if (await holds(middle)) low = middle + 1;
    else high = middle - 1;
  }
  return high;
};

/** The segment in which the state in force at `time` is looked for first; -1 where none began by then. */
export const segmentAt = async ({ head, current, segment }: OpenLog, time: number): Promise<number> => {
  if (startOf(current) <= time) return head.segment;
  return await lastThat(head.segment, async (number) => startOf(await segment(number)) <= time);
};

/** The oldest segment below `end` that is there, where those before it were pruned; `end` where none is. */
export const oldestSegment = async ({ segment }: OpenLog, end: number): Promise<number> =>
  (await lastThat(end, async (number) => (await segment(number)) === undefined)) + 1;

/** The first state after a segment. */
const nextAfter = async ({ head, segment }: OpenLog, number: number, size: number): Promise<LogState | undefined> => {
  for (let at = number + 1; at <= head.segment; at++) {
    if (at - number > MAX_STEPS) throw invalid('has too many segments without a state');
    const found = await segment(at);
    const first = found && statesOf(found, size)[0];
    if (first) return first;
  }
  return undefined;
};

/**
 * The last state of a log, or the one in force at `time`, and the one after it.
 * @throws AppError `status-none`, `status-pruned`, `object-invalid`
 */
export const stateAt = async (log: OpenLog, size: number, time?: number): Promise<{ state: LogState; next?: LogState }> => {
  const none = (): AppError => new AppError('status-none', `the registry had no state at ${time ?? 'any time'}`);
  if (log.head.entries === 0 || (time !== undefined && time < log.head.created)) throw none();
  let number = time === undefined ? log.head.segment : await segmentAt(log, time);
  for (let step = 0; number >= 0; number--, step++) {
    if (step > MAX_STEPS) throw invalid('has too many segments without a state');
    const segment = await log.segment(number);
    if (segment === undefined) throw new AppError('status-pruned', `the registry has dropped its state of ${time ?? 'now'}`);
    const states = statesOf(segment, size);
    const at = states.findLastIndex(({ record }) => time === undefined || record.time <= time);
    const state = states[at];
    if (state) return { state, next: states[at + 1] ?? (await nextAfter(log, number, size)) };
  }
  throw none();
};

/** The status whose record has the number `expected` among the entries of a log; undefined where there is none, or it was pruned. */
export const statusNumber = async (log: OpenLog, size: number, expected: number): Promise<Status | undefined> => {
  let start = log.head.entries;
  for (let number = log.head.segment; number >= 0 && log.head.segment - number <= MAX_STEPS; number--) {
    const segment = await log.segment(number);
    if (segment === undefined) return undefined;
    start -= segment.entries.length;
    if (expected >= start) return statesOf(segment, size).find(({ record }) => start + record.first === expected)?.status;
  }
  return undefined;
};

/** A node's answer about a log: a state, or why there is none. */
type Answer = StatusEntry | { code: ErrorCode; reason: string };

/** Why there is no state; an error that is not about the log, such as a node that does not answer, is thrown on. */
const reasonOf = (error: unknown): Answer => {
  if (!(error instanceof AppError) || !REASONS.has(error.code)) throw error;
  return { code: error.code, reason: error.message };
};
const REASONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['object-not-found', 'object-invalid', 'status-none', 'status-pruned']);

/** The means of reads of status logs. */
export interface StatusReads {
  /** Asks a node, or as many as must agree; `sameAs` is a text that is the same for the same answer. */
  agreed<T>(ask: (node: AlgodNode) => Promise<T>, sameAs: (answer: T) => string): Promise<T>;
  /** `Ledger.read`, for the definition, whose size decides how records are read. */
  read: Ledger['read'];
  onNetwork(owner: AlgoDid): AlgoDid;
  /** Milliseconds; for the cache. */
  clock: () => number;
}

/** Reads states of status logs. */
export const createStatusLogs = ({ agreed, read, onNetwork, clock }: StatusReads) => {
  const settledStates = createCache<StatusEntry>(MAX_STATES, clock);
  const oneRead = coalesce<StatusEntry>();
  /** Grows with every record of ours that lands: who asks then joins no reading that began before. */
  let generation = 0;

  const answerOf = async (node: AlgodNode, owner: AlgoDid, lid: Uint8Array, size: number, time: number | undefined): Promise<Answer> => {
    // The block first: what has a time before its own is in every later reading.
    const block = time === undefined ? undefined : await lastBlockTime(node);
    const log = await openLog(boxesOf(node, owner, lid));
    if (log === undefined) throw new AppError('object-not-found', 'the registry has no status log');
    const { state, next } = await stateAt(log, size, time);
    return {
      status: shownStatus(state.status),
      time: state.record.time,
      round: state.record.round,
      ...(next && { next: next.record.time }),
      settled: time === undefined || next !== undefined || (block as number) > time,
      entries: log.head.entries,
    };
  };

  const readState = async (owner: AlgoDid, id: string, lid: Uint8Array, time: number | undefined): Promise<StatusEntry> => {
    const { value } = (await read(id, 'REV_REG_DEF')) as { value?: { maxCredNum?: unknown } };
    const size = checkSize(value?.maxCredNum);
    const answer = await agreed((node) => answerOf(node, owner, lid, size, time).catch(reasonOf), canonical);
    if ('code' in answer) throw new AppError(answer.code, `${id}: ${answer.reason}`);
    return deepFreeze(answer);
  };

  const statusAt: Ledger['statusAt'] = async (given, time, { fresh = false } = {}) => {
    const { owner, type, oid } = parseObjectId(given);
    if (type !== 'REV_REG_DEF') throw new AppError('object-invalid', `${given} is not the identifier of a revocation registry`);
    onNetwork(owner);
    const id = formatObjectId(owner.did, type, oid);
    const name = `${id} ${time}`;
    const known = fresh ? undefined : settledStates.get(name);
    if (known) return known;
    const task = (): Promise<StatusEntry> => readState(owner, id, oid, time);
    const entry = await (fresh ? task() : oneRead(`${name} ${generation}`, task));
    if (time !== undefined && entry.settled) settledStates.set(name, entry, Number.POSITIVE_INFINITY);
    return entry;
  };

  return {
    statusAt,
    /** Believes no reading that is under way: a write has landed. */
    landed: ({ kind }: LedgerWrite): void => {
      if (kind === 'registry-put' || kind === 'status-append' || kind === 'status-prune') generation += 1;
    },
  };
};
