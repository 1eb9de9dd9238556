import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import pg from 'pg';
import { anchor } from '../../examples/demo/flow.ts';
import { startAgent } from '../../src/app.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { openEnvelope, pack, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import { startPostgres } from '../postgres.ts';
import type { Body } from '../support/agents.ts';
import { STORES } from '../support/extent.ts';
import { eventsOf } from '../support/flows.ts';
import { startDevnet } from '../support/ledger.ts';
import { startPeer2018 } from '../support/peer-2018.ts';
import { message } from '../support/stranger.ts';
import { type Instance, type Tenant, tenantOf } from '../support/tenants.ts';
import { CALL_MS, TEST_MS, until } from '../support/waiting.ts';
import { ALL, textOf } from '../support/wallet.ts';
import { ADMIN_KEY, ATTRIBUTES, type Facts, flagsOf, INBOUND, LOCKED_KEY, PEER_2018, SECRETS } from '../vectors/upgrade/setup.ts';

/** Stores of an earlier version, stopped in the midst of exchanges: this version opens them and goes on. Their origin is in `test/vectors/upgrade`. */

const vector = (name: string): Buffer => readFileSync(new URL(`../vectors/upgrade/${name}`, import.meta.url));
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

/** Columns that hold a time at which something is over or due. */
const TIMES: readonly (readonly [table: string, column: string])[] = [
  ['job', 'due'],
  ['lane', 'due'],
  ['mail', 'expires'],
  ['mark', 'expires'],
  ['cause', 'expires'],
];
/** What is due or over moves to today, as on the day of an upgrade; the time of an opened wallet is over. `1e14` is beyond all times but those that mean never. */
const aged = (schema: string, shift: number): string =>
  `UPDATE ${schema}tenant SET open_until = 1 WHERE open_until IS NOT NULL;` +
  TIMES.map(
    ([table, column]) =>
      `UPDATE ${schema}${table} SET ${column} = ${column} + ${shift} WHERE ${column} > 0 AND ${column} < 100000000000000;`,
  ).join('\n');

interface Restored {
  readonly store: string;
  undo(): Promise<void>;
}

const KINDS: Readonly<Record<'sqlite' | 'postgres', (folder: string, facts: Facts) => Promise<Restored>>> = {
  async sqlite(folder, { made }) {
    const file = join(folder, 'agent.db');
    writeFileSync(file, gunzipSync(vector('sqlite.store.gz')));
    const db = new DatabaseSync(file);
    db.exec(aged('', Date.now() - made));
    db.close();
    return { store: `sqlite:${file}`, undo: async () => {} };
  },
  async postgres(_folder, { made }) {
    const server = await startPostgres();
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    try {
      await client.query(gunzipSync(vector('postgres.store.gz')).toString());
      await client.query(aged('flexid.', Date.now() - made));
    } catch (error) {
      await client.end();
      await server.stop();
      throw error;
    }
    await client.end();
    return { store: server.url, undo: () => server.stop() };
  },
};

for (const kind of STORES) {
  describe(`a store of an earlier version, on ${kind}`, () => {
    const facts: Facts = JSON.parse(vector(`${kind}.json`).toString());
    const undo: (() => unknown)[] = [];
    let alice: Tenant;
    let bob: Tenant;
    let operator: Instance;

    before(
      async () => {
        const folder = mkdtempSync(join(tmpdir(), 'flexid-upgrade-'));
        undo.push(() => rmSync(folder, { recursive: true, force: true }));
        const restored = await KINDS[kind](folder, facts);
        undo.push(restored.undo);
        const devnet = await startDevnet();
        undo.push(devnet.close);
        const ledger = [
          ...['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)],
          ...['--algorand-genesis-hash', devnet.genesisHash, '--sponsor-mnemonic', devnet.sponsor.mnemonic],
        ];
        const { config, shown } = readConfig(flagsOf(0, ledger), { ...SECRETS, FLEXID_STORE: restored.store });
        const agent = await startAgent(config, shown, quiet);
        undo.push(() => agent.close());
        const call: Instance['call'] = async (method, path, body, headers) => {
          const response = await fetch(`http://127.0.0.1:${agent.adminPort}${path}`, {
            method,
            headers: { 'x-api-key': ADMIN_KEY, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: AbortSignal.timeout(CALL_MS),
          });
          const text = await response.text();
          const json = response.headers.get('content-type')?.includes('json');
          return { status: response.status, text, headers: response.headers, body: json ? JSON.parse(text) : undefined };
        };
        operator = { call };
        [alice, bob] = [await opened(facts.wallets.alice), await opened(facts.wallets.bob)];
      },
      { timeout: TEST_MS },
    );
    after(async () => {
      while (undo.length > 0) await undo.pop()!();
    });

    async function opened(id: string, body: object = {}): Promise<Tenant> {
      const { status, body: answer, text } = await operator.call('POST', `/multitenancy/wallet/${id}/token`, body);
      assert.equal(status, 200, text);
      return tenantOf(operator, id, answer.token);
    }
    const connectionAt = (of: Tenant, id: string): Promise<Body> => of.get(`/connections/${id}`);
    const inState = (of: Tenant, path: string, state: string): Promise<Body> =>
      until(
        async () => {
          const found = await of.get(path);
          const record = found.cred_ex_record ?? found;
          return record.state === state && record;
        },
        `${state} of ${path}`,
        60_000,
      );

    test('each side of a connection sees the role of its peer, and finds connections by it', async () => {
      const sides = [
        [alice, 0, 'invitee'],
        [bob, 1, 'inviter'],
      ] as const;
      for (const [of, side, role] of sides) {
        const ids = [facts.connection, facts.request, facts.request160].map((pair) => pair[side]);
        for (const id of ids) assert.equal((await connectionAt(of, id)).their_role, role, id);
        const { results } = await of.get(`/connections?their_role=${role}`);
        const found = results.map((one: Body) => one.connection_id);
        for (const id of ids) assert.ok(found.includes(id), id);
        assert.deepEqual((await of.get(`/connections?their_role=${role === 'inviter' ? 'invitee' : 'inviter'}`)).results, []);
      }
      const states = await Promise.all([connectionAt(alice, facts.request[0]), connectionAt(bob, facts.request[1])]);
      assert.deepEqual(
        states.map((one) => one.rfc23_state),
        ['request-received', 'request-sent'],
      );
    });

    test('a connection carries messages', async () => {
      const pinged = await alice.post(`/connections/${facts.connection[0]}/send-ping`, {});
      assert.ok(pinged.thread_id);
      await bob.post(`/connections/${facts.connection[1]}/send-message`, { content: 'after the upgrade' });
      const came = async (): Promise<boolean> =>
        (await eventsOf(alice as never)).some(
          ({ topic, payload }: Body) => topic === 'basicmessages' && payload.content === 'after the upgrade',
        );
      await until(came, 'the message', 60_000);
    });

    test('exchanges of credentials that were proposed, and of proofs that were requested, go on and end', {
      timeout: TEST_MS,
    }, async () => {
      const { issue20, issue10, prove20, prove10 } = facts.exchanges;
      await anchor(alice as never, Object.keys(ATTRIBUTES), async (_name, run) => (await run())[0]);

      const issuing = async (
        path: string,
        [atAlice, atBob]: readonly [string, string],
        states: readonly string[],
        body: object,
      ): Promise<Body> => {
        const at = (of: Tenant, id: string, state: string): Promise<Body> => inState(of, `/${path}/records/${id}`, state);
        const [proposed, proposing, offer, request, issued, done] = states as [string, string, string, string, string, string];
        await Promise.all([at(alice, atAlice, proposed), at(bob, atBob, proposing)]);
        await alice.post(`/${path}/records/${atAlice}/send-offer`, body);
        await at(bob, atBob, offer);
        await bob.post(`/${path}/records/${atBob}/send-request`, {});
        await at(alice, atAlice, request);
        await alice.post(`/${path}/records/${atAlice}/issue`, {});
        await at(bob, atBob, issued);
        await bob.post(`/${path}/records/${atBob}/store`, {});
        return (await Promise.all([at(alice, atAlice, done), at(bob, atBob, done)]))[1];
      };
      await issuing(
        'issue-credential-2.0',
        issue20,
        ['proposal-received', 'proposal-sent', 'offer-received', 'request-received', 'credential-received', 'done'],
        {},
      );
      const states10 = [
        'proposal_received',
        'proposal_sent',
        'offer_received',
        'request_received',
        'credential_received',
        'credential_acked',
      ];
      const { credential } = await issuing('issue-credential', issue10, states10, {});
      assert.deepEqual(credential.attrs, ATTRIBUTES);
      assert.equal((await bob.get('/credentials')).results.length, 2);

      const proving = async (
        path: string,
        [atAlice, atBob]: readonly [string, string],
        presented: string,
        done: string,
        choose: (choice: Body) => Body,
      ): Promise<Body> => {
        const [first] = await bob.get(`/${path}/records/${atBob}/credentials`);
        const requested_attributes = { name: { cred_id: first.cred_info.referent, revealed: true } };
        const choice = choose({ requested_attributes, requested_predicates: {}, self_attested_attributes: {} });
        await bob.post(`/${path}/records/${atBob}/send-presentation`, choice);
        await inState(alice, `/${path}/records/${atAlice}`, presented);
        await alice.post(`/${path}/records/${atAlice}/verify-presentation`, {});
        return await inState(alice, `/${path}/records/${atAlice}`, done);
      };
      const proven20 = await proving('present-proof-2.0', prove20, 'presentation-received', 'done', (anoncreds) => ({ anoncreds }));
      const proven10 = await proving('present-proof', prove10, 'presentation_received', 'verified', (choice) => choice);
      assert.deepEqual([proven20.verified, proven10.verified], ['true', 'true']);
      assert.equal(proven10.presentation.requested_proof.revealed_attrs.name.raw, ATTRIBUTES.name);
    });

    test('a request that nobody had answered becomes a connection', async () => {
      for (const [pair, path] of [
        [facts.request, 'didexchange'],
        [facts.request160, 'connections'],
      ] as const) {
        await alice.post(`/${path}/${pair[0]}/accept-request`);
        await Promise.all([inState(alice, `/connections/${pair[0]}`, 'active'), inState(bob, `/connections/${pair[1]}`, 'active')]);
      }
    });

    test('the 2018 Agent Protocol: a connection stays one, and a request that waits becomes one', async () => {
      const { state, legacy, their_role } = await connectionAt(alice, facts.connection2018);
      assert.deepEqual([state, legacy?.trust, their_role], ['active', 'self-certified', 'invitee']);
      const { connection: id, key, nonce, offer, to } = facts.request2018;
      const peer = await startPeer2018(PEER_2018);
      try {
        await alice.post(`/legacy/connections/${id}/accept-request`);
        const mine = { ...key, secret: Uint8Array.from(Buffer.from(key.secret, 'base64')) };
        await peer.acknowledge(await peer.response({ key: mine, nonce, offer, to, sent: undefined as never }));
        await inState(alice, `/connections/${id}`, 'active');
      } finally {
        await peer.close();
      }
    });

    test('a wallet whose owner keeps the key was locked during the migration, and goes on when it is opened', async () => {
      const [atAlice, atCarol] = facts.ofLocked;
      assert.ok((await operator.call('POST', `/multitenancy/wallet/${facts.wallets.carol}/token`, {})).status >= 400);
      const carol = await opened(facts.wallets.carol, { wallet_key: LOCKED_KEY });
      assert.equal((await connectionAt(carol, atCarol)).their_role, 'inviter');
      assert.deepEqual((await carol.get('/connections?their_role=requester')).results, []);
      assert.equal((await carol.get('/connections?their_role=responder')).results[0].connection_id, atCarol);
      await alice.post(`/connections/${atAlice}/send-message`, { content: 'to an opened wallet' });
      const came = async (): Promise<boolean> => (await eventsOf(carol as never)).some(({ topic }: Body) => topic === 'basicmessages');
      await until(came, 'the message', 60_000);
    });

    test('mail that waited for a wallet is delivered to it', async () => {
      const { to, peer, key, texts } = facts.mailbox;
      const pair = (one: { verkey: string; secret: string }) => ({
        verkey: one.verkey,
        secretKey: Uint8Array.from(Buffer.from(one.secret, 'base64')),
      });
      const asked = message('messagepickup/2.0/delivery-request', { ...ALL, limit: 10 });
      const response = await fetch(INBOUND, {
        method: 'POST',
        headers: { 'content-type': 'application/didcomm-envelope-enc' },
        body: pack({ message: JSON.stringify(asked), recipients: [to], sender: pair(peer) }),
      });
      assert.equal(response.status, 200);
      const opened = openEnvelope(parseEnvelope(Buffer.from(await response.text())), pair(peer));
      const delivery = JSON.parse(Buffer.from(opened.message).toString());
      assert.match(delivery['@type'], /\/delivery$/);
      assert.deepEqual(
        delivery['~attach'].map((one: Body) => textOf(pair(key), one.data.json)),
        texts,
      );
    });
  });
}
