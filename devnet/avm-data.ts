import { createHash } from 'node:crypto';
import { btoi, cut, itob, MAX_BYTES, MAX_U64, type Machine, type Ops, overwrite, same } from './avm-values.ts';

/** Arithmetic and comparison. */
export const numberOps = ({ pop, popInt, push, flag }: Machine): Ops => {
  const number2 = (op: (a: bigint, b: bigint) => bigint): void => {
    const b = popInt();
    const a = popInt();
    push(op(a, b));
  };
  return {
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
  };
};

/** Byte strings and their hashes. */
export const byteOps = ({ popInt, popBytes, push, byte }: Machine): Ops => ({
  sha256: () => push(Uint8Array.from(createHash('sha256').update(popBytes()).digest())),
  sha512_256: () => push(Uint8Array.from(createHash('sha512-256').update(popBytes()).digest())),
  len: () => push(BigInt(popBytes().length)),
  itob: () => push(itob(popInt())),
  btoi: () => push(btoi(popBytes())),
  bzero: () => {
    const size = popInt();
    if (size > BigInt(MAX_BYTES)) throw new Error(`bzero attempted to create a too large string`);
    push(new Uint8Array(Number(size)));
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
});
