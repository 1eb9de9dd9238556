import { createCpu, varuintAt } from './avm-cpu.ts';
import { byteOps, numberOps } from './avm-data.ts';
import { flowOps } from './avm-flow.ts';
import { hostOps } from './avm-host.ts';
import { stackOps } from './avm-stack.ts';
import { AvmError, type Host, type Ops, type Value } from './avm-values.ts';
import { BY_CODE } from './opcodes.ts';

/**
 * Runs an application program of AVM 10. Approves if it ends with one non-zero integer on the stack.
 * @returns whether it approved
 * @throws AvmError where it failed; the caller rolls the ledger back
 */
export const run = (program: Uint8Array, host: Host): boolean => {
  const [version, start] = varuintAt(program, 0);
  if (version < 2n || version > 11n) throw new AvmError(0, `program version ${version} not supported here`);
  const cpu = createCpu(program, start);
  const { stack, counter, popInt, byte } = cpu;
  const ops: Ops = { ...numberOps(cpu), ...byteOps(cpu), ...hostOps(cpu, host), ...flowOps(cpu), ...stackOps(cpu) };
  let cost = 0;
  /** The last opcodes, for the text of an error. */
  let recent: string[] = [];
  try {
    while (counter.pc < program.length) {
      counter.at = counter.pc;
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
    throw new AvmError(counter.at, error instanceof Error ? error.message : String(error), recent, stack);
  }
};

const popIntLast = (stack: Value[]): bigint => {
  const value = stack[0];
  if (typeof value !== 'bigint') throw new Error('stack finished with bytes not int');
  return value;
};
