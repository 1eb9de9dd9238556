import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rateLimit } from './rate-limit.ts';

test('twice the rate at once, then the rate; each name has its own', () => {
  let time = 0;
  const limit = rateLimit(10, () => time);
  const taken = (name: string, tries: number): number => Array.from({ length: tries }, () => limit.take(name)).filter(Boolean).length;
  assert.equal(taken('a', 50), 20);
  assert.equal(taken('b', 50), 20);
  time += 1000;
  assert.equal(taken('a', 50), 10);
  time += 60_000;
  assert.equal(taken('a', 50), 20);
});

test('a rate of nothing allows everything', () => {
  const limit = rateLimit(0);
  assert.ok(Array.from({ length: 1000 }, () => limit.take('a')).every(Boolean));
});

test('over any course of time no name gets more than the burst and the rate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 400 }), (rate, steps) => {
      let time = 0;
      let allowed = 0;
      const limit = rateLimit(rate, () => time);
      for (const step of steps) {
        time += step;
        if (limit.take('a')) allowed++;
      }
      return allowed <= rate * 2 + (time / 1000) * rate + 1e-6;
    }),
  );
});
