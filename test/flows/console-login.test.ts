import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../../harness/processes.ts';
import { readLogin, ruleFor } from '../../src/web/oidc.ts';
import { createWorld, type TestAgent } from '../support/agents.ts';
import { type Provider, startProvider } from '../support/openid-provider.ts';

/** Signing in to the console at an OpenID Provider. */

const CLIENT = { id: 'flexid', secret: 'a secret of this test' };
const world = createWorld();
const folder = mkdtempSync(join(tmpdir(), 'flexid-login-'));
const file = join(folder, 'login.yaml');
const FLAGS = ['--multitenant', '--jwt-secret', 'a secret of this test', '--multitenant-admin'];
/** The agent of these tests, on a port of its own: wrong attempts are counted by each process. */
let start: () => Promise<TestAgent>;
const again = async (): Promise<void> => {
  await agent.stop();
  agent = await start();
};
let provider: Provider;
let agent: TestAgent;
let redirect: string;
let wallet: string;

before(async () => {
  const port = await freePort();
  redirect = `http://127.0.0.1:${port}/console/oidc/callback`;
  provider = await startProvider(CLIENT, () => redirect);
  world.defer(() => provider.stop());
  const store = join(folder, 'agent.db');
  const first = await world.start('login', { store, noWebhook: true, flags: FLAGS });
  wallet = (await first.post('/multitenancy/wallet', { wallet_name: 'ada' })).wallet_id;
  await first.stop();
  writeFileSync(
    file,
    [
      `issuer: ${provider.issuer}`,
      `client_id: ${CLIENT.id}`,
      `client_secret: ${CLIENT.secret}`,
      `redirect_uri: ${redirect}`,
      'name: Town Hall',
      'roles:',
      '  - { claim: groups, value: operators, role: operator }',
      '  - { claim: groups, value: auditors, role: auditor }',
      `  - { claim: sub, value: ada, role: issuer, wallet: ${wallet} }`,
      '  - { claim: sub, value: lost, role: issuer, wallet: nobody }',
      '  - { claim: sub, value: no-wallet, role: issuer }',
    ].join('\n'),
  );
  start = () =>
    world.start('login', { store, noWebhook: true, flags: [...FLAGS, '--admin', '127.0.0.1', String(port), '--console-login', file] });
  agent = await start();
});
after(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A browser of one person. */
function browser() {
  const jar = new Map<string, string>();
  const get = async (url: string, headers: Record<string, string> = {}): Promise<Response> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie, ...headers } });
    for (const one of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(one)!;
      if (value === '') jar.delete(name!);
      else jar.set(name!, value!);
      assert.match(one, /; HttpOnly; Secure; SameSite=(?:Strict|Lax)$/);
    }
    return answer;
  };
  const session = async () => (await (await get(`${agent.admin}/console/session`)).json()) as Record<string, never>;
  return {
    jar,
    get,
    session,
    /** Up to the callback's URL. */
    async toCallback(): Promise<string> {
      const begun = await get(`${agent.admin}/console/oidc`);
      assert.equal(begun.status, 302);
      const back = await fetch(begun.headers.get('location')!, { redirect: 'manual' });
      assert.equal(back.status, 302, await back.text());
      return back.headers.get('location')!;
    },
    async signIn(): Promise<string | null> {
      return (await get(await this.toCallback())).headers.get('location');
    },
    call: async (operation: string, body: object = {}): Promise<number> => {
      const { csrf } = await session();
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const headers = { cookie, 'x-csrf': String(csrf), origin: agent.admin, 'content-type': 'application/json' };
      return (await fetch(`${agent.admin}/console/call/${operation}`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
    },
  };
}

test('a claim makes an operator or an auditor, and a person the issuer of one wallet', async () => {
  const one = browser();
  assert.equal((await one.session()).login, 'Town Hall');
  provider.person = { sub: 'olga', groups: ['staff', 'operators'] };
  assert.equal(await one.signIn(), '/console/');
  assert.equal((await one.session()).role, 'operator');
  assert.equal(one.jar.size, 1, 'the cookie of the login is gone');
  assert.equal(await one.call('get_multitenancy_wallets'), 200);

  const two = browser();
  provider.person = { sub: 'aude', groups: 'auditors' };
  assert.equal(await two.signIn(), '/console/');
  assert.deepEqual([await two.call('get_multitenancy_wallets'), await two.call('post_multitenancy_wallet')], [200, 403]);

  const ada = browser();
  provider.person = { sub: 'ada' };
  assert.equal(await ada.signIn(), '/console/');
  const { role, wallet_id: id } = await ada.session();
  assert.deepEqual([role, id], ['issuer', wallet]);
  const body = { body: { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] } };
  assert.equal(await ada.call('post_out_of_band_create_invitation', body), 200);
  assert.deepEqual([await ada.call('put_settings', { body: {} }), await ada.call('get_multitenancy_wallets')], [403, 403]);
  const { results } = await agent.get(`/multitenancy/wallet/${wallet}/audit`);
  assert.ok(
    results.some(({ who }: { who: { sub?: string } }) => who.sub === 'ada'),
    JSON.stringify(results),
  );
});

test('who has no role, or comes with anything that does not fit, is not signed in', async () => {
  const refused = async (): Promise<void> => {
    const one = browser();
    assert.equal(await one.signIn(), '/console/?login=failed');
    assert.equal((await one.session()).signed_in, false);
    assert.equal(one.jar.size, 0);
  };
  for (const sub of ['nobody', 'no-wallet', 'lost']) {
    provider.person = { sub };
    await refused();
  }
});

test('a forged token, another nonce, audience or issuer, another state, a replay and a foreign callback sign nobody in', async () => {
  await again();
  provider.person = { sub: 'olga', groups: ['operators'] };
  const outcome = async (): Promise<string | null> => await browser().signIn();
  provider.forged = true;
  assert.equal(await outcome(), '/console/?login=failed');
  provider.forged = false;
  for (const wrong of [{ nonce: 'x' }, { aud: 'another' }, { iss: 'https://evil.example' }]) {
    provider.wrong = wrong;
    assert.equal(await outcome(), '/console/?login=failed', JSON.stringify(wrong));
  }
  provider.wrong = {};
  await again();
  const one = browser();
  const callback = await one.toCallback();
  const other = new URL(callback);
  other.searchParams.set('state', 'another');
  const saved = new Map(one.jar);
  assert.equal((await one.get(other.href)).headers.get('location'), '/console/?login=failed');
  for (const [name, value] of saved) one.jar.set(name, value);
  assert.equal((await browser().get(callback)).headers.get('location'), '/console/?login=failed', "another browser's callback");
  assert.equal((await one.get(callback)).headers.get('location'), '/console/');
  for (const [name, value] of saved) one.jar.set(name, value);
  assert.equal((await one.get(callback)).headers.get('location'), '/console/?login=failed', 'a replay');
});

test('a file that does not fit stops the start with a reason', () => {
  const path = join(folder, 'wrong.yaml');
  const good = {
    issuer: 'https://a.example',
    client_id: 'c',
    redirect_uri: 'https://b.example/console/oidc/callback',
    roles: [{ claim: 'sub', value: 'x', role: 'reader' }],
  };
  const read = (change: object) => {
    writeFileSync(path, JSON.stringify({ ...good, ...change }));
    return () => readLogin(path);
  };
  assert.equal(read({})().client_id, 'c');
  for (const [change, why] of [
    [{ issuer: 'http://a.example' }, /issuer must be https/],
    [{ issuer: 'x' }, /issuer is no URL/],
    [{ redirect_uri: 'https://b.example/callback' }, /path of redirect_uri/],
    [{ roles: [] }, /roles/],
    [{ roles: [{ claim: 'sub', value: 'x', role: 'king' }] }, /roles/],
    [{ roles: [{ claim: 'sub', value: 'x', role: 'operator', wallet: 'w' }] }, /not one of a wallet/],
    [{ more: 1 }, /more|additional/i],
  ] as const)
    assert.throws(read(change), why, JSON.stringify(change));
  assert.throws(() => readLogin(join(folder, 'none.yaml')), /--console-login .*none.yaml/);
});

test('a rule is about a claim of its own, by its type', () => {
  const rules = [
    { claim: 'n', value: 1, role: 'reader' as const },
    { claim: 'constructor', value: 'x', role: 'operator' as const },
  ];
  assert.equal(ruleFor(rules, { n: 1 })?.role, 'reader');
  assert.equal(ruleFor(rules, { n: '1' }), undefined);
  assert.equal(ruleFor(rules, { n: [2, 1] })?.role, 'reader');
  assert.equal(ruleFor(rules, {}), undefined);
});
