import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from './job-outcome.ts';

test('a job that failed is due later each time, up to the cap, at a whole millisecond', () => {
  for (let attempts = 0; attempts < 30; attempts++) {
    const now = Date.now();
    const at = backoff(attempts, 60_000);
    const wait = Math.min(1000 * 2 ** attempts, 60_000);
    assert.ok(Number.isInteger(at), 'a whole number');
    assert.ok(at >= now + wait * 0.79 && at <= now + wait * 1.21 + 50, `${at - now} after ${attempts}`);
  }
});
