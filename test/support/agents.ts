import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../harness/processes.ts';
import { type Agent, startAgent } from '../../src/app.ts';
import { readConfig } from '../../src/config/read-config.ts';
import type { Log } from '../../src/ports/log.ts';
import { answerFaults, webhookFaults } from './acapy-answers.ts';
import { type Devnet, startDevnet } from './ledger.ts';
import { CALL_MS, until, type Waiting, waiting } from './waiting.ts';

/** Support for tests: agents in this process on SQLite in a temporary folder, each with a controller and a webhook receiver. */

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers is as free as JSON
export type Body = any;

export interface Webhook {
  readonly topic: string;
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: string;
  readonly payload: Body;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly body: Body;
}

/** A webhook receiver that can be taken down: it answers 503 then. */
export interface Receiver {
  readonly url: string;
  readonly hooks: Waiting<Webhook>;
  down: boolean;
  /** What came while it was down. */
  readonly refused: number;
  close(): Promise<void>;
}

export interface TestAgent {
  readonly name: string;
  readonly admin: string;
  readonly inbound: string;
  readonly key: string;
  readonly store: string;
  readonly agent: Agent;
  readonly receiver: Receiver;
  readonly hooks: Waiting<Webhook>;
  /** Everything that the admin API answered, as text. */
  readonly answers: string[];
  readonly logged: string[];
  /** One call, whatever its outcome. A string body goes out as it is. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Body>;
  post(path: string, body?: unknown): Promise<Body>;
  /** The payload of the first webhook that matches. */
  event(topic: string, matches: (payload: Body) => boolean, what: string, ms?: number): Promise<Body>;
  /** The states of one record that webhooks had, in their order, once all that were ordered have come. */
  states(topic: string, id: string): Promise<string[]>;
  /** Leaves the receiver open. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** The number of commits once no job is open: whatever was under way has been settled, so that a later commit comes of something later. */
export const commitsAtRest = (agent: TestAgent): Promise<number> =>
  until(async () => {
    const { text } = await agent.call('GET', '/metrics');
    const open = [...text.matchAll(/^flexid_jobs_open\{.*\} (\d+)$/gm)];
    return open.length > 0 && open.every(([, jobs]) => jobs === '0') && Number(/^flexid_commits_total (\d+)$/m.exec(text)![1]);
  }, 'the agent to rest');

/** Waits until every webhook that was ordered has come: of a change that was made before, none is missing. */
export const webhooksAtRest = (agent: TestAgent): Promise<true> =>
  until(
    async () => (await agent.call('GET', '/metrics')).text.split('\n').includes('flexid_jobs_open{kind="event"} 0') || undefined,
    'the last webhook',
  );

export interface Spec {
  readonly flags?: readonly string[];
  /** Path of an existing database, or the URL of one of PostgreSQL. */
  readonly store?: string;
  readonly endpoint?: string;
  readonly port?: number;
  /** That of an agent which stopped. */
  readonly receiver?: Receiver;
  readonly noWebhook?: boolean;
  /** Nobody can reach it: it listens on its admin port only. */
  readonly noInbound?: boolean;
  /** A WebSocket transport on the port of the other, and its address in what peers are told. */
  readonly webSocket?: boolean;
  /** No key for the admin API and `/ws`. */
  readonly insecure?: boolean;
  readonly devnet?: Devnet;
  /** Whether it may write to the ledger. */
  readonly sponsor?: boolean | string;
}

export interface World {
  readonly folder: string;
  start(name: string, spec?: Spec): Promise<TestAgent>;
  devnet(options?: Parameters<typeof startDevnet>[0]): Promise<Devnet>;
  /** Something to be undone at the end, the last one first. */
  defer(undo: () => unknown): void;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const hooks = waiting<Webhook>();
  const state = { down: false, refused: 0 };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (state.down) {
        state.refused++;
        response.writeHead(503).end();
        return;
      }
      const raw = Buffer.concat(chunks).toString('utf8');
      const topic = /\/topic\/([^/]+)\/$/.exec(request.url ?? '')?.[1] ?? '';
      hooks.add({ topic, id: String(request.headers['x-event-id']), headers: request.headers, raw, payload: JSON.parse(raw) });
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hooks,
    get down() {
      return state.down;
    },
    set down(down) {
      state.down = down;
    },
    get refused() {
      return state.refused;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const ID_FIELDS: Record<string, string> = {
  connections: 'connection_id',
  out_of_band: 'oob_id',
  issue_credential_v2_0: 'cred_ex_id',
  present_proof_v2_0: 'pres_ex_id',
  issue_credential: 'credential_exchange_id',
  present_proof: 'presentation_exchange_id',
};

/** A world of agents: everything that is started in it ends with it. `held`: what they answer and tell is held against ACA-Py's document, and its end fails otherwise. */
export function createWorld({ held: isHeld = false }: { held?: boolean } = {}): World {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-test-'));
  const undo: (() => unknown)[] = [];
  const faults: string[] = [];

  async function start(name: string, spec: Spec = {}): Promise<TestAgent> {
    const store = spec.store ?? join(folder, `${name}.db`);
    const key = `key-of-${name}`;
    const receiver = spec.receiver ?? (await startReceiver());
    const port = spec.port ?? (await freePort());
    const inbound = spec.endpoint ?? `http://127.0.0.1:${port}`;
    const { devnet, sponsor = false } = spec;
    const { config, shown } = readConfig(
      [
        ...['--label', name, '--admin', '127.0.0.1', '0', '--store', store.startsWith('postgres') ? store : `sqlite:${store}`],
        ...(spec.insecure ? ['--admin-insecure-mode'] : ['--admin-api-key', key]),
        ...(spec.noInbound ? [] : ['--inbound-transport', 'http', '127.0.0.1', String(port)]),
        ...(spec.webSocket ? ['--inbound-transport', 'ws', '127.0.0.1', String(port)] : []),
        ...(spec.noInbound ? [] : ['--endpoint', inbound, ...(spec.webSocket ? [inbound.replace(/^http/, 'ws')] : [])]),
        ...['--anoncreds-workers', '1'],
        ...(spec.noWebhook ? [] : ['--webhook-url', `${receiver.url}/${name}#${key}`]),
        ...(spec.flags?.includes('--egress-allow') ? [] : ['--egress-allow', '127.0.0.0/8']),
        ...(devnet
          ? ['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)]
          : ['--no-ledger']),
        ...(devnet && !spec.flags?.includes('--algorand-genesis-hash') ? ['--algorand-genesis-hash', devnet.genesisHash] : []),
        ...(devnet && sponsor ? ['--sponsor-mnemonic', sponsor === true ? devnet.sponsor.mnemonic : sponsor] : []),
        ...(spec.flags ?? []),
      ],
      {},
    );
    const logged: string[] = [];
    const write =
      (level: string) =>
      (fields: Record<string, unknown>, text: string): void =>
        void logged.push(JSON.stringify({ level, text, ...fields }, (_name, value) => (value instanceof Error ? tellAll(value) : value)));
    const log: Log = { info: write('info'), warn: write('warn'), error: write('error') };
    let agent: Agent;
    try {
      agent = await startAgent(config, shown, log);
    } catch (error) {
      await receiver.close();
      throw error;
    }
    const admin = `http://127.0.0.1:${agent.adminPort}`;
    const answers: string[] = [];

    const call: TestAgent['call'] = async (method, path, body, headers = {}) => {
      const response = await fetch(`${admin}${path}`, {
        method,
        headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        body:
          body === undefined ? undefined : typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
        signal: AbortSignal.timeout(CALL_MS),
      });
      const text = await response.text();
      answers.push(text);
      const isJson = response.headers.get('content-type')?.includes('json');
      const answer = { status: response.status, text, headers: response.headers, body: isJson ? JSON.parse(text) : undefined };
      if (isHeld) faults.push(...answerFaults(method, path, answer.status, answer.body));
      return answer;
    };
    const expect = async (method: string, path: string, body?: unknown): Promise<Body> => {
      const answer = await call(method, path, body);
      if (answer.status !== 200) throw new Error(`${method} ${path} of ${name} answered ${answer.status} ${answer.text}`);
      return answer.body;
    };
    let closed = false;
    const one: TestAgent = {
      name,
      admin,
      inbound,
      key,
      store,
      agent,
      receiver,
      hooks: receiver.hooks,
      answers,
      logged,
      call,
      get: (path) => expect('GET', path),
      post: (path, body) => expect('POST', path, body ?? {}),
      event: async (topic, matches, what, ms) =>
        (await receiver.hooks.first((hook) => hook.topic === topic && matches(hook.payload), `${what} at ${name}`, ms)).payload,
      async states(topic, id) {
        await webhooksAtRest(one);
        return receiver.hooks.list
          .filter((hook) => hook.topic === topic && hook.payload[ID_FIELDS[topic]!] === id)
          .map((hook) => hook.payload.state as string);
      },
      async stop() {
        if (closed) return;
        closed = true;
        await agent.close();
      },
      async close() {
        await one.stop();
        if (isHeld) faults.push(...receiver.hooks.list.flatMap(({ topic, payload }) => webhookFaults(topic, payload)));
        await receiver.close();
      },
    };
    undo.push(one.close);
    return one;
  }

  return {
    folder,
    start,
    async devnet(options) {
      const devnet = await startDevnet(options);
      undo.push(devnet.close);
      return devnet;
    },
    defer: (what) => void undo.push(what),
    async close() {
      while (undo.length > 0) await undo.pop()!();
      rmSync(folder, { recursive: true, force: true });
      assert.deepEqual([...new Set(faults)], [], "answers and webhooks, held against ACA-Py's document");
    },
  };
}

const tellAll = (error: Error): object => ({ ...error, name: error.name, message: error.message, stack: error.stack, cause: error.cause });

export const HANDSHAKE = { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] };

/** Connects two agents by a fresh invitation, whatever they accept by themselves; each side's connection id. */
export async function connect(inviter: TestAgent, invitee: TestAgent): Promise<{ inviter: string; invitee: string }> {
  const made = await inviter.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const got = await invitee.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const active = (payload: Body): boolean => payload.state === 'active' && payload.invitation_msg_id === made.invi_msg_id;
  const [ours, theirs] = await Promise.all([
    inviter.event('connections', active, 'an active connection'),
    invitee.event('connections', active, 'an active connection'),
  ]);
  if (theirs.connection_id !== got.connection_id) throw new Error('another connection than the answered one became active');
  return { inviter: ours.connection_id, invitee: theirs.connection_id };
}

/** Publishes a DID, a schema and a credential definition. */
export async function anchor(
  issuer: TestAgent,
  attrNames: readonly string[],
  options: { support_revocation?: boolean; revocation_registry_size?: number } = {},
): Promise<{ did: string; schemaId: string; credDefId: string }> {
  const { result } = await issuer.post('/wallet/did/create', { method: 'algo' });
  const did = result.did as string;
  await issuer.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  const schema = { issuerId: did, name: 'degree', version: '1.0', attrNames };
  const made = await until(async () => {
    const { schema_state } = await issuer.post('/anoncreds/schema', { schema });
    return schema_state.state === 'finished' && schema_state;
  }, 'the schema');
  const credential_definition = { issuerId: did, schemaId: made.schema_id, tag: 'default' };
  const definition = await until(
    async () => {
      const { credential_definition_state: state } = await issuer.post('/anoncreds/credential-definition', {
        credential_definition,
        options,
      });
      return state.state === 'finished' && state;
    },
    'the credential definition',
    300_000,
  );
  return { did, schemaId: made.schema_id, credDefId: definition.credential_definition_id };
}

export { freePort, until, waiting };
