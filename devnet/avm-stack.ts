import type { Cpu } from './avm-cpu.ts';
import type { Ops, Value } from './avm-values.ts';

/** Opcodes of constants, scratch space and the order of the stack. */
export const stackOps = ({ stack, pop, popInt, push, byte, varuint, literal, list, peek }: Cpu): Ops => {
  const scratch: Value[] = [];
  let ints: bigint[] = [];
  let bytess: Uint8Array[] = [];
  const constant = <T extends Value>(table: readonly T[], index: number): void => {
    const value = table[index];
    if (value === undefined) throw new Error(`constant ${index} beyond ${table.length} constants`);
    push(value);
  };
  const ops: Ops = {
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
  return ops;
};
