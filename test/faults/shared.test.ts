import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { eachOf } from '../../examples/demo/flow.ts';
import { type PostgresServer, startPostgres } from '../postgres.ts';
import { type Body, createWorld, HANDSHAKE, type Receiver, startReceiver, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, type Link, message, type Stranger, startStranger } from '../support/stranger.ts';
import { AUTO, MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';

/** Two agents in this process on one PostgreSQL database: what they do at once, and what happens to the database, to receivers and to tenants meanwhile. */

const world = createWorld();
let server: PostgresServer;
let replicas: readonly [TestAgent, TestAgent];
let stranger: Stranger;
let link: Link;
let hooks: Receiver;

const OPEN = { ...AUTO, 'public-invites': true, 'requests-through-public-did': true };

before(async () => {
  server = await startPostgres();
  world.defer(() => server.stop());
  const devnet = await world.devnet();
  hooks = await startReceiver();
  world.defer(hooks.close);
  const flags = ['--store', server.url, '--wallet-key', 'of these tests', '--auto-accept-requests', '--base-wallet-routes', '/.*'];
  const start = (name: string): Promise<TestAgent> =>
    world.start(name, {
      devnet,
      sponsor: true,
      flags: [...flags, ...MULTITENANT, '--webhook-url', `${hooks.url}/base#k`],
      noWebhook: true,
    });
  replicas = [await start('one'), await start('two')];
  stranger = await startStranger();
  world.defer(stranger.close);
  link = await connectStranger({ ...replicas[0], event: eventOf } as TestAgent, stranger);
});
after(() => world.close());

const eventOf: TestAgent['event'] = async (topic, matches, what, ms) =>
  (await hooks.hooks.first((hook) => hook.topic === topic && matches(hook.payload), what, ms)).payload;
/** One of the replicas after the other takes the call. */
const either = (index: number): TestAgent => replicas[index % 2]!;
const basic = (content: string): Body => message('basicmessage/1.0/message', { content, sent_time: '2026-01-01 00:00:00Z' });
const toldOf = (content: string): number =>
  hooks.hooks.list.filter(({ topic, payload }) => topic === 'basicmessages' && payload.content === content).length;

/** Everything that the base wallet was told of basic messages, as the agents keep it. */
async function contents(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (let after = ''; ; ) {
    const { results, next } = await replicas[0].get(`/events?limit=1000${after && `&after=${after}`}`);
    if (results.length === 0) return found;
    for (const { topic, payload } of results)
      if (topic === 'basicmessages' && String(payload.content).startsWith(prefix)) found.push(payload.content);
    after = next;
  }
}

test('two replicas that get one message at once handle it once', async () => {
  for (let i = 0; i < 8; i++) {
    const text = basic(`both ${i}`);
    const answers = await Promise.all(replicas.map(({ inbound }) => stranger.send({ ...link.to, url: inbound }, text)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [202, 202],
    );
  }
  await eventOf('basicmessages', ({ content }) => content === 'both 7', 'the last message');
  assert.deepEqual(
    (await contents('both')).sort(),
    Array.from({ length: 8 }, (_none, i) => `both ${i}`),
  );
});

test('two replicas that get one command at once run it once, and each event is told by one of them', async () => {
  for (let i = 0; i < 6; i++) {
    const before = (await replicas[0].get('/out-of-band/records?limit=1000')).results.length;
    const body = { ...HANDSHAKE, alias: `call ${i}` };
    const made = await Promise.all(
      replicas.map((agent) => agent.call('POST', '/out-of-band/create-invitation', body, { 'idempotency-key': `call ${i}` })),
    );
    assert.deepEqual(
      made.map(({ status }) => status),
      [200, 200],
    );
    assert.deepEqual(made[0]!.body, made[1]!.body);
    assert.equal((await replicas[1].get('/out-of-band/records?limit=1000')).results.length, before + 1);
    // without a key they are two calls, and the record decides between them
    const id = made[0]!.body.invi_msg_id;
    const removed = await Promise.all(replicas.map((agent) => agent.call('DELETE', `/out-of-band/invitations/${id}`)));
    const statuses = removed.map(({ status }) => status).sort();
    assert.ok(statuses[0] === 200 && [200, 404].includes(statuses[1]!), JSON.stringify(removed.map(({ text }) => text)));
  }
  const ids = hooks.hooks.list.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, 'an event was told twice');
});

/** Sends messages to both replicas until each is acknowledged, while something happens to the database. @returns how many had to be sent again */
async function sendThrough(prefix: string, count: number, happens: () => Promise<void>): Promise<number> {
  let again = 0;
  const trouble = happens();
  await eachOf(Array.from({ length: count }), 6, async (_none, i) => {
    const text = basic(`${prefix} ${i}`);
    await until(
      async () => {
        const { status } = await stranger.send({ ...link.to, url: either(i + again).inbound }, text);
        if (status === 202) return true;
        assert.equal(status, 503, 'what is not stored is not acknowledged');
        again++;
        return false;
      },
      `message ${i}`,
      40_000,
    );
    // a peer whose answer was lost says it again, to whichever agent
    if (i % 5 === 0) await stranger.send({ ...link.to, url: either(i + again + 1).inbound }, text);
  });
  await trouble;
  await until(
    async () => Array.from({ length: count }, (_none, i) => toldOf(`${prefix} ${i}`)).every((times) => times > 0),
    'every webhook',
    40_000,
  );
  assert.deepEqual(
    (await contents(prefix)).sort(),
    Array.from({ length: count }, (_none, i) => `${prefix} ${i}`).sort(),
    'handled once each',
  );
  return again;
}

async function asSuperuser<T>(run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.adminUrl.replace(/postgres$/, 'flexid') });
  client.on('error', () => {});
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end().catch(() => {});
  }
}

test('connections of the database that are cut, again and again, lose and double nothing', async () => {
  let cuts = 0;
  await sendThrough('cut', 150, async () => {
    for (let i = 0; i < 8; i++) {
      const { rowCount } = await asSuperuser((client) =>
        client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flexid'"),
      );
      cuts += rowCount ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  });
  assert.ok(cuts >= 8, `only ${cuts} connections were cut`);
});

test('a database that crashes and comes back loses and doubles nothing', async () => {
  const again = await sendThrough('crash', 150, async () => {
    await asSuperuser(async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      // the server takes a killed process of its own for damage: it ends all others and recovers from its log
      process.kill(rows[0]!.pid, 'SIGKILL');
    });
  });
  assert.ok(again > 0, 'nothing was in its way');
});

/** A receiver of webhooks that answers as it is told to, and remembers. */
async function oddReceiver(answer: (index: number) => { status: number; afterMs?: number }) {
  const got: { id: string; payload: Body }[] = [];
  let index = 0;
  const listener = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { status, afterMs = 0 } = answer(index++);
      const id = String(request.headers['x-event-id']);
      if (status === 200) got.push({ id, payload: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
      setTimeout(() => response.writeHead(status).end(), afterMs);
    });
  });
  let port = 0;
  const listen = async (): Promise<void> => {
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
    port = (listener.address() as AddressInfo).port;
  };
  await listen();
  const close = async (): Promise<void> => {
    listener.closeAllConnections();
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  };
  world.defer(close);
  return { got, url: `http://127.0.0.1:${port}`, listen, close };
}

test('receivers that are down, slow or broken get each event in order, and hold up nobody else', async () => {
  const down = await oddReceiver(() => ({ status: 200 }));
  await down.close();
  const slow = await oddReceiver(() => ({ status: 200, afterMs: 700 }));
  const broken = await oddReceiver((index) => ({ status: index < 3 ? 500 : 200 }));
  const well = await oddReceiver(() => ({ status: 200 }));
  const receivers = { down, slow, broken, well };
  const tenants = await Promise.all(
    Object.entries(receivers).map(async ([name, { url }]) => newTenant(either(0), `hooks ${name}`, { wallet_webhook_urls: [url] })),
  );
  const one = await tenants[3]!.post('/out-of-band/create-invitation?multi_use=true', HANDSHAKE);
  for (const tenant of tenants.slice(0, 3)) await tenant.post('/out-of-band/receive-invitation', one.invitation);
  // the well one hears of three connections while the others hear of nothing
  await until(() => well.got.filter(({ payload }) => payload.state === 'active').length === 3, 'the events of the one that is well');
  await down.listen();
  for (const [name, { got }] of Object.entries(receivers)) {
    await until(() => got.some(({ payload }) => payload.state === 'active'), `the events of the one that is ${name}`, 30_000);
    if (name === 'well') continue;
    const states = [...new Map(got.map((hook) => [hook.id, hook])).values()]
      .filter(({ payload }) => payload.connection_id && payload.rfc23_state)
      .map(({ payload }) => payload.state);
    assert.deepEqual(states, ['invitation', 'request', 'response', 'active'], `in order, at the one that is ${name}`);
  }
});

/** A connection between two tenants. @returns the inviter's id of it */
async function join(inviter: Tenant, invitee: Tenant): Promise<string> {
  const { invitation } = await inviter.post('/out-of-band/create-invitation', HANDSHAKE);
  await invitee.post('/out-of-band/receive-invitation', invitation);
  return await until(async () => {
    const { results } = await inviter.get(`/connections?invitation_msg_id=${invitation['@id']}`);
    return results[0]?.state === 'active' && (results[0].connection_id as string);
  }, 'a connection');
}

test('a tenant that is deleted while its flows run harms nobody else, and nothing of it is left', async () => {
  const [stays, peer] = [await newTenant(either(0), 'stays'), await newTenant(either(1), 'peer')];
  const before = replicas.map(({ logged }) => logged.length);
  for (let round = 0; round < 3; round++) {
    const leaves = await newTenant(either(round), `leaves ${round}`, { wallet_webhook_urls: [hooks.url] });
    const [kept, lost] = [await join(peer, stays), await join(peer, leaves)];
    const n = await asSuperuser(async (client) => {
      const { rows } = await client.query<{ n: number }>('SELECT n FROM flexid.tenant WHERE id = $1', [leaves.id]);
      return rows[0]!.n;
    });
    let gone = false;
    // whatever it answers: it may be gone
    const flows = eachOf(Array.from({ length: 60 }), 6, async (_none, i) => {
      await peer.call('POST', `/connections/${lost}/send-message`, { content: `to who leaves ${i}` });
      const { status } = await leaves.call('POST', '/out-of-band/create-invitation', HANDSHAKE);
      assert.ok([200, 401, 404].includes(status), `the tenant that leaves was answered ${status}`);
      gone ||= status === 401;
    });
    const others = eachOf(Array.from({ length: 30 }), 3, async (_none, i) => {
      await peer.post(`/connections/${kept}/send-message`, { content: `to who stays ${round} ${i}` });
    });
    await new Promise((resolve) => setTimeout(resolve, 60 * round));
    const removed = await either(round + 1).call('DELETE', `/multitenancy/wallet/${leaves.id}`, {});
    assert.equal(removed.status, 200, removed.text);
    await Promise.all([flows, others]);
    assert.ok(gone || (await leaves.call('GET', '/connections')).status === 401);
    await until(async () => {
      const { results } = await stays.get('/events?limit=1000');
      const notified = results.filter(
        ({ topic, payload }: Body) => topic === 'basicmessages' && payload.content.startsWith(`to who stays ${round} `),
      );
      return notified.length === 30;
    }, 'what was sent to who stays');
    const left = async (): Promise<Record<string, number>> =>
      await asSuperuser(async (client) => {
        const counts: Record<string, number> = {};
        for (const table of ['record', 'tag', 'key', 'dedup_key', 'dead', 'event', 'call', 'key_owner', 'lane', 'job']) {
          const { rows } = await client.query<{ count: number }>(`SELECT count(*)::int AS count FROM flexid.${table} WHERE t = $1`, [n]);
          if (rows[0]!.count > 0) counts[table] = rows[0]!.count;
        }
        const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM flexid.tenant WHERE n = $1', [n]);
        return rows[0]!.count > 0 ? { ...counts, tenant: 1 } : counts;
      });
    await until(async () => Object.keys(await left()).length === 0, `the last row of ${JSON.stringify(await left())}`);
  }
  const errors = replicas.flatMap(({ logged }, i) => logged.slice(before[i]).filter((line) => line.includes('"level":"error"')));
  assert.deepEqual(errors, []);
});

test('fifty DID Exchange requests at once to one tenant’s public DID all come to a connection', async () => {
  const asked = await newTenant(either(0), 'asked', { extra_settings: OPEN });
  const asking = await Promise.all([0, 1, 2, 3, 4].map((i) => newTenant(either(i), `asking ${i}`)));
  const { result } = await asked.post('/wallet/did/create', { method: 'algo' });
  await asked.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  await until(async () => (await asked.get('/wallet/did/public')).result?.did === result.did, 'the public DID');
  const path = `/didexchange/create-request?their_public_did=${encodeURIComponent(result.did)}`;
  const made = await Promise.all(Array.from({ length: 50 }, (_none, i) => asking[i % 5]!.call('POST', path)));
  assert.deepEqual([...new Set(made.map(({ status }) => status))], [200]);
  const active = async (tenant: Tenant): Promise<number> => (await tenant.get('/connections?state=active&limit=1000')).results.length;
  await until(async () => (await active(asked)) === 50, 'fifty connections', 40_000);
  for (const tenant of asking) await until(async () => (await active(tenant)) === 10, 'ten connections of each', 40_000);
});

test('while one tenant floods, another comes through with all it does', async () => {
  const [floods, works, mate] = [
    await newTenant(either(0), 'floods'),
    await newTenant(either(0), 'works'),
    await newTenant(either(1), 'mate'),
  ];
  let through = 0;
  let isOver = false;
  const statuses = new Set<number>();
  // it ends when the other is done, however long that takes: who starves is never done
  const flood = eachOf(Array.from({ length: 100 }), 100, async (_none, i) => {
    while (!isOver) {
      statuses.add((await floods.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, alias: `flood ${i}` })).status);
      through++;
    }
  });
  try {
    await until(() => through > 50, 'the flood');
    for (let i = 0; i < 6; i++) await join(works, mate);
  } finally {
    isOver = true;
    await flood;
  }
  for (const status of statuses) assert.ok([200, 429].includes(status), `the flood was answered ${status}`);
});
