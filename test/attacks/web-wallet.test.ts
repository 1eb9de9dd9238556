import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { asserted, newSoftKey, registered, type WebPerson, webPerson } from '../../harness/web-person.ts';
import { createWorld, type TestAgent } from '../support/agents.ts';
import { HOSTILE } from '../support/browser.ts';
import { until } from '../support/waiting.ts';

/** The web wallet's server, by HTTP: what a stranger, another page, another person and a thief of a database get. */

const world = createWorld();
let agency: TestAgent;
let quick: TestAgent;
let origin: string;
const newKey = (): string => randomBytes(32).toString('base64url');
const flags = ['--multitenant', '--jwt-secret', 'a secret of these tests', '--wallet', '127.0.0.1', '0'];
before(async () => {
  agency = await world.start('wallets', { noWebhook: true, flags });
  quick = await world.start('quick', { noWebhook: true, flags: [...flags, '--wallet-idle', '0.05', '--wallet-code', 'let me in'] });
  origin = agency.agent.walletOrigin!;
});
after(() => world.close());

async function person(name: string, key?: string): Promise<WebPerson> {
  const one = webPerson(origin);
  await one.signUp(name, key);
  return one;
}

test('[A70-1] a call without a session, the header, the origin or the type of its own page does nothing', async () => {
  const [one, other] = [await person('One'), await person('Other')];
  const call = '/call/get_connections';
  const wrong: Record<string, [number, Record<string, string | undefined>]> = {
    'no cookie': [401, { cookie: undefined }],
    'a cookie of nobody': [401, { cookie: one.cookie.replace(/=.*/, `=${'A'.repeat(43)}`) }],
    'no header': [403, { 'x-csrf': undefined }],
    'an empty header': [403, { 'x-csrf': '' }],
    "another session's header": [403, { 'x-csrf': other.csrf }],
    'no origin': [403, { origin: undefined }],
    'another origin': [403, { origin: 'https://evil.example' }],
    'another port': [403, { origin: 'http://localhost:1' }],
    'a null origin': [403, { origin: 'null' }],
    'plain text': [403, { 'content-type': 'text/plain' }],
  };
  for (const path of [call, '/logout', '/open', '/active', '/account/erase', '/account/words'])
    for (const [name, [status, headers]] of Object.entries(wrong)) {
      const answer = await one.send(path, {}, headers);
      assert.equal(answer.status, status, `${path}, ${name}: ${answer.text}`);
      assert.equal(answer.headers.get('access-control-allow-origin'), null);
    }
  const unread = await fetch(`${origin}${call}`, {
    method: 'POST',
    headers: { origin, 'x-csrf': 'x', 'content-type': 'application/json' },
    body: 'no JSON',
  });
  assert.equal(unread.status, 401, 'the body of a stranger is not parsed');
  assert.equal((await one.send(call, { body: { x: 'x'.repeat(300_000) } })).status, 413);
  for (const path of ['/begin', '/sign-up', '/sign-in', '/words-in'])
    for (const headers of [{ origin: undefined }, { origin: agency.admin }, { 'x-csrf': undefined }, { 'content-type': 'text/plain' }]) {
      const answer = await one.send(path, { purpose: 'in' }, headers);
      assert.equal(answer.status, 403, `${path}: ${answer.text}`);
      assert.equal(answer.headers.get('set-cookie'), null);
    }
  assert.deepEqual((await one.call('get_connections')).results, []);
});

/** The status of a GET under another name. */
const under = (host: string, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: new URL(origin).port, path, headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode!);
    });
    asked.on('error', reject);
    asked.end();
  });

test('[A70-2] under another name there is nothing, and pages of other ports read no session', async () => {
  const { host, port } = new URL(origin);
  assert.equal(await under(host, '/'), 200);
  for (const name of [`evil.example:${port}`, `127.0.0.1:${port}`, 'localhost', `localhost.evil.example:${port}`])
    for (const path of ['/', '/session']) assert.equal(await under(name, path), 403, name);
  const one = await person('One');
  assert.equal((await one.send('/session', undefined, { 'sec-fetch-site': 'same-site' })).status, 403);
});

test('[A70-3] a challenge is of one purpose and one use, and a passkey of one origin', async () => {
  const key = newSoftKey();
  const one = webPerson(origin, key);
  await one.signUp('One');
  const { options } = await one.ask('/begin', { purpose: 'in' });
  const response = asserted(key, options, origin);
  const stranger = webPerson(origin);
  assert.equal((await stranger.send('/sign-in', { response })).status, 200);
  assert.equal((await stranger.send('/sign-in', { response })).status, 401, 'the same answer again');
  const again = await one.ask('/begin', { purpose: 'again' });
  assert.equal((await stranger.send('/sign-in', { response: asserted(key, again.options, origin) })).status, 401, 'of another purpose');
  const made = { challenge: Buffer.concat([randomBytes(16), randomBytes(22)]).toString('base64url') };
  assert.equal((await stranger.send('/sign-in', { response: asserted(key, made, origin) })).status, 401, 'not made here');
  const fresh = await one.ask('/begin', { purpose: 'in' });
  assert.equal(
    (await stranger.send('/sign-in', { response: asserted(key, fresh.options, 'http://localhost:1') })).status,
    401,
    'of another origin',
  );
  const thief = { ...newSoftKey(), id: key.id, user: key.user };
  const next = await one.ask('/begin', { purpose: 'in' });
  assert.equal((await stranger.send('/sign-in', { response: asserted(thief, next.options, origin) })).status, 401, 'of another key');
  const { options: up } = await stranger.ask('/begin', { purpose: 'up', name: 'Two' });
  const theirs = {
    name: 'Two',
    mode: 'kept',
    user: Buffer.from(key.user, 'base64url').toString(),
    response: registered(newSoftKey(), up, origin),
  };
  assert.equal((await stranger.send('/sign-up', theirs)).status, 401, 'into the account of somebody else');
});

test('[A70-4] each sign-in has a session of its own, and one that was planted is worth nothing', async () => {
  const one = await person('One', newKey());
  const planted = webPerson(origin, one.key);
  planted.cookie = `${one.cookie.split('=')[0]}=${'B'.repeat(43)}`;
  await planted.signIn();
  assert.notEqual(planted.cookie.split('=')[1], 'B'.repeat(43));
  const half = planted.cookie;
  assert.equal((await planted.send('/call/get_connections', {})).status, 401, 'the wallet is locked for who has the passkey alone');
  assert.equal((await planted.send('/account')).status, 401);
  assert.notEqual(half, one.cookie);
  const former = one.cookie;
  await one.signIn();
  assert.notEqual(one.cookie, former);
  assert.equal((await one.send('/account', undefined, { cookie: former })).status, 401, 'the session from before is over');
});

test('[A70-5] another person’s records are answered as those that nobody has, and no other operation is there', async () => {
  const [one, other] = [await person('One'), await person('Other')];
  const { results } = await one.call('get_connections');
  assert.deepEqual(results, []);
  const { connection_id: id } = await one.call('post_out_of_band_receive_invitation', {
    query: { auto_accept: false },
    body: {
      '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
      '@id': randomUUID(),
      label: HOSTILE[0],
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
      services: [
        {
          id: '#inline',
          type: 'did-communication',
          recipientKeys: ['did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'],
          serviceEndpoint: 'http://127.0.0.1:1',
        },
      ],
    },
  });
  const params = { conn_id: id };
  for (const operation of ['get_connections_conn_id', 'delete_connections_conn_id'])
    assert.equal((await other.send(`/call/${operation}`, { params })).status, 404, operation);
  assert.equal((await one.send('/call/get_connections_conn_id', { params })).status, 200);
  for (const operation of [
    'get_multitenancy_wallets',
    'post_multitenancy_wallet',
    'get_shutdown',
    'put_settings',
    'get_status_config',
    'post_wallet_did_create',
    '__proto__',
    '..',
  ])
    assert.equal((await one.send(`/call/${operation}`, {})).status, 404, operation);
  assert.equal((await one.send('/connections')).status, 404);
  assert.equal((await fetch(`${agency.admin}/multitenancy/wallets`, { headers: { cookie: one.cookie } })).status !== 200, true);
});

test('[A70-6] a wallet of its owner is locked with the last session, and by itself when nobody is there', async () => {
  const key = newKey();
  const one = await person('One', key);
  const wallet = async (): Promise<string> => {
    const all = await agency.agent.kernel.db.store.find(agency.agent.kernel.base, 'web_account', { limit: 1, descending: true });
    return String(all.rows[0]!.value.wallet);
  };
  const id = await wallet();
  const isLocked = (): Promise<boolean> =>
    agency.agent.kernel.db.store.find(id, 'connection', { limit: 1 }).then(
      () => false,
      (error: Error & { code?: string }) => error.code === 'wallet-locked',
    );
  const second = webPerson(origin, one.key);
  await second.signIn(key);
  await one.ask('/logout', {});
  assert.equal(await isLocked(), false, 'the other session goes on');
  assert.equal((await second.call('get_credentials')).results.length, 0);
  await second.ask('/logout', {});
  assert.equal(await isLocked(), true);
  await one.signIn();
  assert.equal((await one.send('/open', { wallet_key: newKey() })).status, 401);
  assert.equal(await isLocked(), true);
  await one.signIn(key);
  assert.equal(await isLocked(), false);

  const idle = webPerson(quick.agent.walletOrigin!);
  await idle.signUp('Idle', key, 'let me in');
  const reads = (): Promise<number> => idle.send('/call/get_credentials', {}).then(({ status }) => status);
  assert.equal(await reads(), 200);
  // reading is no sign of a person
  await until(async () => (await reads()) === 401, 'the session of a person who left');
});

test('[A70-7] signing up needs the code where there is one, and is counted; huge and strange bodies are refused', async () => {
  const there = quick.agent.walletOrigin!;
  for (const code of [undefined, '', 'let me', 'let me in '])
    assert.equal(
      (await webPerson(there).send('/begin', { purpose: 'up', name: 'x', ...(code === undefined ? {} : { code }) })).status,
      403,
    );
  const key = newSoftKey();
  const one = webPerson(there, key);
  const { user, options } = await one.ask('/begin', { purpose: 'up', name: 'x', code: 'let me in' });
  const body = { user, name: 'x', mode: 'kept', response: registered(key, options, there) };
  assert.equal((await one.send('/sign-up', body)).status, 403);
  assert.equal((await one.send('/sign-up', { ...body, code: 'let me in', mode: 'own' })).status, 422);
  assert.equal((await one.send('/sign-up', { ...body, code: 'let me in', more: 1 })).status, 422);
  assert.equal((await one.send('/sign-up', { ...body, code: 'x'.repeat(60_000) })).status, 413);
  assert.equal((await one.send('/call/get_connections', { body: { x: 'x'.repeat(300_000) } }, { cookie: 'a=b' })).status, 401);
  const statuses: number[] = [];
  for (let n = 0; n < 40; n++) statuses.push((await one.send('/sign-up', { user, name: 'x', mode: 'kept' })).status);
  assert.equal(statuses.at(-1), 429);
  const guesses: number[] = [];
  for (let n = 0; n < 12; n++) guesses.push((await one.send('/words-in', { proof: newKey() })).status);
  assert.deepEqual([guesses[0], guesses.at(-1)], [401, 429]);
});

test('[A70-8] events are for the own page of an open wallet', async () => {
  const one = await person('One', newKey());
  const at = `${origin.replace('http', 'ws')}/ws`;
  const outcome = (headers: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(at, { headers });
      socket.on('unexpected-response', (_request, answer) => resolve(String(answer.statusCode)));
      socket.on('error', () => {});
      socket.on('close', (code) => resolve(String(code)));
      socket.on('message', () => void one.ask('/logout', {}));
    });
  assert.equal(await outcome({ cookie: one.cookie }), '403');
  assert.equal(await outcome({ cookie: one.cookie, origin: agency.admin }), '403');
  assert.equal(await outcome({ origin }), '401');
  assert.equal(await outcome({ cookie: one.cookie, origin }), '1008', 'it ends with the session');
});

test('[A70-9] what is deleted is gone, and its passkey opens nothing', async () => {
  const key = newKey();
  const one = await person('Ada', key);
  assert.equal((await one.send('/account/erase', { name: 'Eve' })).status, 400);
  assert.equal((await one.send('/account/erase', { name: 'Ada' })).status, 200);
  assert.equal((await one.send('/call/get_credentials', {})).status, 401);
  const { options } = await webPerson(origin).ask('/begin', { purpose: 'in' });
  assert.equal((await webPerson(origin).send('/sign-in', { response: asserted(one.key, options, origin) })).status, 401);
});
