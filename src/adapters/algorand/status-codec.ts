import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { AppError } from '../../errors.ts';
import type { RevocationStatus } from '../../ports/ledger.ts';

/** Status logs as bytes: docs/StatusLog.md, whose vectors the test of this file reads. Times are unix seconds. */

/** The kind of a log's records: statuses of a revocation registry. */
export const STATUS_KIND = 1;
/** The most bytes of a segment, those of its payer, and those of an entry before its data. */
export const SEGMENT = 8_192;
export const SEGMENT_HEAD = 32;
export const ENTRY_HEAD = 18;
/** The most credentials of a registry, and with them bits of a record. */
const MAX_SIZE = 32_768;

const OPEN = 0x80;
/** Flags of an entry. The lowest four are those of a record, and 0 in its further parts. */
const MORE = 0x80;
const NEW_SEGMENT = 0x40;
const RESERVED = 0x30;
const TOGGLED = 0x01;
const DEFLATED = 0x02;
const SET = 2;

/** The forms of a set of indices, as bits 2 and 3 of the flags have them. */
const FORMS = { bitmap: 0, deflatedBitmap: 1, gaps: 2, deflatedGaps: 3 } as const;

/** Six coordinates, each an excess of a byte and 33 bytes, most significant first. */
const COORDINATES = 6;
const COORDINATE = 34;
/** The library writes no number with fewer digits. */
const DIGITS = 64;
const PACKED = COORDINATES * COORDINATE;
const ACCUMULATOR = /^[0-9]+ [0-9A-F]+(?: [0-9]+ [0-9A-F]+){5}$/;
const MAX_ACCUMULATOR = 1_024;

const invalid = (reason: string, cause?: unknown): AppError => new AppError('object-invalid', `the status log ${reason}`, { cause });

/** A status as it is computed with: `revoked` is the bitmap. */
export interface Status {
  accumulator: string;
  revoked: Uint8Array;
}

const bytesOf = (size: number): number => Math.ceil(size / 8);
const has = (bits: Uint8Array, index: number): boolean => ((bits[index >> 3] as number) & (1 << (index & 7))) !== 0;

/** The set indices of a bitmap, ascending. */
const indicesOf = (bits: Uint8Array): number[] => {
  const indices: number[] = [];
  for (let index = 0; index < bits.length * 8; index++) if (has(bits, index)) indices.push(index);
  return indices;
};

/** @throws AppError `object-invalid` for a bitmap of another size, or one that sets a bit that no credential has */
const checkBits = (bits: Uint8Array, size: number): Uint8Array => {
  if (bits.length !== bytesOf(size)) throw invalid(`has a bitmap of ${bits.length} bytes for ${size} credentials`);
  if (has(bits, 0)) throw invalid('revokes the index 0, which no credential has');
  for (let index = size; index < bits.length * 8; index++)
    if (has(bits, index)) throw invalid(`revokes the index ${index} of ${size} credentials`);
  return bits;
};

/** @throws AppError `object-invalid` for a size that no registry has */
export const checkSize = (size: unknown): number => {
  if (!Number.isInteger(size) || (size as number) < 2 || (size as number) > MAX_SIZE)
    throw invalid(`is that of a registry of ${String(size)} credentials`);
  return size as number;
};

/** A status of the port, checked. @throws AppError `object-invalid` */
export const statusOf = ({ accumulator, revoked }: RevocationStatus, size: number): Status => {
  const bits = Uint8Array.from(Buffer.from(revoked, 'base64url'));
  if (Buffer.from(bits).toString('base64url') !== revoked) throw invalid('has a bitmap that is not base64url');
  if (accumulator.length > MAX_ACCUMULATOR || !ACCUMULATOR.test(accumulator)) throw invalid('has no accumulator');
  return { accumulator, revoked: checkBits(bits, size) };
};

/** A status as the port has it. */
export const shownStatus = ({ accumulator, revoked }: Status): RevocationStatus => ({
  accumulator,
  revoked: Buffer.from(revoked).toString('base64url'),
});

/** Whether two statuses are equal to the letter of the accumulator. */
export const sameStatus = (a: Status, b: Status): boolean => a.accumulator === b.accumulator && Buffer.compare(a.revoked, b.revoked) === 0;

const rendered = (packed: Uint8Array): string =>
  Array.from({ length: COORDINATES }, (_none, i) => {
    const at = i * COORDINATE;
    const digits = Buffer.from(packed.subarray(at + 1, at + COORDINATE)).toString('hex');
    return `${packed[at]} ${digits
      .replace(/^0{1,2}/, '')
      .padStart(DIGITS, '0')
      .toUpperCase()}`;
  }).join(' ');

/** The packed form of an accumulator; undefined for one that would come back as another text. */
const packed = (accumulator: string): Uint8Array | undefined => {
  const words = accumulator.split(' ');
  const bytes = new Uint8Array(PACKED);
  for (let i = 0; i < COORDINATES; i++) {
    const [excess, digits = ''] = [Number(words[2 * i]), words[2 * i + 1]];
    if (!(excess <= 255) || digits.length > 66) return undefined;
    bytes[i * COORDINATE] = excess;
    bytes.set(Buffer.from(digits.padStart(66, '0'), 'hex'), i * COORDINATE + 1);
  }
  return rendered(bytes) === accumulator ? bytes : undefined;
};

const deflated = (bytes: Uint8Array): Uint8Array => Uint8Array.from(deflateRawSync(bytes, { level: 9 }));

/** Inflates a stream of at most `limit` bytes that ends where `bytes` end. @throws AppError `object-invalid` */
const inflated = (bytes: Uint8Array, limit: number): Uint8Array => {
  try {
    // With `info` the answer is an object, which the types do not know.
    const options = { maxOutputLength: limit, info: true } as const;
    const { buffer, engine } = inflateRawSync(bytes, options) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    if (engine.bytesWritten === bytes.length) return Uint8Array.from(buffer);
  } catch (error) {
    throw invalid('has a record that cannot be inflated', error);
  }
  throw invalid('has a record with bytes after its end');
};

/** Differences of ascending indices, from 0, as varints: seven bits a byte, the lowest first, bit 7 where more follow. */
const gapsOf = (indices: readonly number[]): Uint8Array => {
  const bytes: number[] = [];
  let former = 0;
  for (const index of indices) {
    let gap = index - former;
    former = index;
    for (; gap > 0x7f; gap >>= 7) bytes.push((gap & 0x7f) | 0x80);
    bytes.push(gap);
  }
  return Uint8Array.from(bytes);
};

/** @throws AppError `object-invalid` for a varint without end or longer than it must be, a gap of 0, or an index beyond the size */
const bitsOfGaps = (bytes: Uint8Array, size: number): Uint8Array => {
  const bits = new Uint8Array(bytesOf(size));
  let [index, gap, shift] = [0, 0, 0];
  for (const byte of bytes) {
    gap |= (byte & 0x7f) << shift;
    shift += 7;
    if (shift > 21) throw invalid('has a gap without end');
    if ((byte & 0x80) !== 0) continue;
    if (byte === 0) throw invalid('has a gap of nothing, or one that is longer than it must be');
    index += gap;
    if (index >= size) throw invalid(`revokes the index ${index} of ${size} credentials`);
    bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
    [gap, shift] = [0, 0];
  }
  if (shift > 0) throw invalid('has a gap without end');
  return bits;
};

const bitsOfForm = (form: number, bytes: Uint8Array, size: number): Uint8Array => {
  if (form === FORMS.bitmap) return checkBits(Uint8Array.from(bytes), size);
  if (form === FORMS.deflatedBitmap) return checkBits(inflated(bytes, bytesOf(size)), size);
  return bitsOfGaps(form === FORMS.gaps ? bytes : inflated(bytes, 3 * size), size);
};

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ (b[i] as number));

/** A record before it is cut into parts: its flags, without those of entries, and all that follows them. */
export interface StatusRecord {
  flags: number;
  payload: Uint8Array;
}

/**
 * The smallest record of a status: whole, or toggling what differs from the `former` one. A whole one where both are as small.
 * @throws AppError `object-invalid` for an accumulator that the log cannot hold
 */
export const encodeStatus = ({ accumulator, revoked }: Status, former?: Uint8Array): StatusRecord => {
  const small = packed(accumulator);
  const text = small ? undefined : deflated(Buffer.from(accumulator, 'latin1'));
  const head = small ?? Buffer.concat([Uint8Array.of((text as Uint8Array).length >> 8, (text as Uint8Array).length & 0xff), text!]);
  const base = small ? 0 : DEFLATED;
  const formsOf = (bits: Uint8Array, flags: number): { flags: number; set: Uint8Array }[] => {
    const gaps = gapsOf(indicesOf(bits));
    return [
      { flags: flags | (FORMS.bitmap << SET), set: bits },
      { flags: flags | (FORMS.deflatedBitmap << SET), set: deflated(bits) },
      { flags: flags | (FORMS.gaps << SET), set: gaps },
      { flags: flags | (FORMS.deflatedGaps << SET), set: deflated(gaps) },
    ];
  };
  const forms = [...formsOf(revoked, base), ...(former ? formsOf(xor(revoked, former), base | TOGGLED) : [])];
  const best = forms.reduce((least, form) => (form.set.length < least.set.length ? form : least));
  return { flags: best.flags, payload: Uint8Array.from(Buffer.concat([head, best.set])) };
};

/** @param former the bitmap of the record before, which one that toggles needs @throws AppError `object-invalid` */
export const decodeStatus = ({ flags, payload }: StatusRecord, size: number, former?: Uint8Array): Status => {
  const length = (flags & DEFLATED) === 0 ? PACKED : 2 + (((payload[0] ?? 0) << 8) | (payload[1] ?? 0));
  if (payload.length < length || length <= 2) throw invalid('has a record that ends within its accumulator');
  const head = payload.subarray(0, length);
  const accumulator =
    (flags & DEFLATED) === 0 ? rendered(head) : Buffer.from(inflated(head.subarray(2), MAX_ACCUMULATOR)).toString('latin1');
  if (!ACCUMULATOR.test(accumulator)) throw invalid('has a record without an accumulator');
  const bits = bitsOfForm((flags >> SET) & 3, payload.subarray(length), size);
  if ((flags & TOGGLED) === 0) return { accumulator, revoked: bits };
  if (former === undefined) throw invalid('has a segment that does not begin with a whole record');
  return { accumulator, revoked: xor(bits, former) };
};

/** The entries of a record, each with its flags, as `logAppend` takes them; `chunk` is the most bytes of one. */
export const entriesOf = ({ flags, payload }: StatusRecord, chunk: number, newSegment: boolean): Uint8Array[] => {
  const room = chunk - 1;
  const count = Math.max(1, Math.ceil(payload.length / room));
  return Array.from({ length: count }, (_none, i) => {
    const more = i < count - 1 ? MORE : 0;
    const own = i === 0 ? flags | (newSegment ? NEW_SEGMENT : 0) : 0;
    return Uint8Array.from([own | more, ...payload.subarray(i * room, (i + 1) * room)]);
  });
};

const viewOf = (box: Uint8Array): DataView => new DataView(box.buffer, box.byteOffset, box.byteLength);

/** @throws AppError `object-invalid` for a number beyond what JavaScript counts */
const numberAt = (view: DataView, at: number): number => {
  const value = view.getBigUint64(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`has the number ${value}`);
  return Number(value);
};

/** The head of a log: how many entries it has in all, its current segment, and time and round of the last entry. `open`: the last record is incomplete. */
export interface LogHead {
  open: boolean;
  entries: number;
  segment: number;
  created: number;
  updated: number;
  round: number;
}

/** @throws AppError `object-invalid` */
export const unpackHead = (box: Uint8Array): LogHead => {
  if (box.length !== 41) throw invalid(`has a head of ${box.length} bytes`);
  const kind = box[0] as number;
  if ((kind & ~OPEN) !== STATUS_KIND) throw invalid(`has records of another kind (${kind & ~OPEN})`);
  const [entries, segment, created, updated, round] = [1, 9, 17, 25, 33].map((at) => numberAt(viewOf(box), at)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (segment > 0xffff_ffff) throw invalid(`has the segment ${segment}`);
  return { open: (kind & OPEN) !== 0, entries, segment, created, updated, round };
};

/** An entry of a segment; `data` begins with its flags. */
export interface Entry {
  time: number;
  round: number;
  data: Uint8Array;
}

/** A record of a segment: complete, or the last one, which lacks parts. `first` is the place of its first entry in the segment. */
export interface LogRecord extends StatusRecord {
  time: number;
  round: number;
  first: number;
  /** Whether all its parts are there, and came in one round: otherwise it is none. */
  whole: boolean;
}

/** A segment as it is in its box. */
export interface Segment {
  payer: Uint8Array;
  /** Bytes of the box. */
  size: number;
  entries: Entry[];
  records: LogRecord[];
}

const entriesAt = (box: Uint8Array): Entry[] => {
  const view = viewOf(box);
  const entries: Entry[] = [];
  for (let at = SEGMENT_HEAD; at < box.length; ) {
    if (at + ENTRY_HEAD > box.length) throw invalid('has an entry that is cut off');
    const length = view.getUint16(at);
    const end = at + ENTRY_HEAD + length;
    if (length === 0 || end > box.length) throw invalid(`has an entry of ${length} bytes where ${box.length - at - ENTRY_HEAD} are left`);
    entries.push({ time: numberAt(view, at + 2), round: numberAt(view, at + 10), data: box.slice(at + ENTRY_HEAD, end) });
    at = end;
  }
  return entries;
};

const recordAt = (entries: readonly Entry[], first: number): { record: LogRecord; count: number } => {
  const { time, round, data } = entries[first] as Entry;
  const parts = [data.subarray(1)];
  let flags = data[0] as number;
  let oneRound = true;
  while ((flags & MORE) !== 0 && first + parts.length < entries.length) {
    const next = entries[first + parts.length] as Entry;
    flags = next.data[0] as number;
    if ((flags & ~MORE) !== 0) throw invalid('has a record with torn parts');
    if (next.time !== time || next.round < round) throw invalid('has a record with parts of different times');
    oneRound &&= next.round === round;
    parts.push(next.data.subarray(1));
  }
  const whole = (flags & MORE) === 0 && oneRound;
  const payload = Uint8Array.from(Buffer.concat(parts));
  const own = (data[0] as number) & ~(MORE | NEW_SEGMENT);
  return { record: { time, round, first, flags: own, payload, whole }, count: parts.length };
};

/**
 * Takes a segment box apart, of which `number` is the place in its log.
 * @throws AppError `object-invalid` for a box that the contract does not write: lengths, times that go back, parts of different records, flags of an unknown form
 */
export const unpackSegment = (box: Uint8Array, number: number): Segment => {
  if (box.length < SEGMENT_HEAD || box.length > SEGMENT) throw invalid(`has a segment of ${box.length} bytes`);
  const entries = entriesAt(box);
  const records: LogRecord[] = [];
  for (let at = 0; at < entries.length; ) {
    const { time, round, data } = entries[at] as Entry;
    const flags = data[0] as number;
    const former = records.at(-1);
    if (former && (time <= former.time || round <= former.round)) throw invalid('has a record whose time goes back');
    if ((flags & RESERVED) !== 0) throw invalid(`has a record of an unknown form (${flags})`);
    if (((flags & NEW_SEGMENT) !== 0) !== (at === 0 && number > 0)) throw invalid('has a record in another segment than its header names');
    const { record, count } = recordAt(entries, at);
    records.push(record);
    at += count;
  }
  return { payer: box.slice(0, SEGMENT_HEAD), size: box.length, entries, records };
};

/** A status, and the record that it comes from. */
export interface LogState {
  status: Status;
  record: LogRecord;
}

/** The states of a segment, the oldest first. @throws AppError `object-invalid` */
export const statesOf = ({ records }: Segment, size: number): LogState[] => {
  const states: LogState[] = [];
  for (const record of records)
    if (record.whole) states.push({ record, status: decodeStatus(record, size, states.at(-1)?.status.revoked) });
  return states;
};
