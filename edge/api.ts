import { WebSocket } from 'ws';

/** The controller of the wallet's agent: calls to the admin API on loopback, and the events of `/ws`. */

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers is as free as JSON
export type Body = any;

/** A call that the agent refused; the text is the agent's own. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

export interface Api {
  get(path: string): Promise<Body>;
  post(path: string, body?: object): Promise<Body>;
  remove(path: string): Promise<Body>;
  /** The listener gets each event, and `undefined` where events may be missing. */
  on(listener: (topic: string | undefined, payload: Body) => void): void;
  /**
   * Asks now, and again after each event of the topics, until there is an answer.
   * @throws the error of `ask`
   */
  until<T>(topics: readonly string[], ask: () => Promise<T | undefined>): Promise<T>;
  close(): void;
}

const AGAIN_MS = 250;
const CALL_MS = 120_000;

/** @param key opens the admin API at the port of this machine */
export async function openApi(port: number, key: string): Promise<Api> {
  const headers = { 'x-api-key': key };
  const listeners = new Set<(topic: string | undefined, payload: Body) => void>();
  const pass = (topic: string | undefined, payload: Body): void => {
    for (const listener of [...listeners]) listener(topic, payload);
  };
  let socket: WebSocket | undefined;
  let closed = false;

  async function call(method: string, path: string, body?: object): Promise<Body> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Refused(answer.status, text.replace(/^\d{3}: /, ''));
    return text === '' ? {} : JSON.parse(text);
  }

  /** Resolves with the first frame; a stream that ends later is opened again. */
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const opened = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers, perMessageDeflate: false });
      socket = opened;
      opened.on('message', (data) => {
        const { topic, payload } = JSON.parse(String(data)) as { topic: string; payload: Body };
        resolve();
        if (topic !== 'ping') pass(topic === 'settings' ? undefined : topic, payload);
      });
      opened.on('error', reject);
      opened.on('close', () => {
        if (!closed) setTimeout(() => void listen().catch(() => {}), AGAIN_MS).unref();
      });
    });

  await listen();
  return {
    get: (path) => call('GET', path),
    post: (path, body = {}) => call('POST', path, body),
    remove: (path) => call('DELETE', path),
    on: (listener) => void listeners.add(listener),
    until: (topics, ask) =>
      new Promise((resolve, reject) => {
        let asking = false;
        let again = false;
        const look = async (): Promise<void> => {
          again = true;
          if (asking) return;
          asking = true;
          try {
            while (again) {
              again = false;
              const answer = await ask();
              if (answer === undefined) continue;
              listeners.delete(listener);
              return resolve(answer);
            }
          } catch (error) {
            listeners.delete(listener);
            reject(error);
          } finally {
            asking = false;
          }
        };
        const listener = (one: string | undefined): void => {
          if (one === undefined || topics.includes(one)) void look();
        };
        listeners.add(listener);
        void look();
      }),
    close() {
      closed = true;
      socket?.close();
    },
  };
}
