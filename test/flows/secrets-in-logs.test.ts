import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { answers, program } from '../../harness/processes.ts';
import { agentOffers } from '../rows/support.ts';
import { anchor, createWorld, freePort, startReceiver, type TestAgent } from '../support/agents.ts';
import { startPeer2018 } from '../support/peer-2018.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

const world = createWorld();
after(() => world.close());

/** What is planted; each is unlike anything else. */
const SECRETS = {
  adminKey: 'planted-admin-key-4f1d',
  webhookKey: 'planted-webhook-key-77aa',
  walletKey: 'planted wallet passphrase 90c2',
  seed: 'planted-seed-aaaaaaaaaaaaaaaaaa1',
  content: 'planted message content d3b0',
  value: 'planted credential value 11e7',
};

test('[D-13] an agent of its own process at log level debug, over connections of either kind: no planted secret, message or credential value in what it prints or sends; it ends in time', async () => {
  const devnet = await world.devnet();
  const receiver = await startReceiver();
  world.defer(receiver.close);
  const [adminPort, port] = [await freePort(), await freePort()];
  const admin = `http://127.0.0.1:${adminPort}`;
  const agent = program(
    'logged',
    world.folder,
    'src/main.ts',
    [
      ...['start', '--label', 'logged', '--admin', '127.0.0.1', String(adminPort), '--admin-api-key', SECRETS.adminKey],
      ...['--inbound-transport', 'http', '127.0.0.1', String(port), '--endpoint', `http://127.0.0.1:${port}`],
      ...['--webhook-url', `${receiver.url}/logged#${SECRETS.webhookKey}`, '--egress-allow', '127.0.0.0/8', '--anoncreds-workers', '1'],
      ...['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)],
      ...['--algorand-genesis-hash', devnet.genesisHash, '--store', `sqlite:${join(world.folder, 'logged.db')}`],
      ...['--legacy', 'on', '--log-level', 'debug', '--auto-respond-credential-request', '--preserve-exchange-records'],
    ],
    () => answers(`${admin}/status/live`),
    { FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic, ACAPY_WALLET_KEY: SECRETS.walletKey },
  );
  world.defer(() => agent.kill());
  await agent.start();

  const sent: string[] = [];
  const call: TestAgent['call'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${admin}${path}`, {
      method,
      headers: { 'x-api-key': SECRETS.adminKey, ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    sent.push(text);
    return { status: response.status, text, headers: response.headers, body: response.ok ? JSON.parse(text) : undefined };
  };
  const post = async (path: string, body: unknown = {}) => (await call('POST', path, body)).body;
  const like = {
    post,
    get: async (path: string) => (await call('GET', path)).body,
    inbound: `http://127.0.0.1:${port}`,
    event: async (topic: string, matches: (payload: never) => boolean, what: string) =>
      (await receiver.hooks.first((hook) => hook.topic === topic && matches(hook.payload as never), what)).payload,
  } as unknown as TestAgent;

  await post('/wallet/did/create', { method: 'key', seed: SECRETS.seed });
  // before there is a public DID, which this peer could not look up
  const peer = await startPeer2018();
  world.defer(peer.close);
  const old = await agentOffers(like, peer);
  const { credDefId } = await anchor(like, ['name']);
  const stranger = await startStranger();
  world.defer(stranger.close);
  const link = await connectStranger(like, stranger);
  await post(`/connections/${link.id}/send-message`, { content: SECRETS.content });
  await stranger.inbox.first((mail) => mail.message.content === SECRETS.content, 'the message');
  const filter = { anoncreds: { cred_def_id: credDefId } };
  const attributes = [{ name: 'name', value: SECRETS.value }];
  await post('/issue-credential-2.0/send-offer', { connection_id: link.id, filter, credential_preview: { attributes } });
  // every way in which something goes wrong while a secret is in hand
  await call('POST', '/wallet/did/create', { method: 'key', seed: `${SECRETS.seed}too-long` });
  await call('POST', '/wallet/did/create', `{"seed": "${SECRETS.seed}"`);
  await call('GET', '/connections', undefined, { 'x-api-key': SECRETS.webhookKey });
  await call('POST', '/issue-credential-2.0/send-offer', {
    connection_id: link.id,
    filter,
    credential_preview: { attributes: [{ name: 'other', value: SECRETS.value }] },
  });
  await link.send(message('issue-credential/2.0/offer-credential', { comment: SECRETS.content, formats: SECRETS.content }));
  await link.send(message('basicmessage/1.0/message', { content: { deep: SECRETS.content } }));
  await link.send(message('nothing/1.0/known', { content: SECRETS.content }));
  await stranger.send({ ...link.to, url: `http://127.0.0.1:${port}` }, { '@type': SECRETS.content }, null);
  // the same over a connection of the 2018 Agent Protocol
  await post('/issue-credential-2.0/send-offer', { connection_id: old.id, filter, credential_preview: { attributes } });
  const to = await like.get('/legacy/endpoint');
  for (const base of [
    { id: 'nobody', type: SECRETS.content, message: SECRETS.content },
    { ...peer.offer(), message: SECRETS.content },
  ])
    await peer.send(to, base);
  await peer.post(like.inbound, Buffer.from(SECRETS.content).toString('base64'), 'text/plain');
  await receiver.hooks.first((hook) => hook.payload.state === 'offer-sent' && hook.payload.connection_id === old.id, 'the last webhook');
  await agent.stop();
  assert.equal(agent.exitCode, 0, 'SIGTERM ends it');

  const log = readFileSync(join(world.folder, 'logged.log'), 'utf8');
  assert.match(log, /the agent is ready/);
  // the controller may see these two
  const { content: _content, value: _value, ...keys } = SECRETS;
  const spellings = (text: string): string[] => [
    text,
    Buffer.from(text).toString('base64').replace(/=+$/, ''),
    Buffer.from(text).toString('hex'),
  ];
  for (const [name, text] of Object.entries({ ...SECRETS, mnemonic: devnet.sponsor.mnemonic, token: devnet.token }))
    for (const form of spellings(text)) assert.ok(!log.includes(form), `${name} in the log`);
  for (const [name, text] of Object.entries({ ...keys, mnemonic: devnet.sponsor.mnemonic }))
    for (const form of spellings(text))
      assert.ok(
        !sent.some((one) => one.includes(form)) && !receiver.hooks.list.some((hook) => hook.raw.includes(form)),
        `${name} was told`,
      );
});
