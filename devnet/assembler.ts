import { ACCT_FIELDS, APP_FIELDS, BY_NAME, GLOBAL_FIELDS, type Opcode, TXN_FIELDS } from './opcodes.ts';

/** A program and, for error messages, where its assertions are: program counter to the comment that precedes the opcode. */
export interface Assembled {
  bytes: Uint8Array;
  errors: Record<string, string>;
}

/** What cannot be assembled, with its line. */
export class TealError extends Error {
  constructor(line: number, text: string) {
    super(`line ${line}: ${text}`);
    this.name = 'TealError';
  }
}

/** Named integer constants that TEAL allows in place of a number. */
const NAMED_INTS: Readonly<Record<string, bigint>> = {
  pay: 1n,
  keyreg: 2n,
  acfg: 3n,
  axfer: 4n,
  afrz: 5n,
  appl: 6n,
  NoOp: 0n,
  OptIn: 1n,
  CloseOut: 2n,
  ClearState: 3n,
  UpdateApplication: 4n,
  DeleteApplication: 5n,
};

const FIELD_TABLES: Partial<Record<Opcode['immediate'], readonly string[]>> = { global: GLOBAL_FIELDS, acct: ACCT_FIELDS, app: APP_FIELDS };

/** A varuint: seven bits a byte, low first, as in Go's encoding/binary. */
const varuint = (value: bigint): number[] => {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return out;
};

/** Splits a line into words; a quoted string is one word, `//` outside of one starts a comment. */
const tokenize = (line: string): { words: string[]; comment: string } => {
  const words: string[] = [];
  let at = 0;
  while (at < line.length) {
    const char = line[at] as string;
    if (char === ' ' || char === '\t' || char === '\r') {
      at += 1;
    } else if (line.startsWith('//', at)) {
      return { words, comment: line.slice(at + 2).trim() };
    } else if (char === '"') {
      let end = at + 1;
      while (end < line.length && line[end] !== '"') end += line[end] === '\\' ? 2 : 1;
      words.push(line.slice(at, end + 1));
      at = end + 1;
    } else {
      let end = at;
      while (end < line.length && !' \t\r'.includes(line[end] as string)) end += 1;
      words.push(line.slice(at, end));
      at = end;
    }
  }
  return { words, comment: '' };
};

const parseInteger = (word: string, line: number): bigint => {
  const named = NAMED_INTS[word];
  if (named !== undefined) return named;
  if (!/^(0x[0-9a-fA-F]+|[0-9][0-9_]*)$/.test(word)) throw new TealError(line, `not a number: ${word}`);
  const value = BigInt(word.replaceAll('_', ''));
  if (value > 0xffff_ffff_ffff_ffffn) throw new TealError(line, `does not fit 64 bits: ${word}`);
  return value;
};

const parseBytes = (word: string, line: number): Uint8Array => {
  if (/^0x([0-9a-fA-F]{2})*$/.test(word)) return Uint8Array.from(Buffer.from(word.slice(2), 'hex'));
  if (word.startsWith('"') && word.endsWith('"') && word.length >= 2) {
    const text = word.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_all, code: string) => {
      if (code.startsWith('x')) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
      const plain = ({ n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"' } as Record<string, string>)[code];
      if (plain === undefined) throw new TealError(line, `unknown escape \\${code}`);
      return plain;
    });
    return Uint8Array.from(Buffer.from(text, /\\x/.test(word) ? 'latin1' : 'utf8'));
  }
  throw new TealError(line, `not bytes: ${word}`);
};

const byteOf = (word: string, line: number, low: number, high: number): number => {
  const value = Number(word);
  if (!Number.isInteger(value) || value < low || value > high) throw new TealError(line, `not between ${low} and ${high}: ${word}`);
  return value & 0xff;
};

/** `intc 2` and its like have one-byte forms for the first four constants; the reference assembler always takes them. */
const compact = (name: string, words: readonly string[]): number | undefined => {
  if ((name !== 'intc' && name !== 'bytec') || words.length !== 1 || !/^[0-3]$/.test(words[0] as string)) return undefined;
  return (name === 'intc' ? 0x22 : 0x28) + Number(words[0]);
};

/** An opcode whose operands are to be encoded. */
interface Operands {
  readonly op: Opcode;
  readonly name: string;
  readonly rest: readonly string[];
  readonly line: number;
  /** The program so far; the opcode stands at `start`. */
  readonly out: number[];
  readonly start: number;
  /** Notes a label whose distance is written when all are known. */
  readonly target: (label: string, at: number, from: number) => void;
}

const encodeOperands = ({ op, name, rest, line, out, start, target }: Operands): void => {
  const want = (count: number): void => {
    if (rest.length !== count) throw new TealError(line, `${name} takes ${count} operand(s), not ${rest.length}`);
  };
  const field = (word: string): number => {
    const number = (FIELD_TABLES[op.immediate] ?? TXN_FIELDS).indexOf(word);
    if (number < 0) throw new TealError(line, `field not known here: ${word}`);
    return number;
  };
  switch (op.immediate) {
    case 'none':
      want(0);
      break;
    case 'u8':
      want(1);
      out.push(byteOf(rest[0] as string, line, 0, 255));
      break;
    case 'i8':
      want(1);
      out.push(byteOf(rest[0] as string, line, -128, 127));
      break;
    case 'u8u8':
      want(2);
      out.push(byteOf(rest[0] as string, line, 0, 255), byteOf(rest[1] as string, line, 0, 255));
      break;
    case 'txn':
      // With an index, `txn F I` is the spelling of `txna F I`; `gtxns` has no such form here.
      if (name === 'txn' && rest.length === 2) {
        out[start] = 0x36;
        out.push(field(rest[0] as string), byteOf(rest[1] as string, line, 0, 255));
        break;
      }
      want(1);
      out.push(field(rest[0] as string));
      break;
    case 'itxn':
    case 'global':
    case 'acct':
    case 'app':
      want(1);
      out.push(field(rest[0] as string));
      break;
    case 'gtxn':
      want(2);
      out.push(byteOf(rest[0] as string, line, 0, 255), field(rest[1] as string));
      break;
    case 'txna':
      want(2);
      out.push(field(rest[0] as string), byteOf(rest[1] as string, line, 0, 255));
      break;
    case 'target':
      want(1);
      target(rest[0] as string, start + 1, start + 3);
      out.push(0, 0);
      break;
    case 'targets': {
      out.push(byteOf(String(rest.length), line, 0, 255));
      const from = start + 2 + 2 * rest.length;
      rest.forEach((label, nth) => {
        target(label, start + 2 + 2 * nth, from);
      });
      out.push(...new Array<number>(2 * rest.length).fill(0));
      break;
    }
    case 'int':
      want(1);
      out.push(...varuint(parseInteger(rest[0] as string, line)));
      break;
    case 'bytes': {
      want(1);
      const value = parseBytes(rest[0] as string, line);
      out.push(...varuint(BigInt(value.length)), ...value);
      break;
    }
    case 'ints':
      out.push(...varuint(BigInt(rest.length)));
      for (const word of rest) out.push(...varuint(parseInteger(word, line)));
      break;
    case 'bytess':
      out.push(...varuint(BigInt(rest.length)));
      for (const word of rest) {
        const value = parseBytes(word, line);
        out.push(...varuint(BigInt(value.length)), ...value);
      }
      break;
  }
};

/**
 * TEAL source to bytecode, byte for byte as the reference assembler does it. Constants must be explicit (`intcblock`, `pushint`, ...): the pseudo-ops `int`,
 * `byte`, `addr` and `method` are not known, nor is any opcode outside `opcodes.ts`.
 * @throws TealError with the line
 */
export const assemble = (source: string): Assembled => {
  const out: number[] = [];
  const labels = new Map<string, number>();
  const fixes: { at: number; from: number; label: string; line: number }[] = [];
  const errors: Record<string, string> = {};
  let note = '';
  let versioned = false;
  source.split('\n').forEach((text, index) => {
    const line = index + 1;
    const { words, comment } = tokenize(text);
    const name = words[0];
    if (name === undefined) {
      if (comment) note = comment;
      return;
    }
    const rest = words.slice(1);
    if (name === '#pragma') {
      if (rest[0] !== 'version' || !/^[0-9]+$/.test(rest[1] ?? '') || out.length > 0) {
        if (rest[0] === 'typetrack') return;
        throw new TealError(line, `unknown pragma ${rest.join(' ')}`);
      }
      out.push(...varuint(BigInt(rest[1] as string)));
      versioned = true;
      return;
    }
    if (!versioned) throw new TealError(line, 'the program must begin with #pragma version');
    if (name.endsWith(':') && words.length === 1) {
      const label = name.slice(0, -1);
      if (labels.has(label)) throw new TealError(line, `label twice: ${label}`);
      labels.set(label, out.length);
      return;
    }
    const short = compact(name, rest);
    if (short !== undefined) {
      out.push(short);
      note = '';
      return;
    }
    const op = BY_NAME.get(name);
    if (op === undefined) throw new TealError(line, `opcode not known here: ${name}`);
    const target = (label: string, at: number, from: number): void => {
      fixes.push({ at, from, label, line });
    };
    if ((name === 'assert' || name === 'err') && (comment || note)) errors[String(out.length)] = comment || note;
    note = '';
    const start = out.length;
    out.push(op.code);
    encodeOperands({ op, name, rest, line, out, start, target });
  });
  for (const { at, from, label, line } of fixes) {
    const to = labels.get(label);
    if (to === undefined) throw new TealError(line, `no such label: ${label}`);
    const distance = to - from;
    if (distance < -0x8000 || distance > 0x7fff) throw new TealError(line, `too far: ${label}`);
    out[at] = (distance >> 8) & 0xff;
    out[at + 1] = distance & 0xff;
  }
  return { bytes: Uint8Array.from(out), errors };
};
