import { dataOps } from './avm-data.ts';
import { hostOps } from './avm-host.ts';
import { AvmError, type Host, MAX_BYTES, MAX_U64, type Machine, type Ops, same, type Value } from './avm-values.ts';
import { BY_CODE } from './opcodes.ts';

const MAX_STACK = 1000;

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
  const [version, start] = varuintAt(program, 0);
  if (version < 2n || version > 11n) throw new AvmError(0, `program version ${version} not supported here`);
  let pc = start;
  let at = pc;
  let cost = 0;
  /** The last opcodes, for the text of an error. */
  let recent: string[] = [];

  const pop = (): Value => {
    if (stack.length === 0) throw new Error('stack underflow');
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
  const peek = (depth: number): number => {
    const place = stack.length - 1 - depth;
    if (place < 0) throw new Error('stack underflow');
    return place;
  };

  const machine: Machine = { pop, popInt, popBytes, push, flag, byte, name };
  const ops: Ops = {
    ...dataOps(machine),
    ...hostOps(machine, host),
    err: () => {
      throw new Error('err opcode executed');
    },
    assert: () => {
      if (popInt() === 0n) throw new Error(`assert failed pc=${at}`);
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
      recent = [...recent.slice(-2), op.name];
      if (!host.charge(op.cost)) throw new Error(`dynamic cost budget exceeded, executing ${op.name}: local program cost was ${cost}`);
      cost += op.cost;
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
    if (error instanceof AvmError) throw error;
    throw new AvmError(at, error instanceof Error ? error.message : String(error), recent, stack);
  }
};

const popIntLast = (stack: Value[]): bigint => {
  const value = stack[0];
  if (typeof value !== 'bigint') throw new Error('stack finished with bytes not int');
  return value;
};
