import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Calls that are repeated until they are stopped. */
export interface Flood {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
  /** Loops beside each other, and calls that each of them makes at once. */
  readonly loops: number;
  readonly atOnce: number;
}

const PAUSE_MS = 200;

/** Starts a flood in a thread of its own: what it costs to write its bodies is no wait of who is measured. @returns what ends it, and tells how many were answered */
export async function startFlood(flood: Flood): Promise<() => Promise<number>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: flood });
  await new Promise((resolve, reject) => void worker.once('message', resolve).once('error', reject));
  return async () => {
    const answered = new Promise<number>((resolve) => void worker.once('message', resolve));
    worker.postMessage('end');
    const count = await answered;
    await worker.terminate();
    return count;
  };
}

async function send(agent: Agent, { url, headers, body }: Flood): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const going = request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json', ...headers } }, (got) => {
      got.resume();
      got.on('end', resolve).on('error', reject);
    });
    going.on('error', reject);
    going.end(JSON.stringify(body));
  });
}

if (!isMainThread && parentPort) {
  const flood = workerData as Flood;
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  let answered = 0;
  for (let i = 0; i < flood.loops; i++)
    void (async () => {
      for (;;) {
        const calls = Array.from({ length: flood.atOnce }, () => send(agent, flood).then(() => void answered++));
        await Promise.allSettled(calls);
        await pause(PAUSE_MS);
      }
    })();
  parentPort.on('message', () => parentPort?.postMessage(answered));
  parentPort.postMessage('begun');
}
