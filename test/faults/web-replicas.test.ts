import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { base58 } from '@scure/base';
import { freePort } from '../../harness/processes.ts';
import { type RoundRobin, startProxy } from '../../harness/proxy.ts';
import { type Replicas, startReplicas } from '../../harness/replicas.ts';
import { openDatabase } from '../../harness/stores.ts';
import { type WebPerson, webPerson } from '../../harness/web-person.ts';
import { sessionCookie } from '../support/session.ts';
import { TEST_MS, until } from '../support/waiting.ts';

/** Pages for people on two agents that share a database, behind one address: who signed in at one goes on at the other, and one may die. */

const folder = mkdtempSync(join(tmpdir(), 'flexid-web-replicas-'));
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
let replicas: Replicas;
let wallet: RoundRobin;
let origin: string;
before(
  async () => {
    const database = await openDatabase('postgres');
    ends.push(() => database.stop());
    const [front, ...ports] = [await freePort(), await freePort(), await freePort()];
    origin = `http://localhost:${front}`;
    wallet = await startProxy(ports, front);
    ends.push(() => wallet.close());
    const env = (i: number): Record<string, string> => ({ FLEXID_WALLET: `127.0.0.1 ${ports[i]}` });
    replicas = await startReplicas(folder, { count: 2, store: database.url, flags: ['--wallet-origin', origin], env });
    ends.push(() => replicas.stop());
  },
  { timeout: TEST_MS },
);
after(async () => {
  for (const end of ends.reverse()) await end();
});

const TURNS = 6;
const key = randomBytes(32);
const person = (): WebPerson => webPerson(origin);

/** The statuses of calls that the replicas answer by turns. */
async function inTurns(call: () => Promise<number>): Promise<Set<number>> {
  const statuses = new Set<number>();
  for (let n = 0; n < TURNS; n++) statuses.add(await call());
  return statuses;
}

test('sessions of console and wallet are the same on both, go on when one is killed, and end on both', { timeout: TEST_MS }, async () => {
  const ada = person();
  await ada.signUp('Ada', key.toString('base64url'));
  const reads = async (): Promise<number> => (await ada.send('/call/get_connections', {})).status;
  const { name, value, csrf } = await sessionCookie(replicas.admin, { key: replicas.key });
  const operator = async (): Promise<number> => {
    const headers = { cookie: `${name}=${value}`, 'x-csrf': csrf, origin: replicas.admin, 'content-type': 'application/json' };
    const path = '/console/call/get_multitenancy_wallets';
    return (await fetch(`${replicas.admin}${path}`, { method: 'POST', body: '{}', headers })).status;
  };
  const before = [...wallet.passed];
  for (const call of [reads, operator]) assert.deepEqual(await inTurns(call), new Set([200]));
  assert.ok(
    wallet.passed.every((count, i) => count > before[i]!),
    'both have answered',
  );

  const [first] = replicas.agents;
  await first!.kill();
  // a call that the dead one had taken is 503, and is asked again
  for (const call of [reads, operator]) await until(async () => (await call()) === 200, 'the other one');
  for (const call of [reads, operator]) assert.deepEqual(await inTurns(call), new Set([200]));
  await first!.start();
  // the proxy takes it in again after a while
  const [served] = wallet.passed;
  await until(async () => (await reads()) === 200 && wallet.passed[0]! > served!, 'the first one again');
  for (const call of [reads, operator]) assert.deepEqual(await inTurns(call), new Set([200]));

  // whoever has a token besides sees that the wallet itself is locked, wherever they ask
  const admin = { 'x-api-key': replicas.key, 'content-type': 'application/json' };
  const { results } = (await (await fetch(`${replicas.admin}/multitenancy/wallets`, { headers: admin })).json()) as {
    results: { wallet_id: string }[];
  };
  const body = JSON.stringify({ wallet_key: base58.encode(key) });
  const made = await fetch(`${replicas.admin}/multitenancy/wallet/${results[0]!.wallet_id}/token`, {
    method: 'POST',
    body,
    headers: admin,
  });
  const { token } = (await made.json()) as { token: string };
  const at = async (url: string): Promise<number> =>
    (await fetch(`${url}/connections`, { headers: { authorization: `Bearer ${token}` } })).status;
  assert.deepEqual([await at(replicas.each[0]!), await at(replicas.each[1]!)], [200, 200]);
  await ada.ask('/logout', { everywhere: true });
  assert.deepEqual(await inTurns(reads), new Set([401]));
  for (const url of replicas.each) await until(async () => (await at(url)) === 401, `the wallet to be locked at ${url}`);
  await ada.signIn(key.toString('base64url'));
  assert.deepEqual(await inTurns(reads), new Set([200]));
});
