import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { releaseMemory, whenIdle } from './idle-memory.ts';

/** Keeps the thread at work for so long. */
const work = (ms: number): void => {
  for (const until = performance.now() + ms; performance.now() < until; );
};

test('memory is released once when a process becomes idle, and again after more work', async () => {
  let released = 0;
  let next = Promise.withResolvers<void>();
  const stop = whenIdle(() => {
    released++;
    next.resolve();
  }, 40);
  const alive = setInterval(() => {}, 1000);
  try {
    await next.promise;
    // four looks, each of an idle process
    await new Promise((resolve) => setTimeout(resolve, 160));
    const idle = released;
    next = Promise.withResolvers<void>();
    work(200);
    await next.promise;
    assert.ok(released > idle);
  } finally {
    clearInterval(alive);
    stop();
  }
});

test('the young generation that has grown is small again after a release, and what lives stays', () => {
  const youngBytes = (): number => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!.space_size;
  let kept: object[] = [];
  for (let i = 0; i < 400_000; i++) {
    kept.push({ i });
    if (i % 100_000 === 0) kept = kept.slice(-50_000);
  }
  const grown = youngBytes();
  releaseMemory();
  assert.ok(youngBytes() < grown, `${youngBytes()} of ${grown}`);
  assert.deepEqual(kept.at(-1), { i: 399_999 });
});

test('no code of the process has a function that collects', async () => {
  releaseMemory();
  assert.equal((globalThis as { gc?: unknown }).gc, undefined);
  const worker = new Worker("require('node:worker_threads').parentPort.postMessage(typeof globalThis.gc)", { eval: true });
  const [type] = (await once(worker, 'message')) as [string];
  assert.equal(type, 'undefined');
  await worker.terminate();
});
