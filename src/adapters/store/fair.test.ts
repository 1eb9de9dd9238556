import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundsOf, type Candidate, fairly, NO_BOUNDS } from './fair.ts';

type Named = Candidate & { name: string };
const lanes = (t: number, target: string, count: number, due = 0): Named[] =>
  Array.from({ length: count }, (_, i) => ({ kind: 'event', t, target, due: due + i, name: `${t}${target}${i}` }));
const names = (found: readonly Named[]): string[] => found.map(({ name }) => name);

test('in turn by tenant, of a tenant in turn by target, what is due for longest first', () => {
  const all = [...lanes(1, 'a', 5), ...lanes(1, 'b', 2, 100), ...lanes(2, 'c', 2, 1000)];
  assert.deepEqual(names(fairly(all, 7, NO_BOUNDS)), ['1a0', '2c0', '1b0', '2c1', '1a1', '1b1', '1a2']);
});

test('lanes without a target have their place by time alone', () => {
  const all = [...lanes(1, '', 3), ...lanes(1, 'x', 1, 1)];
  assert.deepEqual(names(fairly(all, 4, NO_BOUNDS)), ['10', '11', '1x0', '12']);
});

test('within the bounds of each tenant and target; who holds least comes first', () => {
  const numbers: Record<string, number> = { one: 1, two: 2 };
  const bounds = boundsOf(
    {
      tenant: 3,
      held: new Map([
        ['one', 1],
        ['gone', 9],
      ]),
      target: 1,
      targets: [
        { tenant: 'one', target: 'b', room: 0 },
        { tenant: 'two', target: 'c', room: 2 },
        { tenant: 'gone', target: 'c', room: 0 },
      ],
    },
    (tenant) => numbers[tenant],
  );
  const all = [...lanes(1, 'a', 5), ...lanes(1, 'b', 5), ...lanes(1, '', 5, 50), ...lanes(2, 'c', 5, 1000)];
  assert.deepEqual(names(fairly(all, 9, bounds)), ['2c0', '1a0', '2c1', '10']);
});
