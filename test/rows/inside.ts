import assert from 'node:assert/strict';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { agent2018Endpoints } from '../../src/agent-2018/endpoint.ts';
import { createEndpoints, type Endpoint } from '../../src/agent-2018/endpoints.ts';
import { FORMATS, messageFormats, PROTOCOLS, UNBOUND_RECORDS } from '../../src/builtin-protocols.ts';
import { BASE } from '../../src/database.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { createCalls } from '../../src/kernel/calls.ts';
import { createKeyRing, type Kernel, withFormats } from '../../src/kernel/context.ts';
import type { Rules } from '../../src/kernel/decisions.ts';
import { createDeliveryLog } from '../../src/kernel/delivery-log.ts';
import { createEngine } from '../../src/kernel/engine.ts';
import { createRegistry } from '../../src/kernel/registry.ts';
import type { Settings } from '../../src/kernel/settings.ts';
import { createWebhookSecrets } from '../../src/kernel/webhook-secret.ts';
import { createRelay } from '../../src/mediation/relay.ts';
import type { Database, StoredRecord } from '../../src/ports/store.ts';
import { NO_TRACE } from '../../src/ports/trace.ts';
import { type Json, type Offer, seal } from '../support/peer-2018.ts';

/** Support for tests: the product's kernel in this process, with tenants, a clock and settings of the test's; no network, and no worker. */
export interface Inside {
  readonly db: Database;
  readonly endpoint: Endpoint;
  /** The time, in ms; the test moves it. */
  now: number;
  /** What a tenant's settings are besides the usual. */
  readonly changed: Map<string, Partial<Settings>>;
  /** A tenant's handlers, policies and defaults. */
  readonly rules: Map<string, Rules>;
  readonly counters: Readonly<Record<string, number>>;
  offer(tenant: string, body?: Json): Promise<{ id: string; offer: Offer }>;
  /** A base message, sealed to the endpoint key and received; why it was refused, if it was. */
  receive(base: Json): Promise<string | undefined>;
  /** The same of whatever bytes. */
  receiveRaw(body: Uint8Array): Promise<string | undefined>;
  /** Runs a command of a protocol for a tenant. */
  call(tenant: string, protocol: string, command: string, body: Json, record?: string): Promise<Json>;
  /** Makes a tenant's key known by which it is written to. */
  keyOf(tenant: string): Promise<string>;
  connection(tenant: string, id: string): Promise<StoredRecord>;
  connections(tenant: string): Promise<readonly StoredRecord[]>;
  /** Writes what controllers are still to be told. */
  flush(): Promise<void>;
  /** Reasons that a tenant's controller was told, in their order. */
  problems(tenant: string): Promise<string[]>;
  close(): Promise<void>;
}

/** @param watched is told the name of each call of the store */
export async function startInside(tenants: readonly string[], watched: (call: string) => void = () => {}): Promise<Inside> {
  const opened = await openSqlite({ path: ':memory:' });
  const store = Object.fromEntries(
    Object.entries(opened.store).map(([name, call]) => [
      name,
      (...args: readonly never[]) => {
        watched(name);
        return (call as (...args: readonly never[]) => unknown)(...args);
      },
    ]),
  ) as unknown as Database['store'];
  const db: Database = { ...opened, store };
  for (const tenant of [BASE, ...tenants]) await db.admin.ensureTenant(tenant, tenant);
  const counters: Record<string, number> = {};
  const changed = new Map<string, Partial<Settings>>();
  const rules = new Map<string, Rules>();
  const endpoints = createEndpoints(db, BASE, () => {});
  const settings = (tenant: string): Settings =>
    ({
      label: tenant,
      endpoint: 'http://127.0.0.1:9/',
      agent2018: 'auto',
      agent2018Endpoint: endpoints.all()[0],
      agent2018Peers: {},
      ...changed.get(tenant),
    }) as Settings;
  const parts: Omit<Kernel, 'messageFormats' | 'keyOwners' | 'awaitedCalls'> = {
    db,
    registry: createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never, FORMATS),
    now: () => inside.now,
    base: BASE,
    trace: NO_TRACE,
    profiles: {
      of: (tenant) => ({ settings: settings(tenant), rules: rules.get(tenant), webhooks: [], shown: {} }),
      invalidate() {},
      isTenantDeleted: async () => false,
      reset() {},
    },
    keys: createKeyRing(db),
    webhookSecrets: createWebhookSecrets(db, BASE, undefined),
    deliveries: createDeliveryLog(),
    count(name) {
      counters[name] = (counters[name] ?? 0) + 1;
    },
    log: { info() {}, warn() {}, error: (fields, text) => assert.fail(`${text}: ${JSON.stringify(fields)}`) },
  };
  const kernel = withFormats(parts, messageFormats(endpoints));
  const engine = createEngine(kernel, createRelay);
  const calls = createCalls(kernel, engine, {}, () => assert.fail('no work is done here'));
  const inside: Inside = {
    db,
    endpoint: undefined as never,
    now: Date.now(),
    changed,
    rules,
    counters,
    async offer(tenant, body = {}) {
      const made = (await calls.call(tenant, 'connection-2018', 'create-offer', { input: { body, query: {} } })) as Json;
      return { id: made.connection_id, offer: made.offer };
    },
    async receive(base) {
      const sealed = seal(inside.endpoint.verkey, new Uint8Array(Buffer.from(JSON.stringify(base))));
      return await inside.receiveRaw(Buffer.from(Buffer.from(sealed).toString('base64')));
    },
    receiveRaw: async (body) => (await engine.receive(body, { canReply: false })).refused,
    call: async (tenant, protocol, command, body, record) =>
      (await calls.call(tenant, protocol, command, { input: { body, query: {} }, id: record } as never)) as Json,
    async keyOf(tenant) {
      const { verkey, secretKey } = newKeyPair();
      await db.store.commit(tenant, {
        keys: [{ kid: verkey, type: 'ed25519', secret: secretKey }],
        keyOwners: [{ kid: verkey, tenant, kind: 'public', target: 'did:key:of-this-test' }],
      });
      return verkey;
    },
    async connection(tenant, id) {
      const [rows] = await db.store.load(tenant, [{ category: 'connection', id }]);
      return rows?.[0] ?? assert.fail(`${tenant} has no connection ${id}`);
    },
    connections: async (tenant) => (await db.store.find(tenant, 'connection', { limit: 1000 })).rows,
    flush: engine.flush,
    async problems(tenant) {
      await engine.flush();
      const events = await db.store.events(tenant, { limit: 1000 });
      return events.filter(({ topic }) => topic === 'legacy_problem').map(({ value }) => (value as Json).payload.reason);
    },
    close: () => db.admin.close(),
  };
  await calls.call(BASE, agent2018Endpoints.name, 'make', { input: { body: {}, query: {} } });
  await endpoints.refresh();
  Object.assign(inside, { endpoint: endpoints.all()[0] });
  return inside;
}
