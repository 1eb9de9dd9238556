import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import { createTurns } from './turns.ts';

/** Work that ends when it is told to. */
function held(turns: ReturnType<typeof createTurns>, tenant: string, begun: string[], name: string) {
  let end = (): void => {};
  const until = new Promise<void>((resolve) => {
    end = resolve;
  });
  const done = turns.run(tenant, async () => {
    begun.push(name);
    await until;
  });
  return { end, done };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a tenant has so many in hand at once, the others wait in their order, and nobody else does', async () => {
  const turns = createTurns(2);
  const begun: string[] = [];
  const all = ['a1', 'a2', 'a3', 'a4', 'b1'].map((name) => held(turns, name[0]!, begun, name));
  await settled();
  assert.deepEqual(begun, ['a1', 'a2', 'b1']);
  all[1]!.end();
  await all[1]!.done;
  await settled();
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3']);
  for (const one of all) one.end();
  await Promise.all(all.map(({ done }) => done));
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3', 'a4']);
});

test('who only waits lets the next one work; who fails does too', async () => {
  const turns = createTurns(1);
  let end = (): void => {};
  const waits = turns.run('a', async () => {
    turns.pass();
    turns.pass();
    await new Promise<void>((resolve) => {
      end = resolve;
    });
  });
  await assert.rejects(
    turns.run('a', async () => {
      throw new Error('no');
    }),
    /no/,
  );
  assert.equal(await turns.run('a', async () => 'third'), 'third');
  end();
  await waits;
});

test('too many that wait are refused, and 0 is no bound', async () => {
  const turns = createTurns(1);
  const begun: string[] = [];
  const all = Array.from({ length: 51 }, (_none, i) => held(turns, 'a', begun, String(i)));
  await assert.rejects(
    turns.run('a', async () => {}),
    (error) => error instanceof AppError && error.row.status === 429,
  );
  await turns.run('b', async () => {});
  for (const one of all) one.end();
  await Promise.all(all.map(({ done }) => done));
  const free = createTurns(0);
  const many = Array.from({ length: 200 }, (_none, i) => held(free, 'a', begun, `free ${i}`));
  await settled();
  assert.equal(begun.length, 251);
  for (const one of many) one.end();
  await Promise.all(many.map(({ done }) => done));
});
