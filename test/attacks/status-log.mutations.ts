import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const CODEC = 'src/adapters/algorand/status-codec.ts';
const LOG = 'src/adapters/algorand/status-log.ts';
const PLAN = 'src/adapters/algorand/status-plan.ts';
const VECTORS = 'src/adapters/algorand/status-codec.test.ts';
const ON_LEDGER = 'src/adapters/algorand/status-log.test.ts';
const invalid = (what: string): readonly [string, string] => [VECTORS, `hold a log that is invalid: ${what}`];

export const MUTATIONS: readonly (Row & Breakable)[] = [
  {
    id: 'A30',
    text: 'no record revokes an index that no credential has',
    mutation: {
      file: CODEC,
      from: 'for (let index = size; index < bits.length * 8; index++)',
      to: 'for (let index = size; index < 0; index++)',
    },
    tests: [invalid('a bitmap with a bit beyond the last credential')],
  },
  {
    id: 'A30-2',
    text: 'the index 0 is never revoked',
    mutation: { file: CODEC, from: 'if (has(bits, 0)) throw', to: 'if (size < 0) throw' },
    tests: [invalid('a bitmap with bit 0')],
  },
  {
    id: 'A30-3',
    text: 'times of records grow',
    mutation: { file: CODEC, from: 'time <= former.time || round <= former.round', to: 'round <= former.round' },
    tests: [invalid('a record whose time goes back')],
  },
  {
    id: 'A30-4',
    text: 'a record whose parts came in different rounds changes no state',
    mutation: { file: CODEC, from: '(flags & MORE) === 0 && oneRound', to: '(flags & MORE) === 0' },
    tests: [[VECTORS, 'hold a log: a record whose last part came in a later round is none']],
  },
  {
    id: 'A30-5',
    text: 'a head that is not that of its segment is not believed',
    mutation: { file: LOG, from: 'current === undefined || !agree(head, current)', to: 'current === undefined' },
    tests: [invalid('a head of another time than its last entry')],
  },
  {
    id: 'A30-6',
    text: 'a hole in a log is never answered by an older state',
    mutation: {
      file: LOG,
      from: 'if (segment === undefined) throw new',
      to: 'if (segment === undefined) continue; if (step < 0) throw new',
    },
    tests: [[VECTORS, 'hold a log: pruned in the middle']],
  },
  {
    id: 'A30-7',
    text: 'a state is settled by a later block alone',
    mutation: { file: LOG, from: '(block as number) > time', to: '(block as number) >= time' },
    tests: [[ON_LEDGER, 'are settled once a block is later than the time that was asked for']],
  },
  {
    id: 'A30-8',
    text: 'a record of another writer is not taken for one’s own',
    mutation: { file: PLAN, from: 'if (written && sameStatus(written, status)) return', to: 'if (written) return' },
    tests: [[ON_LEDGER, 'of a second writer with the operator’s key are merged']],
  },
];
