import { bytesToHex } from '@noble/hashes/utils.js';
import { inflated, joined } from './bytes.ts';
import { DidAlgoError, invalid } from './errors.ts';

/** Status logs of revocation registries. The format is docs/StatusLog.md of the FlexID Cloud Agent. Times are unix seconds. */

const KIND = 1;
const OPEN = 0x80;
const MORE = 0x80;
const NEW_SEGMENT = 0x40;
const RESERVED = 0x30;
const TOGGLED = 0x01;
const DEFLATED = 0x02;
const FORMS = { bitmap: 0, deflatedBitmap: 1, gaps: 2, deflatedGaps: 3 } as const;
const SEGMENT = 8_192;
const SEGMENT_HEAD = 32;
const ENTRY_HEAD = 18;
const MAX_SIZE = 32_768;
const COORDINATES = 6;
const COORDINATE = 34;
const PACKED = COORDINATES * COORDINATE;
const ACCUMULATOR = /^[0-9]+ [0-9A-F]+(?: [0-9]+ [0-9A-F]+){5}$/;
const MAX_ACCUMULATOR = 1_024;
const READS = 3;
const MAX_STEPS = 64;

/** The size of a registry. @throws DidAlgoError `object-invalid` for one that no registry has */
export const checkSize = (size: unknown): number => {
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 2 || size > MAX_SIZE)
    throw invalid(`a registry has no ${String(size)} credentials`);
  return size;
};

/** Accumulator and set of a record: bit i of byte i >> 3, from the least significant, is the credential of index i. */
export interface Status {
  accumulator: string;
  revoked: Uint8Array;
}

/** A status, and the time and round of its record. */
export interface State extends Status {
  time: number;
  round: number;
}

const has = (bits: Uint8Array, index: number): boolean => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
const bytesOf = (size: number): number => Math.ceil(size / 8);

/** The AnonCreds form of a set: `size` times 0 or 1. */
export const revocationList = (revoked: Uint8Array, size: number): number[] =>
  Array.from({ length: size }, (_none, index) => (has(revoked, index) ? 1 : 0));

const checkBits = (bits: Uint8Array, size: number): Uint8Array => {
  if (bits.length !== bytesOf(size)) throw invalid(`a bitmap has ${bits.length} bytes for ${size} credentials`);
  const beyond = size % 8 === 0 ? 0 : (bits.at(-1) ?? 0) >> (size % 8);
  if (has(bits, 0) || beyond !== 0) throw invalid(`a bitmap has an index that none of ${size} credentials has`);
  return bits;
};

const bitsOfGaps = (bytes: Uint8Array, size: number): Uint8Array => {
  const bits = new Uint8Array(bytesOf(size));
  let [index, gap, shift] = [0, 0, 0];
  for (const byte of bytes) {
    gap |= (byte & 0x7f) << shift;
    shift += 7;
    if (shift > 21) throw invalid('a gap has more than three bytes');
    if ((byte & 0x80) !== 0) continue;
    if (byte === 0) throw invalid('a gap is 0, or longer than it must be');
    index += gap;
    if (index >= size) throw invalid(`a gap leads to index ${index} of ${size} credentials`);
    bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
    [gap, shift] = [0, 0];
  }
  if (shift > 0) throw invalid('a gap lacks its end');
  return bits;
};

/** A set of indices. @throws DidAlgoError `object-invalid` */
const decodeSet = (form: number, bytes: Uint8Array, size: number): Uint8Array => {
  if (form === FORMS.bitmap) return checkBits(bytes.slice(), size);
  if (form === FORMS.deflatedBitmap) return checkBits(inflated(bytes, bytesOf(size)), size);
  return bitsOfGaps(form === FORMS.gaps ? bytes : inflated(bytes, 3 * size), size);
};

const rendered = (packed: Uint8Array): string =>
  Array.from({ length: COORDINATES }, (_none, i) => {
    const digits = bytesToHex(packed.subarray(i * COORDINATE + 1, (i + 1) * COORDINATE));
    return `${packed[i * COORDINATE]} ${digits.replace(/^0{1,2}/, '').toUpperCase()}`;
  }).join(' ');

/** @param former the set of the record before @throws DidAlgoError `object-invalid` */
export const decodeRecord = (flags: number, payload: Uint8Array, size: number, former?: Uint8Array): Status => {
  const deflated = (flags & DEFLATED) !== 0;
  const length = deflated ? 2 + (((payload[0] ?? 0) << 8) | (payload[1] ?? 0)) : PACKED;
  if (payload.length < length || length <= 2) throw invalid('a record ends within its accumulator');
  const head = payload.slice(0, length);
  const accumulator = deflated ? String.fromCharCode(...inflated(head.slice(2), MAX_ACCUMULATOR)) : rendered(head);
  if (!ACCUMULATOR.test(accumulator)) throw invalid('a record has no accumulator');
  const bits = decodeSet((flags >> 2) & 3, payload.slice(length), size);
  if ((flags & TOGGLED) === 0) return { accumulator, revoked: bits };
  if (former === undefined) throw invalid('the first record of a segment does not stand by itself');
  return { accumulator, revoked: bits.map((byte, i) => byte ^ (former[i] ?? 0)) };
};

const numberAt = (box: Uint8Array, at: number): number => {
  const value = new DataView(box.buffer, box.byteOffset, box.byteLength).getBigUint64(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`a log has the number ${value}`);
  return Number(value);
};

/** The head of a log; `open` while the last record lacks parts. */
export interface Head {
  open: boolean;
  entries: number;
  segment: number;
  created: number;
  updated: number;
  round: number;
}

/** @throws DidAlgoError `object-invalid` */
export const unpackHead = (box: Uint8Array): Head => {
  if (box.length !== 41) throw invalid(`the head of a log has ${box.length} bytes`);
  const kind = box[0] ?? 0;
  if ((kind & ~OPEN) !== KIND) throw invalid(`a log has records of another kind (${kind & ~OPEN})`);
  const segment = numberAt(box, 9);
  if (segment > 0xffff_ffff) throw invalid(`a log has the segment ${segment}`);
  return {
    open: (kind & OPEN) !== 0,
    entries: numberAt(box, 1),
    segment,
    created: numberAt(box, 17),
    updated: numberAt(box, 25),
    round: numberAt(box, 33),
  };
};

/** An entry of a segment; `data` begins with its flags, of which `flags` is a copy. */
interface Entry {
  time: number;
  round: number;
  flags: number;
  data: Uint8Array;
}

/** Entries joined. A record that is not whole counts as none. */
interface LogRecord {
  time: number;
  round: number;
  flags: number;
  payload: Uint8Array;
  whole: boolean;
}

export interface Segment {
  entries: Entry[];
  records: LogRecord[];
}

const entriesOf = (box: Uint8Array): Entry[] => {
  const entries: Entry[] = [];
  for (let at = SEGMENT_HEAD; at < box.length; ) {
    const begin = at + ENTRY_HEAD;
    const end = begin + (((box[at] ?? 0) << 8) | (box[at + 1] ?? 0));
    if (end === begin || end > box.length) throw invalid('an entry is cut off');
    const data = box.slice(begin, end);
    entries.push({ time: numberAt(box, at + 2), round: numberAt(box, at + 10), flags: data[0] ?? 0, data });
    at = end;
  }
  return entries;
};

/** The record whose entries these begin with, and how many they are. */
const firstRecord = ([head, ...rest]: readonly [Entry, ...Entry[]]): { record: LogRecord; count: number } => {
  const parts = [head.data.subarray(1)];
  let { flags } = head;
  let oneRound = true;
  for (const part of rest) {
    if ((flags & MORE) === 0) break;
    ({ flags } = part);
    if ((flags & ~MORE) !== 0) throw invalid('a record has torn parts');
    if (part.time !== head.time || part.round < head.round) throw invalid('a record has parts of different times');
    oneRound &&= part.round === head.round;
    parts.push(part.data.subarray(1));
  }
  const whole = (flags & MORE) === 0 && oneRound;
  const own = head.flags & ~(MORE | NEW_SEGMENT);
  return { record: { time: head.time, round: head.round, flags: own, payload: joined(...parts), whole }, count: parts.length };
};

/** Takes the segment with this number apart. @throws DidAlgoError `object-invalid` */
export const unpackSegment = (box: Uint8Array, number: number): Segment => {
  if (box.length < SEGMENT_HEAD || box.length > SEGMENT) throw invalid(`a segment has ${box.length} bytes`);
  const entries = entriesOf(box);
  const records: LogRecord[] = [];
  for (let at = 0; at < entries.length; ) {
    const [head, ...rest] = entries.slice(at) as [Entry, ...Entry[]];
    const former = records.at(-1);
    if (former && (head.time <= former.time || head.round <= former.round)) throw invalid('the time of a record goes back');
    if ((head.flags & RESERVED) !== 0) throw invalid(`a record has an unknown form (${head.flags})`);
    if (((head.flags & NEW_SEGMENT) !== 0) !== (at === 0 && number > 0)) throw invalid('a record belongs to another segment');
    const { record, count } = firstRecord([head, ...rest]);
    records.push(record);
    at += count;
  }
  return { entries, records };
};

/** The states of a segment, the oldest first. @throws DidAlgoError `object-invalid` */
const statesOf = ({ records }: Segment, size: number): State[] => {
  const states: State[] = [];
  for (const { time, round, flags, payload, whole } of records)
    if (whole) states.push({ ...decodeRecord(flags, payload, size, states.at(-1)?.revoked), time, round });
  return states;
};

/** The boxes of one log, as a node has them. */
export interface LogBoxes {
  head(): Promise<Uint8Array | undefined>;
  segment(number: number): Promise<Uint8Array | undefined>;
}

/** The head of a log and its segments; one that was pruned is undefined. */
export interface OpenLog {
  head: Head;
  segment(number: number): Promise<Segment | undefined>;
}

const agree = (head: Head, current: Segment): boolean => {
  const last = current.entries.at(-1);
  if (last === undefined) return head.entries === 0 && head.segment === 0;
  return (
    last.time === head.updated &&
    last.round === head.round &&
    ((last.flags & MORE) !== 0) === head.open &&
    current.entries.length <= head.entries
  );
};

/** Opens a log; undefined where there is none. @throws DidAlgoError `object-invalid` */
export const openLog = async (boxes: LogBoxes): Promise<OpenLog | undefined> => {
  for (let read = 0; read < READS; read++) {
    const headBytes = await boxes.head();
    if (headBytes === undefined) return undefined;
    const head = unpackHead(headBytes);
    const box = await boxes.segment(head.segment);
    const current = box && unpackSegment(box, head.segment);
    if (current === undefined || !agree(head, current)) continue;
    return {
      head,
      segment: async (number) => {
        if (number === head.segment) return current;
        const older = await boxes.segment(number);
        return older && unpackSegment(older, number);
      },
    };
  }
  throw invalid('the head of a log is not that of its current segment');
};

/** The number of the segment in which the state in force at `time` is looked for first; -1 for none. */
const segmentAt = async ({ head, segment }: OpenLog, time: number): Promise<number> => {
  // a pruned segment counts as one that began earlier
  const begins = async (number: number): Promise<boolean> =>
    ((await segment(number))?.entries[0]?.time ?? Number.NEGATIVE_INFINITY) <= time;
  if (await begins(head.segment)) return head.segment;
  let [low, high] = [0, head.segment - 1];
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    if (await begins(middle)) low = middle + 1;
    else high = middle - 1;
  }
  return high;
};

/** The state in force at `time`, or the last one. @throws DidAlgoError `status-none`, `status-pruned`, `object-invalid` */
export const stateAt = async (log: OpenLog, size: number, time?: number): Promise<State> => {
  const none = new DidAlgoError('status-none', `the registry had no state at ${time ?? 'any time'}`);
  if (log.head.entries === 0 || (time !== undefined && time < log.head.created)) throw none;
  const from = time === undefined ? log.head.segment : await segmentAt(log, time);
  for (let number = from; number >= 0; number--) {
    if (from - number > MAX_STEPS) throw invalid('a log has too many segments without a state');
    const segment = await log.segment(number);
    if (segment === undefined) throw new DidAlgoError('status-pruned', `the registry has dropped its state of ${time ?? 'now'}`);
    const state = statesOf(segment, size).findLast((one) => time === undefined || one.time <= time);
    if (state) return state;
  }
  throw none;
};
