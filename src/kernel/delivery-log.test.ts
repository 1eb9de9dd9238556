import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDeliveryLog } from './delivery-log.ts';

test('the last tries for a webhook are kept, the newest first, apart for each wallet', () => {
  const log = createDeliveryLog();
  for (let i = 1; i <= 25; i++) log.note('a', 'w', { time: i, event: `e${i}`, topic: 't', attempt: 1, status: 200 });
  log.note('b', 'w', { time: 1, event: 'other', topic: 't', attempt: 2, error: 'no answer' });
  assert.deepEqual(
    log.of('a', 'w').map(({ time }) => time),
    Array.from({ length: 20 }, (_none, i) => 25 - i),
  );
  assert.deepEqual([log.of('b', 'w').length, log.of('a', 'x')], [1, []]);
});
