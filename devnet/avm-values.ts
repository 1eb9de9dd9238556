/** A value on the stack: an unsigned 64-bit integer or at most 4,096 bytes. */
export type Value = bigint | Uint8Array;

/** What a program may ask of the ledger. Everything here can throw; the interpreter turns that into a rejection with the program counter. */
export interface Host {
  /** A field of the transaction at `index` of the group; `nth` for the array fields. */
  txnField(index: number, field: string, nth?: number): Value;
  globalField(field: string): Value;
  acctField(account: Uint8Array, field: string): { value: Value; exists: boolean };
  appField(app: bigint, field: string): { value: Value; exists: boolean };
  globalGet(key: Uint8Array): Value;
  globalGetEx(app: bigint, key: Uint8Array): { value: Value; exists: boolean };
  globalPut(key: Uint8Array, value: Value): void;
  globalDel(key: Uint8Array): void;
  boxCreate(name: Uint8Array, size: bigint): boolean;
  /** The content, or undefined if there is no such box. */
  boxRead(name: Uint8Array): Uint8Array | undefined;
  boxWrite(name: Uint8Array, edit: (content: Uint8Array) => Uint8Array): void;
  boxPut(name: Uint8Array, content: Uint8Array): void;
  boxDelete(name: Uint8Array): boolean;
  boxResize(name: Uint8Array, size: bigint): void;
  log(bytes: Uint8Array): void;
  /** Performs an inner transaction of the given fields. */
  inner(fields: ReadonlyMap<string, Value>): void;
  /** Takes opcode cost from the pooled budget; false if it is used up. */
  charge(cost: number): boolean;
  readonly groupIndex: number;
}

/** Why a program stopped: its counter and the reason, worded as the reference node does. */
export class AvmError extends Error {
  readonly pc: number;
  /** The last opcodes, and what was on the stack. */
  readonly opcodes: readonly string[];
  readonly values: readonly Value[];
  constructor(pc: number, text: string, opcodes: readonly string[] = [], values: readonly Value[] = []) {
    super(text);
    this.name = 'AvmError';
    this.pc = pc;
    this.opcodes = opcodes;
    this.values = values;
  }
}

export const MAX_U64 = 0xffff_ffff_ffff_ffffn;
export const MAX_BYTES = 4096;

export const itob = (value: bigint): Uint8Array => {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
};

export const btoi = (bytes: Uint8Array): bigint => {
  if (bytes.length > 8) throw new Error(`btoi arg too long, got ${bytes.length} bytes`);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
};

export const same = (a: Value, b: Value): boolean => {
  if (typeof a === 'bigint' || typeof b === 'bigint') {
    if (typeof a !== typeof b) throw new Error('cannot compare (uint64 to []byte)');
    return a === b;
  }
  return Buffer.compare(a, b) === 0;
};

/** A slice with the AVM's bounds check. */
export const cut = (bytes: Uint8Array, start: bigint, length: bigint): Uint8Array => {
  if (start > BigInt(bytes.length)) throw new Error(`extraction start ${start} is beyond length: ${bytes.length}`);
  if (start + length > BigInt(bytes.length)) throw new Error(`extraction end ${start + length} is beyond length: ${bytes.length}`);
  return bytes.slice(Number(start), Number(start + length));
};

/** A copy of `bytes` with `part` written over it at `start`. */
export const overwrite = (bytes: Uint8Array, start: bigint, part: Uint8Array): Uint8Array => {
  if (start > BigInt(bytes.length)) throw new Error(`replacement start ${start} beyond length: ${bytes.length}`);
  if (start + BigInt(part.length) > BigInt(bytes.length)) {
    throw new Error(`replacement end ${start + BigInt(part.length)} beyond original length: ${bytes.length}`);
  }
  const out = bytes.slice();
  out.set(part, Number(start));
  return out;
};

/** What the opcodes see of the machine: its stack and the operands in the program. */
export interface Machine {
  pop(): Value;
  popInt(): bigint;
  popBytes(): Uint8Array;
  push(value: Value): void;
  flag(value: boolean): void;
  /** The next byte of the program, as an operand. */
  byte(): number;
  /** The next byte as an index into a table of names. */
  name(table: readonly string[]): string;
}

/** Opcodes by name. */
export type Ops = Record<string, () => void>;
