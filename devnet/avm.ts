import { createHash } from 'node:crypto';
import { ACCT_FIELDS, APP_FIELDS, BY_CODE, GLOBAL_FIELDS, TXN_FIELDS } from './opcodes.ts';

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
  constructor(pc: number, text: string) {
    super(text);
    this.name = 'AvmError';
    this.pc = pc;
  }
}

const MAX_U64 = 0xffff_ffff_ffff_ffffn;
const MAX_BYTES = 4096;
const MAX_STACK = 1000;

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

const same = (a: Value, b: Value): boolean => {
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

interface Frame {
  returnTo: number;
  height: number;
  args: number;
  returns: number;
  proto: boolean;
}

/** Reads a varuint; returns it and where it ends. */
const varuintAt = (program: Uint8Array, at: number): [bigint, number] => {
  let value = 0n;
  let shift = 0n;
  for (let i = at; i < program.length; i++) {
    const byte = program[i] as number;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [value, i + 1];
    shift += 7n;
  }
  throw new Error('program ends in a varuint');
};

/**
 * Runs an application program of AVM 10. Approves if it ends with one non-zero integer on the stack.
 * @returns whether it approved
 * @throws AvmError where it failed; the caller rolls the ledger back
 */
export const run = (program: Uint8Array, host: Host): boolean => {
  const stack: Value[] = [];
  const frames: Frame[] = [];
  const scratch: Value[] = [];
  let ints: bigint[] = [];
  let bytess: Uint8Array[] = [];
  let inner: Map<string, Value> | undefined;
  const [version, start] = varuintAt(program, 0);
  if (version < 2n || version > 11n) throw new AvmError(0, `program version ${version} not supported here`);
  let pc = start;
  let at = pc;

  const pop = (): Value => {
    const floor = frames.length > 0 && frames[frames.length - 1]?.proto ? (frames[frames.length - 1]?.height ?? 0) : 0;
    if (stack.length <= floor) throw new Error('stack underflow');
    return stack.pop() as Value;
  };
  const popInt = (): bigint => {
    const value = pop();
    if (typeof value !== 'bigint') throw new Error('wanted type uint64 but got []byte');
    return value;
  };
  const popBytes = (): Uint8Array => {
    const value = pop();
    if (typeof value === 'bigint') throw new Error('wanted type []byte but got uint64');
    return value;
  };
  const push = (value: Value): void => {
    if (typeof value === 'bigint' ? value < 0n || value > MAX_U64 : value.length > MAX_BYTES) {
      throw new Error(typeof value === 'bigint' ? 'integer overflow' : `produced a too big (${value.length}) byte-array`);
    }
    stack.push(value);
    if (stack.length > MAX_STACK) throw new Error('stack overflow');
  };
  const flag = (value: boolean): void => push(value ? 1n : 0n);
  const byte = (): number => {
    const value = program[pc];
    if (value === undefined) throw new Error('pc is beyond the end of the program');
    pc += 1;
    return value;
  };
  const signed = (): number => (byte() << 24) >> 24;
  const offset = (): number => {
    const high = byte();
    return (((high << 8) | byte()) << 16) >> 16;
  };
  const varuint = (): bigint => {
    const [value, end] = varuintAt(program, pc);
    pc = end;
    return value;
  };
  const literal = (): Uint8Array => {
    const length = Number(varuint());
    if (pc + length > program.length) throw new Error('program ends in a constant');
    pc += length;
    return program.slice(pc - length, pc);
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: Number(varuint()) }, read);
  const name = (table: readonly string[]): string => {
    const number = byte();
    const field = table[number];
    if (field === undefined) throw new Error(`invalid field ${number}`);
    return field;
  };
  const constant = <T extends Value>(table: readonly T[], index: number): void => {
    const value = table[index];
    if (value === undefined) throw new Error(`constant ${index} beyond ${table.length} constants`);
    push(value);
  };
  const jump = (distance: number): void => {
    const to = pc + distance;
    if (to < 0 || to > program.length) throw new Error('branch target beyond end of program');
    pc = to;
  };
  const slot = (index: number): number => {
    const frame = frames[frames.length - 1];
    if (frame === undefined || !frame.proto) throw new Error('frame access without proto');
    if (index < -frame.args) throw new Error('frame access below the arguments');
    const place = frame.height + index;
    if (place < 0 || place >= stack.length) throw new Error('frame access beyond the stack');
    return place;
  };
  const number2 = (op: (a: bigint, b: bigint) => bigint): void => {
    const b = popInt();
    const a = popInt();
    push(op(a, b));
  };
  const peek = (depth: number): number => {
    const place = stack.length - 1 - depth;
    if (place < 0) throw new Error('stack underflow');
    return place;
  };

  const ops: Record<string, () => void> = {
    err: () => {
      throw new Error('err opcode executed');
    },
    assert: () => {
      if (popInt() === 0n) throw new Error('assert failed');
    },
    sha256: () => push(Uint8Array.from(createHash('sha256').update(popBytes()).digest())),
    sha512_256: () => push(Uint8Array.from(createHash('sha512-256').update(popBytes()).digest())),
    '+': () => number2((a, b) => a + b),
    '-': () =>
      number2((a, b) => {
        if (b > a) throw new Error('- would result negative');
        return a - b;
      }),
    '/': () =>
      number2((a, b) => {
        if (b === 0n) throw new Error('/ 0');
        return a / b;
      }),
    '%': () =>
      number2((a, b) => {
        if (b === 0n) throw new Error('% 0');
        return a % b;
      }),
    '*': () => number2((a, b) => a * b),
    '<': () => number2((a, b) => (a < b ? 1n : 0n)),
    '>': () => number2((a, b) => (a > b ? 1n : 0n)),
    '<=': () => number2((a, b) => (a <= b ? 1n : 0n)),
    '>=': () => number2((a, b) => (a >= b ? 1n : 0n)),
    '&&': () => number2((a, b) => (a !== 0n && b !== 0n ? 1n : 0n)),
    '||': () => number2((a, b) => (a !== 0n || b !== 0n ? 1n : 0n)),
    '|': () => number2((a, b) => a | b),
    '&': () => number2((a, b) => a & b),
    '^': () => number2((a, b) => a ^ b),
    '~': () => push(popInt() ^ MAX_U64),
    shl: () =>
      number2((a, b) => {
        if (b > 63n) throw new Error('shl arg too big');
        return (a << b) & MAX_U64;
      }),
    shr: () =>
      number2((a, b) => {
        if (b > 63n) throw new Error('shr arg too big');
        return a >> b;
      }),
    '!': () => flag(popInt() === 0n),
    '==': () => {
      const b = pop();
      flag(same(pop(), b));
    },
    '!=': () => {
      const b = pop();
      flag(!same(pop(), b));
    },
    len: () => push(BigInt(popBytes().length)),
    itob: () => push(itob(popInt())),
    btoi: () => push(btoi(popBytes())),
    bzero: () => {
      const size = popInt();
      if (size > BigInt(MAX_BYTES)) throw new Error(`bzero attempted to create a too large string`);
      push(new Uint8Array(Number(size)));
    },
    intcblock: () => {
      ints = list(varuint);
    },
    bytecblock: () => {
      bytess = list(literal);
    },
    intc: () => constant(ints, byte()),
    bytec: () => constant(bytess, byte()),
    pushint: () => push(varuint()),
    pushbytes: () => push(literal()),
    pushints: () => {
      for (const value of list(varuint)) push(value);
    },
    pushbytess: () => {
      for (const value of list(literal)) push(value);
    },
    txn: () => push(host.txnField(host.groupIndex, name(TXN_FIELDS))),
    txna: () => {
      const field = name(TXN_FIELDS);
      push(host.txnField(host.groupIndex, field, byte()));
    },
    gtxns: () => {
      const field = name(TXN_FIELDS);
      push(host.txnField(Number(popInt()), field));
    },
    global: () => push(host.globalField(name(GLOBAL_FIELDS))),
    acct_params_get: () => {
      const { value, exists } = host.acctField(popBytes(), name(ACCT_FIELDS));
      push(value);
      flag(exists);
    },
    app_params_get: () => {
      const { value, exists } = host.appField(popInt(), name(APP_FIELDS));
      push(value);
      flag(exists);
    },
    balance: () => push(host.acctField(popBytes(), 'AcctBalance').value),
    min_balance: () => push(host.acctField(popBytes(), 'AcctMinBalance').value),
    load: () => push(scratch[byte()] ?? 0n),
    store: () => {
      scratch[byte()] = pop();
    },
    b: () => jump(offset()),
    bz: () => {
      const distance = offset();
      if (popInt() === 0n) jump(distance);
    },
    bnz: () => {
      const distance = offset();
      if (popInt() !== 0n) jump(distance);
    },
    switch: () => {
      const choice = popInt();
      const targets = Array.from({ length: byte() }, offset);
      const target = choice < BigInt(targets.length) ? targets[Number(choice)] : undefined;
      if (target !== undefined) jump(target);
    },
    match: () => {
      const targets = Array.from({ length: byte() }, offset);
      const wanted = pop();
      const cases = targets.map(pop).reverse();
      const found = cases.findIndex((value) => typeof value === typeof wanted && same(value, wanted));
      if (found >= 0) jump(targets[found] as number);
    },
    callsub: () => {
      const distance = offset();
      frames.push({ returnTo: pc, height: stack.length, args: 0, returns: 0, proto: false });
      jump(distance);
    },
    proto: () => {
      const frame = frames[frames.length - 1];
      if (frame === undefined || frame.proto) throw new Error('proto was executed without a callsub');
      frame.args = byte();
      frame.returns = byte();
      frame.proto = true;
      if (frame.args > stack.length) throw new Error(`callsub to proto that requires ${frame.args} args with stack height ${stack.length}`);
    },
    retsub: () => {
      const frame = frames.pop();
      if (frame === undefined) throw new Error('retsub with empty callstack');
      if (frame.proto) {
        if (stack.length < frame.height + frame.returns) throw new Error(`retsub executed with stack below frame`);
        const results = stack.slice(frame.height, frame.height + frame.returns);
        stack.length = frame.height - frame.args;
        stack.push(...results);
      }
      pc = frame.returnTo;
    },
    frame_dig: () => push(stack[slot(signed())] as Value),
    frame_bury: () => {
      const index = signed();
      const value = pop();
      stack[slot(index)] = value;
    },
    pop: () => {
      pop();
    },
    popn: () => {
      for (let left = byte(); left > 0; left--) pop();
    },
    dup: () => push(stack[peek(0)] as Value),
    dup2: () => {
      push(stack[peek(1)] as Value);
      push(stack[peek(1)] as Value);
    },
    dupn: () => {
      const value = stack[peek(0)] as Value;
      for (let left = byte(); left > 0; left--) push(value);
    },
    dig: () => push(stack[peek(byte())] as Value),
    bury: () => {
      const depth = byte();
      if (depth === 0) throw new Error('bury 0 always fails');
      const value = pop();
      stack[peek(depth - 1)] = value;
    },
    swap: () => {
      const b = pop();
      const a = pop();
      push(b);
      push(a);
    },
    cover: () => {
      const depth = byte();
      peek(depth);
      stack.splice(stack.length - 1 - depth, 0, stack.pop() as Value);
    },
    uncover: () => {
      const place = peek(byte());
      stack.push(...stack.splice(place, 1));
    },
    select: () => {
      const choice = popInt();
      const b = pop();
      const a = pop();
      push(choice !== 0n ? b : a);
    },
    concat: () => {
      const b = popBytes();
      push(Uint8Array.from(Buffer.concat([popBytes(), b])));
    },
    substring: () => {
      const from = byte();
      const to = byte();
      if (to < from) throw new Error('substring end before start');
      push(cut(popBytes(), BigInt(from), BigInt(to - from)));
    },
    substring3: () => {
      const to = popInt();
      const from = popInt();
      if (to < from) throw new Error('substring end before start');
      push(cut(popBytes(), from, to - from));
    },
    extract: () => {
      const from = BigInt(byte());
      const length = BigInt(byte());
      const bytes = popBytes();
      push(cut(bytes, from, length === 0n ? (BigInt(bytes.length) > from ? BigInt(bytes.length) - from : 0n) : length));
    },
    extract3: () => {
      const length = popInt();
      const from = popInt();
      push(cut(popBytes(), from, length));
    },
    extract_uint16: () => {
      const from = popInt();
      push(btoi(cut(popBytes(), from, 2n)));
    },
    extract_uint32: () => {
      const from = popInt();
      push(btoi(cut(popBytes(), from, 4n)));
    },
    extract_uint64: () => {
      const from = popInt();
      push(btoi(cut(popBytes(), from, 8n)));
    },
    replace2: () => {
      const from = BigInt(byte());
      const part = popBytes();
      push(overwrite(popBytes(), from, part));
    },
    replace3: () => {
      const part = popBytes();
      const from = popInt();
      push(overwrite(popBytes(), from, part));
    },
    getbyte: () => {
      const index = popInt();
      const value = popBytes()[Number(index)];
      if (value === undefined) throw new Error('getbyte index beyond array length');
      push(BigInt(value));
    },
    setbyte: () => {
      const value = popInt();
      const index = popInt();
      if (value > 255n) throw new Error('setbyte value > 255');
      push(overwrite(popBytes(), index, Uint8Array.of(Number(value))));
    },
    app_global_get: () => push(host.globalGet(popBytes())),
    app_global_get_ex: () => {
      const key = popBytes();
      const { value, exists } = host.globalGetEx(popInt(), key);
      push(value);
      flag(exists);
    },
    app_global_put: () => {
      const value = pop();
      host.globalPut(popBytes(), value);
    },
    app_global_del: () => host.globalDel(popBytes()),
    log: () => host.log(popBytes()),
    box_create: () => {
      const size = popInt();
      flag(host.boxCreate(popBytes(), size));
    },
    box_extract: () => {
      const length = popInt();
      const from = popInt();
      const box = popBytes();
      const content = host.boxRead(box);
      if (content === undefined) throw new Error(`no such box 0x${Buffer.from(box).toString('hex')}`);
      push(cut(content, from, length));
    },
    box_replace: () => {
      const part = popBytes();
      const from = popInt();
      host.boxWrite(popBytes(), (content) => overwrite(content, from, part));
    },
    box_splice: () => {
      const part = popBytes();
      const length = popInt();
      const from = popInt();
      host.boxWrite(popBytes(), (content) => {
        const tail = cut(content, from + length, BigInt(content.length) - from - length);
        if (from + BigInt(part.length) > BigInt(content.length)) throw new Error('splice inserted bytes too long');
        const out = new Uint8Array(content.length);
        out.set(content.subarray(0, Number(from)));
        out.set(part, Number(from));
        out.set(tail.subarray(0, out.length - Number(from) - part.length), Number(from) + part.length);
        return out;
      });
    },
    box_del: () => flag(host.boxDelete(popBytes())),
    box_len: () => {
      const content = host.boxRead(popBytes());
      push(BigInt(content?.length ?? 0));
      flag(content !== undefined);
    },
    box_get: () => {
      const content = host.boxRead(popBytes());
      push(content ?? new Uint8Array());
      flag(content !== undefined);
    },
    box_put: () => {
      const content = popBytes();
      host.boxPut(popBytes(), content);
    },
    box_resize: () => {
      const size = popInt();
      host.boxResize(popBytes(), size);
    },
    itxn_begin: () => {
      if (inner !== undefined) throw new Error('itxn_begin without itxn_submit');
      inner = new Map();
    },
    itxn_field: () => {
      if (inner === undefined) throw new Error('itxn_field without itxn_begin');
      inner.set(name(TXN_FIELDS), pop());
    },
    itxn_submit: () => {
      if (inner === undefined) throw new Error('itxn_submit without itxn_begin');
      host.inner(inner);
      inner = undefined;
    },
  };
  for (let i = 0; i < 4; i++) {
    ops[`intc_${i}`] = () => constant(ints, i);
    ops[`bytec_${i}`] = () => constant(bytess, i);
  }

  try {
    while (pc < program.length) {
      at = pc;
      const code = byte();
      const op = BY_CODE.get(code);
      if (op === undefined) throw new Error(`illegal opcode 0x${code.toString(16).padStart(2, '0')}`);
      if (!host.charge(op.cost)) throw new Error(`dynamic cost budget exceeded, executing ${op.name}`);
      if (op.name === 'return') {
        const value = popInt();
        stack.length = 0;
        stack.push(value);
        break;
      }
      const execute = ops[op.name];
      if (execute === undefined) throw new Error(`opcode ${op.name} is not implemented here`);
      execute();
    }
    if (stack.length !== 1) throw new Error(`stack len is ${stack.length} instead of 1`);
    return popIntLast(stack) !== 0n;
  } catch (error) {
    throw error instanceof AvmError ? error : new AvmError(at, error instanceof Error ? error.message : String(error));
  }
};

const popIntLast = (stack: Value[]): bigint => {
  const value = stack[0];
  if (typeof value !== 'bigint') throw new Error('stack finished with bytes not int');
  return value;
};
