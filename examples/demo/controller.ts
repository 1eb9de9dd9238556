import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A controller of one agent: HTTP calls to its admin API, and the webhooks that come back. Nothing else is known of the agent. */
export interface Controller {
  readonly name: string;
  get(path: string): Promise<Body>;
  /** A call that is said again under the same key when the agent went away in the middle of it: it has one effect. */
  post(path: string, body?: unknown): Promise<Body>;
  put(path: string, body: unknown): Promise<Body>;
  delete(path: string): Promise<Body>;
  /** Waits until a webhook of the topic says that. */
  event(topic: string, matches: (payload: Body) => boolean, what: string): Promise<Body>;
  readonly calls: number;
  /** Every webhook that came, with its event id, in the order of arrival. */
  readonly received: readonly { topic: string; id: string; payload: Body }[];
}

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers is as free as JSON
export type Body = any;

export interface Webhooks {
  readonly port: number;
  /** @param keys the headers that open the admin API */
  controller(name: string, adminUrl: string, keys: Readonly<Record<string, string>>): Controller;
  close(): Promise<void>;
}

/** How long nothing may happen, at any of the agents: a machine that is slow or busy takes its time for one thing. */
export const PATIENCE_MS = 300_000;

/** One webhook receiver for all controllers of the demo: `/<name>/topic/<topic>/`. */
export async function startWebhooks(port = 0): Promise<Webhooks> {
  const logs = new Map<string, { topic: string; id: string; payload: Body }[]>();
  const known = new Set<string>();
  const listeners = new Set<() => void>();
  // when an agent last answered or told something
  let alive = Date.now();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [, name, , topic] = (request.url ?? '').split('/');
      const log = logs.get(name ?? '');
      alive = Date.now();
      if (log && topic) {
        const id = String(request.headers['x-event-id']);
        // delivery is at least once: the event id tells a repetition
        if (!known.has(`${name} ${id}`)) log.push({ topic, id, payload: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
        known.add(`${name} ${id}`);
      }
      response.writeHead(200).end();
      for (const listener of listeners) listener();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    controller(name, adminUrl, keys) {
      const log: { topic: string; id: string; payload: Body }[] = [];
      logs.set(name, log);
      let calls = 0;

      async function call(method: string, path: string, body: unknown): Promise<Body> {
        const headers: Record<string, string> = { ...keys, 'idempotency-key': randomUUID() };
        if (body !== undefined) headers['content-type'] = 'application/json';
        const began = Date.now();
        const impatient = (): boolean => Date.now() - Math.max(began, alive) > PATIENCE_MS;
        for (;;) {
          calls++;
          let answer: Response;
          let text: string;
          try {
            answer = await fetch(`${adminUrl}${path}`, {
              method,
              headers,
              body: body === undefined ? undefined : JSON.stringify(body),
              signal: AbortSignal.timeout(120_000),
            });
            text = await answer.text();
          } catch (error) {
            if (impatient()) throw new Error(`${name} does not answer: ${reasonOf(error as Error)}`);
            await pause(100);
            continue;
          }
          if (answer.ok) {
            alive = Date.now();
            return JSON.parse(text);
          }
          if ((answer.status !== 503 && answer.status !== 504) || impatient())
            throw new Error(`${method} ${path} of ${name} answered ${answer.status} ${text}`);
          await pause(200);
        }
      }

      return {
        name,
        received: log,
        get calls() {
          return calls;
        },
        get: (path) => call('GET', path, undefined),
        post: (path, body) => call('POST', path, body ?? {}),
        put: (path, body) => call('PUT', path, body),
        delete: (path) => call('DELETE', path, undefined),
        async event(topic, matches, what) {
          const began = Date.now();
          for (;;) {
            const found = log.find((entry) => entry.topic === topic && matches(entry.payload));
            if (found) return found.payload;
            const left = Math.max(began, alive) + PATIENCE_MS - Date.now();
            if (left <= 0) throw new Error(`${name} heard of no ${what}, and nothing happened for ${PATIENCE_MS / 1000} s`);
            await new Promise<void>((resolve) => {
              const done = (): void => {
                clearTimeout(timer);
                listeners.delete(done);
                resolve();
              };
              const timer = setTimeout(done, left);
              listeners.add(done);
            });
          }
        },
      };
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What is behind the "fetch failed" of `fetch`. */
const reasonOf = ({ message, cause }: Error): string =>
  cause instanceof Error && cause.message ? `${message}: ${cause.message}` : message;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
