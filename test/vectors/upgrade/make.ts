import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { startPostgres } from '../../../src/adapters/postgres/embedded.ts';
import { type Body, HANDSHAKE } from '../../support/agents.ts';
import { ISSUES } from '../../support/tenants.ts';
import { startPeer2018 } from '../../support/peer-2018.ts';
import { startWallet } from '../../support/wallet.ts';
import { ADMIN_KEY, ATTRIBUTES, type Facts, flagsOf, INBOUND, LOCKED_KEY, PEER_2018, SCHEMA_NAME, SECRETS } from './setup.ts';

/**
 * Makes the test data of the upgrade: `node make.ts CHECKOUT`, with a checkout of the earlier version, installed. An agent of that version is driven by its admin
 * API into the midst of exchanges, once on SQLite and once on PostgreSQL; both stores are written here, with what the test must know of them.
 */

const [checkout = ''] = process.argv.slice(2);
const HERE = import.meta.dirname;

interface Caller {
  call(method: string, path: string, body?: unknown): Promise<Body>;
  get(path: string): Promise<Body>;
  post(path: string, body?: unknown): Promise<Body>;
}

function caller(admin: string, headers: Record<string, string>): Caller {
  const call = async (method: string, path: string, body?: unknown): Promise<Body> => {
    const response = await fetch(`${admin}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  return { call, get: (path) => call('GET', path), post: (path, body = {}) => call('POST', path, body) };
}

async function until<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  for (let i = 0; i < 1200; i++) {
    const found = await ask().catch(() => undefined);
    if (found) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`waited in vain for ${what}`);
}

const only = async (from: Caller, path: string): Promise<Body | undefined> => (await from.get(path)).results?.[0];

/** Runs the earlier version on a store while `drive` uses it; it ends by SIGTERM, as for an upgrade. */
async function withAgent<T>(store: string, drive: (admin: string) => Promise<T>): Promise<T> {
  const port = 23_924;
  const child = spawn(process.execPath, [join(resolve(checkout), 'src/main.ts'), 'start', ...flagsOf(port)], {
    env: { ...process.env, ...SECRETS, FLEXID_STORE: store },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    const admin = `http://127.0.0.1:${port}`;
    await until('the agent', async () => (await fetch(`${admin}/status/ready`)).ok);
    return await drive(admin);
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  }
}

async function drive(admin: string): Promise<Omit<Facts, 'made'>> {
  const base = caller(admin, { 'x-api-key': ADMIN_KEY });
  const tenant = async (name: string, more: object): Promise<Caller & { id: string }> => {
    const made = await base.post('/multitenancy/wallet', { wallet_name: name, label: name, ...more });
    return { id: made.wallet_id, ...caller(admin, { authorization: `Bearer ${made.token}` }) };
  };
  const keep = { 'preserve-exchange-records': true };
  const alice = await tenant('alice', { extra_settings: keep });
  const bob = await tenant('bob', { extra_settings: keep });
  const dave = await tenant('dave', { extra_settings: keep });
  const carol = await tenant('carol', { extra_settings: ISSUES, key_management_mode: 'unmanaged', wallet_key: LOCKED_KEY });

  const connect = async (from: Caller, to: Caller): Promise<[string, string]> => {
    const made = await from.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
    const got = await to.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
    const theirs = await until('a connection', () => only(from, `/connections?state=active&invitation_msg_id=${made.invi_msg_id}`));
    await until('a connection', async () => (await to.get(`/connections/${got.connection_id}`)).state === 'active');
    return [theirs.connection_id, got.connection_id];
  };
  const connection = await connect(alice, bob);
  const ofLocked = await connect(alice, carol);

  // requests that nobody has answered
  const asked = async (body: object): Promise<[string, string]> => {
    const made = await alice.post('/out-of-band/create-invitation', body);
    const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
    const theirs = await until('a request', () => only(alice, `/connections?state=request&invitation_msg_id=${made.invi_msg_id}`));
    return [theirs.connection_id, got.connection_id];
  };
  const request = await asked(HANDSHAKE);
  const request160 = await asked({ handshake_protocols: ['https://didcomm.org/connections/1.0'] });

  // exchanges of credentials in the middle: proposals of Bob, requests of Alice
  const [atAlice, atBob] = connection;
  const attributes = Object.entries(ATTRIBUTES).map(([name, value]) => ({ name, value }));
  const started = async (from: Caller, to: Caller, path: string, send: string, id: string, body: object): Promise<[string, string]> => {
    const made = await from.post(`/${path}/${send}`, body);
    const same = (one: Body): Body => (one.cred_ex_record ?? one).thread_id === made.thread_id && (one.cred_ex_record ?? one);
    const found = await until('the other side', async () => (await to.get(`/${path}/records`)).results.map(same).find(Boolean));
    return from === alice ? [made[id], found[id]] : [found[id], made[id]];
  };
  const wanted = { name: { name: 'name', restrictions: [{ schema_name: SCHEMA_NAME }] } };
  const asking = { name: 'an earlier request', version: '1.0', requested_attributes: wanted, requested_predicates: {} };
  const exchanges = {
    issue20: await started(bob, alice, 'issue-credential-2.0', 'send-proposal', 'cred_ex_id', {
      connection_id: atBob,
      filter: { anoncreds: { schema_name: SCHEMA_NAME } },
      credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes },
    }),
    issue10: await started(bob, alice, 'issue-credential', 'send-proposal', 'credential_exchange_id', {
      connection_id: atBob,
      schema_name: SCHEMA_NAME,
      credential_proposal: { '@type': 'issue-credential/1.0/credential-preview', attributes },
    }),
    prove20: await started(alice, bob, 'present-proof-2.0', 'send-request', 'pres_ex_id', {
      connection_id: atAlice,
      presentation_request: { anoncreds: asking },
    }),
    prove10: await started(alice, bob, 'present-proof', 'send-request', 'presentation_exchange_id', {
      connection_id: atAlice,
      proof_request: asking,
    }),
  };

  // a peer of the 2018 Agent Protocol: a connection, and a request that nobody has answered
  const peer = await startPeer2018(PEER_2018);
  const complete = await alice.post('/legacy/connections/offers', { auto_accept: true });
  await peer.accept(complete.offer);
  await until('a connection', async () => (await alice.get(`/connections/${complete.connection_id}`)).state === 'active');
  const open = await alice.post('/legacy/connections/offers', { auto_accept: false });
  const { key: pairwise, nonce, to } = await peer.request(open.offer);
  await until('a request', async () => (await alice.get(`/connections/${open.connection_id}`)).state === 'request');
  await peer.close();
  const pending = { did: pairwise.did, verkey: pairwise.verkey, secret: Buffer.from(pairwise.secret).toString('base64') };
  const request2018 = { connection: open.connection_id, key: pending, nonce, offer: open.offer, to };

  // a wallet that nobody can reach, and mail that waits for it
  const phone = await startWallet({
    inbound: INBOUND,
    post: dave.post,
    event: async (_topic, matches, what) => await until(what, async () => (await dave.get('/connections')).results.find(matches)),
  });
  for (const text of ['one', 'two', 'three']) await phone.forward(text);
  await phone.stranger.close();
  const secretOf = (pair: { verkey: string; secretKey: Uint8Array }) => ({ verkey: pair.verkey, secret: Buffer.from(pair.secretKey).toString('base64') });

  return {
    wallets: { alice: alice.id, bob: bob.id, carol: carol.id },
    ...{ connection, ofLocked, request, request160, connection2018: complete.connection_id, request2018, exchanges },
    mailbox: { connection: phone.id, to: phone.to.verkey, peer: secretOf(phone.stranger.pair), key: secretOf(phone.key), texts: ['one', 'two', 'three'] },
  };
}

/** The rows of a database as statements, and before them those by which the earlier version makes its schema. */
async function dump(url: string): Promise<string> {
  const schema: string[] = [];
  const { migratePostgres } = await import(pathToFileURL(join(resolve(checkout), 'src/adapters/postgres-schema.ts')).href);
  await migratePostgres({
    query: async (text: string, values?: unknown[]) => {
      if (!/^(BEGIN|COMMIT)$|^SELECT (pg_advisory|coalesce)/.test(text)) schema.push(values ? text.replace('$1', String(values[0])).replace('$2', `'${values[1]}'`) : text);
      return { rows: [{ last: 0 }] };
    },
  });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("SELECT set_config('flexid.tenant', '*', false)");
  const rows: string[] = [];
  const { rows: tables } = await client.query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = 'flexid'::regnamespace AND relkind = 'r' AND relname <> 'migration' ORDER BY 1",
  );
  const text = (value: unknown): string =>
    value === null ? 'NULL' : Buffer.isBuffer(value) ? `'\\x${value.toString('hex')}'` : `'${String(value).replaceAll("'", "''")}'`;
  for (const { name } of tables) {
    const { rows: found, fields } = await client.query(`SELECT * FROM flexid.${name}`);
    const columns = fields.map((field) => field.name).join(', ');
    for (const row of found) rows.push(`INSERT INTO flexid.${name} (${columns}) OVERRIDING SYSTEM VALUE VALUES (${Object.values(row as object).map(text).join(', ')});`);
    if (fields.some((field) => field.name === 'n') && found.length > 0)
      rows.push(`SELECT setval(pg_get_serial_sequence('flexid.${name}', 'n'), (SELECT max(n) FROM flexid.${name})) WHERE pg_get_serial_sequence('flexid.${name}', 'n') IS NOT NULL;`);
  }
  await client.end();
  return [...schema.map((one) => `${one};`), "SELECT set_config('flexid.tenant', '*', false);", ...rows].join('\n');
}

const folder = mkdtempSync(join(tmpdir(), 'flexid-upgrade-'));
try {
  const write = (kind: string, facts: Omit<Facts, 'made'>, store: string | Uint8Array): void => {
    writeFileSync(join(HERE, `${kind}.json`), `${JSON.stringify({ made: Date.now(), ...facts }, null, 2)}\n`);
    writeFileSync(join(HERE, `${kind}.store.gz`), gzipSync(store, { level: 9 }));
  };
  const file = join(folder, 'agent.db');
  const sqlite = await withAgent(`sqlite:${file}`, drive);
  const db = new DatabaseSync(file);
  db.exec(`VACUUM INTO '${join(folder, 'small.db')}'`);
  db.close();
  write('sqlite', sqlite, readFileSync(join(folder, 'small.db')));

  const server = await startPostgres();
  const postgres = await withAgent(server.url, drive);
  write('postgres', postgres, await dump(server.url));
  await server.stop();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
