import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const TAILS = 'src/adapters/transport/tails.ts';
const TESTS = 'src/adapters/transport/tails.test.ts';

export const MUTATIONS: readonly (Row & Breakable)[] = [
  {
    id: 'A31',
    text: 'a tails file has the hash that its definition names',
    mutation: { file: TAILS, from: "return hashOf(bytes) === hash ? undefined : 'a file of another hash';", to: 'return undefined;' },
    tests: [[TESTS, 'that is another is refused, and nothing is kept']],
  },
  {
    id: 'A31-2',
    text: 'no more is fetched than the file has',
    mutation: { file: TAILS, from: 'maxBytes: size, failure', to: 'maxBytes: 1 << 30, failure' },
    tests: [[TESTS, 'that is endless is refused, and nothing is kept']],
  },
  {
    id: 'A31-3',
    text: 'a redirect stays on its host',
    mutation: { file: TAILS, from: 'if (next.host !== host) throw', to: "if (next.host === '') throw" },
    tests: [[TESTS, 'that is at another host is refused, and nothing is kept']],
  },
  {
    id: 'A31-4',
    text: 'a hash is no path',
    mutation: { file: TAILS, from: '!HASH.test(tailsHash) || ', to: '' },
    tests: [[TESTS, 'needs a reference that can be one']],
  },
  {
    id: 'A31-5',
    text: 'what was damaged on this machine is never handed out',
    mutation: { file: TAILS, from: 'base58.encode(digest.digest()) !== hash', to: "hash === ''" },
    tests: [[TESTS, 'that was damaged on this machine is never handed out']],
  },
  {
    id: 'A31-7',
    text: 'a file that was whole is read again once it has changed',
    mutation: { file: TAILS, from: 'whole.get(path) === version', to: 'whole.has(path)' },
    tests: [[TESTS, 'that was damaged on this machine is never handed out']],
  },
  {
    id: 'A31-6',
    text: 'whoever wants a file that is on its way waits for it, and does not fetch it too',
    mutation: { file: TAILS, from: '    fetching.set(hash, fetch);\n', to: '' },
    tests: [[TESTS, '[P11] is fetched once for all who ask at the same time']],
  },
];
