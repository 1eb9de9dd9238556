import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Answer, Order } from './derivation-thread.ts';

const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => Uint8Array.from(bytes);

/** A thread that has had nothing to do for so long ends. */
const IDLE_MS = 10_000;

interface Thread {
  readonly worker: Worker;
  timer?: NodeJS.Timeout;
}

const idle: Thread[] = [];

function drop(thread: Thread): void {
  clearTimeout(thread.timer);
  const at = idle.indexOf(thread);
  if (at >= 0) idle.splice(at, 1);
}

function started(): Thread {
  const url = new URL('./derivation-thread.ts', import.meta.url);
  const thread: Thread = { worker: new Worker(url, { name: 'keys', resourceLimits: { maxYoungGenerationSizeMb: 1 } }) };
  // the call in hand fails with it; without a listener an idle thread would end the process
  thread.worker.on('error', () => undefined).on('exit', () => drop(thread));
  return thread;
}

/** One that waits for work, or a new one. */
function taken(): Thread {
  const thread = idle.at(-1) ?? started();
  drop(thread);
  thread.worker.ref();
  return thread;
}

function free(thread: Thread): void {
  thread.worker.unref();
  thread.timer = setTimeout(() => {
    drop(thread);
    void thread.worker.terminate();
  }, IDLE_MS);
  thread.timer.unref();
  idle.push(thread);
}

/**
 * A key from a passphrase, derived in a thread that stands back behind those that answer calls: the pool of threads that Node.js has for this is as important as
 * the event loop, and each derivation takes a core for a tenth of a second. How many there are at once is up to the caller. The passphrase is
 * moved: its bytes are zeros afterwards. @throws Error
 */
export async function deriveApart({
  name,
  parameters,
}: Order & { readonly parameters: { message: Uint8Array; nonce: Uint8Array } }): Promise<Buffer> {
  // of memory of their own: a message has all that a buffer's memory holds, and small buffers share theirs with other secrets
  const message = own(parameters.message);
  parameters.message.fill(0);
  const order: Order = { name, parameters: { ...parameters, message, nonce: own(parameters.nonce) } };
  const thread = taken();
  const { worker } = thread;
  const heard = new AbortController();
  const one = { signal: heard.signal };
  try {
    worker.postMessage(order, [message.buffer]);
    const ended = once(worker, 'exit', one).then(() => {
      throw new Error('the thread that derives keys has ended');
    });
    const [answer] = (await Promise.race([once(worker, 'message', one), ended])) as [Answer];
    if ('error' in answer) throw new Error(answer.error);
    free(thread);
    const { buffer, byteOffset, length } = answer.key;
    return Buffer.from(buffer, byteOffset, length);
  } finally {
    heard.abort();
    if (!idle.includes(thread)) void worker.terminate();
  }
}
