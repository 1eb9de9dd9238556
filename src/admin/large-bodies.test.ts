import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import { createLargeBodies } from './large-bodies.ts';

/** A clock that a read moves on, and the timers of the turns. */
function clocked(t: import('node:test').TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let time = 0;
  const bodies = createLargeBodies(() => time);
  const order: string[] = [];
  const read = (name: string, sender: string, ms: number, bytes = 100_000): Promise<void> =>
    bodies.read(sender, bytes, () => {
      time += ms;
      order.push(name);
    });
  const pass = (ms: number): void => {
    for (let i = 0; i < ms; i++) {
      time++;
      t.mock.timers.tick(1);
    }
  };
  return { read, order, pass };
}

test('large bodies that take long are read in turn by sender, with pauses: short ones of another, long ones of the same', async (t) => {
  const { read, order, pass } = clocked(t);
  const all = [read('a1', 'a', 30), read('a2', 'a', 30), read('b1', 'b', 1)];
  pass(1);
  assert.deepEqual(order, ['a1']);
  pass(100);
  assert.deepEqual(order, ['a1'], 'four times what it took');
  pass(25);
  assert.deepEqual(order, ['a1', 'b1']);
  pass(400);
  assert.deepEqual(order, ['a1', 'b1'], 'twenty times what it took');
  pass(100);
  assert.deepEqual(order, ['a1', 'b1', 'a2']);
  await Promise.all(all);
  const [own, others] = [read('a3', 'a', 1), read('b2', 'b', 1)];
  pass(200);
  assert.deepEqual(order.slice(3), ['b2'], 'whoever comes later and may be read earlier is');
  pass(500);
  await Promise.all([own, others]);
});

test('large bodies that are read in a moment are read one after the other, each in a turn of its own', async (t) => {
  const { read, order, pass } = clocked(t);
  const all = Array.from({ length: 20 }, (_, i) => read(String(i), 'a', 1));
  pass(1);
  assert.deepEqual(order, ['0']);
  pass(20);
  assert.equal(order.length, 20);
  await Promise.all(all);
});

test('of one sender few large bodies wait, and a refusal goes to whoever sent the body', async (t) => {
  const { read, order, pass } = clocked(t);
  const some = Array.from({ length: 10 }, (_, i) => read(String(i), 'a', 1, 1 << 20).catch((error: unknown) => error));
  const other = read('other', 'b', 1, 1 << 20);
  pass(20);
  const answers = await Promise.all(some);
  assert.equal(answers.filter((one) => one instanceof AppError && one.code === 'busy').length, 2);
  await other;
  assert.equal(order.length, 9);
  const bodies = createLargeBodies();
  t.mock.timers.reset();
  await assert.rejects(
    bodies.read('a', 1, () => {
      throw new Error('not JSON');
    }),
    /not JSON/,
  );
  assert.equal(await bodies.read('a', 1, () => 7), 7);
});

test('in all few large bodies wait, however many senders there are: who has most waiting gives way', async (t) => {
  const { read, order, pass } = clocked(t);
  const MiB = 1 << 20;
  const busy: string[] = [];
  const sent = (name: string, sender: string, bytes: number): Promise<void> =>
    read(name, sender, 1, bytes).catch((error: unknown) => {
      assert.ok(error instanceof AppError && error.code === 'busy');
      busy.push(name);
    });
  // with the last of them 64 MiB wait
  const all = [sent('many-1', 'many', 4 * MiB), sent('many-2', 'many', 4 * MiB)];
  for (let i = 0; i < 14; i++) all.push(sent(`one-${i}`, `sender ${i}`, 4 * MiB));
  all.push(sent('late', 'late', MiB), sent('large', 'large', 4 * MiB), sent('small', 'small', MiB));
  await Promise.resolve();
  pass(100);
  await Promise.all(all);
  assert.deepEqual(busy, ['many-2', 'large']);
  assert.deepEqual(order.filter((name) => !name.startsWith('one-')).toSorted(), ['late', 'many-1', 'small']);
  assert.equal(order.length, 17);
});
