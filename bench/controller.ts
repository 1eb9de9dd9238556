import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** How a controller learns of a state: webhooks, or calls again and again. */
export type Way = 'webhooks' | 'polls';

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers is as free as JSON
export type Body = any;

/** A state that a record of a thread reaches. */
export interface AwaitedState {
  readonly topic: string;
  /** The route that lists records of the kind, with a filter for this one, for those who poll. */
  readonly list: string;
  /** A member of the record that names it, and its value. */
  readonly member: string;
  readonly value: string;
  readonly states: readonly string[];
}

/** The admin API of one agent, this one or another with ACA-Py's. */
export interface AgentUnderTest {
  readonly admin: string;
  readonly key?: string;
  readonly pid: number;
}

export interface FlowController {
  call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Body>;
  /** The record, in one of the states. @throws Error where it was abandoned, or does not come */
  reached(awaited: AwaitedState): Promise<Body>;
  readonly calls: number;
}

const PATIENCE_MS = 120_000;
const POLL_MS = 100;

/** Webhooks of several agents: `<url>/<name>`. Each is kept until somebody waits for it, and forgotten then. */
export async function startInbox(port = 0) {
  const kept = new Map<string, Body>();
  const waiting = new Map<string, (payload: Body) => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(200).end();
      const [, name, , topic] = (request.url ?? '').split('/');
      const payload = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Body;
      for (const member of ['thread_id', 'connection_id', 'invitation_msg_id']) {
        if (payload[member] === undefined) continue;
        const state = payload.state === 'abandoned' ? '*' : payload.state;
        const waiter = waiting.get(`${name} ${topic} ${member} ${payload[member]} ${state}`);
        if (waiter) waiter(payload);
        else if (['active', 'completed', 'done', 'request-received', '*'].includes(state))
          kept.set(`${name} ${topic} ${member} ${payload[member]} ${state}`, payload);
      }
      // those that nobody waits for any more are the oldest
      for (const key of kept.keys()) {
        if (kept.size <= 5000) break;
        kept.delete(key);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: (name: string, { topic, member, value, states }: AwaitedState): Promise<Body> =>
      new Promise((resolve, reject) => {
        const keys = [...states, '*'].map((state) => `${name} ${topic} ${member} ${value} ${state}`);
        const timer = setTimeout(() => done(undefined), PATIENCE_MS);
        const done = (payload: Body): void => {
          clearTimeout(timer);
          for (const key of keys) {
            waiting.delete(key);
            kept.delete(key);
          }
          if (payload === undefined) reject(new Error(`${keys[0]} did not come`));
          else resolve(payload);
        };
        for (const key of keys) waiting.set(key, done);
        const before = keys.find((key) => kept.has(key));
        if (before !== undefined) done(kept.get(before));
      }),
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export type Inbox = Awaited<ReturnType<typeof startInbox>>;

/** Drives one agent. @param name where its webhooks come */
export function flowController(name: string, { admin, key }: AgentUnderTest, way: Way, inbox: Pick<Inbox, 'next'>): FlowController {
  let calls = 0;
  async function call(method: string, path: string, body?: unknown): Promise<Body> {
    calls++;
    const answer = await fetch(`${admin}${path}`, {
      method,
      headers: { ...(key !== undefined && { 'x-api-key': key }), ...(method === 'POST' && { 'content-type': 'application/json' }) },
      body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} of ${name} answered ${answer.status} ${text}`);
    return JSON.parse(text);
  }
  async function polled({ list, member, value, states }: AwaitedState): Promise<Body> {
    for (const until = performance.now() + PATIENCE_MS; performance.now() < until; await pause(POLL_MS)) {
      const { results } = await call('GET', list);
      const record = (results as Body[]).map((one) => one.cred_ex_record ?? one).find((one) => one[member] === value);
      if (record && [...states, 'abandoned'].includes(record.state)) return record;
    }
    throw new Error(`${name}: ${list} did not become ${states}`);
  }
  return {
    call,
    get calls() {
      return calls;
    },
    async reached(awaited) {
      const record = way === 'webhooks' ? await inbox.next(name, awaited) : await polled(awaited);
      if (record.state === 'abandoned') throw new Error(`${name}: the exchange was abandoned: ${record.error_msg ?? 'no reason given'}`);
      return record;
    },
  };
}
