import assert from 'node:assert/strict';
import { argon2Sync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { deriveApart } from './derivation.ts';

const COSTS = { memory: 64, passes: 1, parallelism: 1, tagLength: 32 };
const given = (passphrase = 'a passphrase') => ({
  name: 'argon2id' as const,
  parameters: { message: Buffer.from(passphrase), nonce: randomBytes(16), ...COSTS },
});

test('a passphrase goes to its thread without what lies beside it in memory, and leaves zeros', async (t) => {
  const sent: number[] = [];
  const post = Worker.prototype.postMessage;
  t.mock.method(Worker.prototype, 'postMessage', function (this: Worker, order: ReturnType<typeof given>, moved: ArrayBuffer[]) {
    sent.push(order.parameters.message.buffer.byteLength, order.parameters.nonce.buffer.byteLength);
    post.call(this, order, moved);
  });
  const order = given();
  const expected = argon2Sync('argon2id', { ...order.parameters, message: 'a passphrase' });
  const key = await deriveApart(order);
  assert.deepEqual(key, expected);
  assert.deepEqual(sent, ['a passphrase'.length, 16]);
  assert.equal(key.buffer.byteLength, 32);
  assert.deepEqual(order.parameters.message, Buffer.alloc('a passphrase'.length));
});

test('many derivations at once have each their own key, and one that cannot be is an error of its own', async () => {
  const orders = Array.from({ length: 12 }, (_none, i) => given(`passphrase ${i}`));
  const expected = orders.map(({ parameters }, i) => argon2Sync('argon2id', { ...parameters, message: `passphrase ${i}` }));
  const wrong = given();
  wrong.parameters.memory = 1;
  const [failed, ...keys] = await Promise.allSettled([deriveApart(wrong), ...orders.map((order) => deriveApart(order))]);
  assert.equal(failed.status, 'rejected');
  assert.deepEqual(
    keys.map((one) => (one.status === 'fulfilled' ? one.value : one.reason)),
    expected,
  );
});

test('a derivation whose thread ends is an error, and the next one has another thread', async (t) => {
  const post = Worker.prototype.postMessage;
  const ending = t.mock.method(Worker.prototype, 'postMessage', function (this: Worker, order: unknown, moved: ArrayBuffer[]) {
    post.call(this, order, moved);
    void this.terminate();
  });
  const order = given();
  order.parameters.memory = 65_536;
  await assert.rejects(deriveApart(order), /has ended/);
  ending.mock.restore();
  assert.equal((await deriveApart(given())).length, 32);
});
