import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackupPlaces } from './backup-places.ts';

const BUSY = { code: 'busy', retryAfter: 30 };
const MINUTE = 60_000;
const world = () => {
  const at = { now: 0 };
  return { at, places: createBackupPlaces(() => at.now) };
};
async function* texts(...all: string[]): AsyncGenerator<string> {
  yield* all;
}

test('a wallet has one place, and there are two', () => {
  const { places } = world();
  const first = places.take('a');
  assert.throws(() => places.take('a'), BUSY);
  places.take('b');
  assert.throws(() => places.take('c'), BUSY);
  first.end();
  first.end();
  places.take('c');
  assert.throws(() => places.take('a'), BUSY);
});

test('two wallets that take turns keep no other out', () => {
  const { at, places } = world();
  const [a, b] = [places.take('a'), places.take('b')];
  at.now = 10 * MINUTE;
  a.end();
  assert.throws(() => places.take('a'), BUSY, 'the last place is for others');
  const c = places.take('c');
  c.end();
  at.now += 10 * MINUTE;
  places.take('a').end();
  b.end();
  places.take('b').end();
});

test('a client that reads slowly has no place for long', async () => {
  const { at, places } = world();
  const stalled = places.take('a');
  const pieces = stalled.pieces(texts('x', 'y'));
  await pieces.next();
  at.now = 30_000;
  assert.equal(stalled.fault(), undefined);
  at.now += 1;
  assert.match(stalled.fault()!.message, /too long/);
  await pieces.return(undefined);
  places.take('a').end();

  const slow = places.take('b');
  const drops = slow.pieces(texts('x', 'y', 'z'));
  await drops.next();
  at.now += 20_000;
  await drops.next();
  assert.equal(slow.fault(), undefined);
  at.now += 20_000;
  await drops.next();
  assert.match(slow.fault()!.message, /too long/, 'a byte at a time');

  const steady = places.take('c');
  const parts = steady.pieces(texts('x'.repeat(2 << 20), 'y'));
  await parts.next();
  at.now += 29_000;
  await parts.next();
  at.now += 29_000;
  assert.equal(steady.fault(), undefined, 'one on a slow line');
  at.now += 15 * MINUTE;
  assert.match(steady.fault()!.message, /too long/);
});

test('the time that the agent takes itself is not its client’s', async () => {
  const { at, places } = world();
  const place = places.take('a');
  async function* late(): AsyncGenerator<string> {
    at.now += 5 * MINUTE;
    yield 'x';
  }
  await place.pieces(late()).next();
  assert.equal(place.fault(), undefined);
});
