import type { Cpu } from './avm-cpu.ts';
import { type Ops, same, type Value } from './avm-values.ts';

interface Frame {
  returnTo: number;
  height: number;
  args: number;
  returns: number;
  proto: boolean;
}

/** Opcodes that say what runs next: branches, subroutines and their frames, failure. */
export const flowOps = ({ stack, counter, pop, popInt, push, byte, signed, offset, jump }: Cpu): Ops => {
  const frames: Frame[] = [];
  const slot = (index: number): number => {
    const frame = frames[frames.length - 1];
    if (frame === undefined || !frame.proto) throw new Error('frame access without proto');
    if (index < -frame.args) throw new Error('frame access below the arguments');
    const place = frame.height + index;
    if (place < 0 || place >= stack.length) throw new Error('frame access beyond the stack');
    return place;
  };
  return {
    err: () => {
      throw new Error('err opcode executed');
    },
    assert: () => {
      if (popInt() === 0n) throw new Error(`assert failed pc=${counter.at}`);
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
      frames.push({ returnTo: counter.pc, height: stack.length, args: 0, returns: 0, proto: false });
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
      counter.pc = frame.returnTo;
    },
    frame_dig: () => push(stack[slot(signed())] as Value),
    frame_bury: () => {
      const index = signed();
      const value = pop();
      stack[slot(index)] = value;
    },
  };
};
