import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBreaker } from './breaker.ts';

/** A breaker with a clock of its own. */
function at() {
  const state = { time: 0 };
  return { state, breaker: createBreaker(() => state.time) };
}

test('a few at once at first, more with each answer, and never more than many', () => {
  const { breaker } = at();
  const first = [1, 2, 3, 4].map(() => breaker.begin('a'));
  assert.equal(breaker.room('a'), 0);
  assert.equal(breaker.room('another'), breaker.first);
  for (const end of first) end(true);
  assert.equal(breaker.room('a'), 8);
  for (let i = 0; i < 200; i++) breaker.begin('a')(true);
  assert.equal(breaker.room('a'), 64);
  // who says that it is too much gets no more
  breaker.begin('b')();
  assert.equal(breaker.room('b'), breaker.first);
});

test('without an answer three times in a row it is left alone, longer each time, then tried by one', () => {
  const { state, breaker } = at();
  for (let i = 0; i < 2; i++) breaker.begin('a')(false);
  assert.equal(breaker.room('a'), 4);
  breaker.begin('a')(false);
  assert.equal(breaker.room('a'), 0);
  state.time = 1000;
  assert.equal(breaker.room('a'), 1);
  const probe = breaker.begin('a');
  assert.equal(breaker.room('a'), 0);
  probe(false);
  state.time = 2999;
  assert.equal(breaker.room('a'), 0);
  state.time = 3000;
  breaker.begin('a')(true);
  assert.equal(breaker.room('a'), 4, 'it begins anew');
  for (let i = 0; i < 60; i++) breaker.begin('a')(false);
  state.time += 60_000;
  assert.equal(breaker.room('a'), 1, 'a minute at most');
});

test('one that is in between an answer counts for nothing', () => {
  const { breaker } = at();
  for (let i = 0; i < 5; i++) {
    breaker.begin('a')(false);
    breaker.begin('a')(false);
    breaker.begin('a')(true);
  }
  assert.ok(breaker.room('a') > 0);
});

test('while one takes long only a few go at once, and others are told when to come back', async () => {
  const breaker = createBreaker(undefined, 5);
  for (let i = 0; i < 20; i++) breaker.begin('a')(true);
  assert.ok(breaker.room('a') > 20);
  const end = breaker.begin('a');
  while (breaker.room('a') > 3) await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < 3; i++) breaker.begin('a');
  assert.ok((await breaker.turn('a'))! >= 1000);
  end(true);
});

test('a turn comes when another ends, without a look at the clock', async () => {
  const { breaker } = at();
  const ends = [1, 2, 3, 4].map(() => breaker.begin('a'));
  const turn = breaker.turn('a');
  ends[0]!(true);
  assert.equal(await turn, undefined);
});

test('the breaker has nothing of a target that answers as ever', () => {
  const { breaker } = at();
  breaker.begin('gone')();
  breaker.begin('away')(false);
  const end = breaker.begin('busy');
  assert.deepEqual(Object.fromEntries(breaker.known()), { away: 4, busy: 3 });
  end();
  assert.deepEqual([...breaker.known()].length, 1);
});
