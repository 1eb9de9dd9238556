import { MAX_BYTES, MAX_U64, type Machine, type Value } from './avm-values.ts';

const MAX_STACK = 1000;

/** Reads a varuint; returns it and where it ends. */
export const varuintAt = (program: Uint8Array, at: number): [bigint, number] => {
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

/** The stack of a program, and the place in it that runs. */
export interface Cpu extends Machine {
  readonly stack: Value[];
  /** The next byte, and the opcode that runs. */
  readonly counter: { pc: number; at: number };
  signed(): number;
  offset(): number;
  varuint(): bigint;
  literal(): Uint8Array;
  /** As many as a varuint says. */
  list<T>(read: () => T): T[];
  jump(distance: number): void;
  /** The place in the stack of what lies so deep. */
  peek(depth: number): number;
}

export const createCpu = (program: Uint8Array, start: number): Cpu => {
  const stack: Value[] = [];
  const counter = { pc: start, at: start };

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
    const value = program[counter.pc];
    if (value === undefined) throw new Error('pc is beyond the end of the program');
    counter.pc += 1;
    return value;
  };
  const signed = (): number => (byte() << 24) >> 24;
  const offset = (): number => {
    const high = byte();
    return (((high << 8) | byte()) << 16) >> 16;
  };
  const varuint = (): bigint => {
    const [value, end] = varuintAt(program, counter.pc);
    counter.pc = end;
    return value;
  };
  const literal = (): Uint8Array => {
    const length = Number(varuint());
    if (counter.pc + length > program.length) throw new Error('program ends in a constant');
    counter.pc += length;
    return program.slice(counter.pc - length, counter.pc);
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: Number(varuint()) }, read);
  const name = (table: readonly string[]): string => {
    const number = byte();
    const field = table[number];
    if (field === undefined) throw new Error(`invalid field ${number}`);
    return field;
  };
  const jump = (distance: number): void => {
    const to = counter.pc + distance;
    if (to < 0 || to > program.length) throw new Error('branch target beyond end of program');
    counter.pc = to;
  };
  const peek = (depth: number): number => {
    const place = stack.length - 1 - depth;
    if (place < 0) throw new Error('stack underflow');
    return place;
  };

  return { stack, counter, pop, popInt, popBytes, push, flag, byte, name, signed, offset, varuint, literal, list, jump, peek };
};
