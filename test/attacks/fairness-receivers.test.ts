import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { verkeyToDidKey } from '../../src/didcomm/encoding.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { connect, createWorld, startReceiver } from '../support/agents.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';
import { until } from '../support/waiting.ts';

/** Receivers that take a request and never answer: others' webhooks and mail do not wait behind theirs. */

const world = createWorld();
after(() => world.close());
/** Longer than anything here is waited for: whatever arrives does so while the enemy still hangs. */
const PATIENT = ['--outbound-timeout', '1000'];

/** A server of any address that takes requests and answers none. `now` of them are open, `gone` were given up. */
async function startSilent() {
  const state = { now: 0, most: 0, seen: 0, gone: 0 };
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    request.resume();
    state.seen++;
    state.most = Math.max(state.most, ++state.now);
    response.on('close', () => {
      state.now--;
      state.gone++;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  world.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { state, port: (server.address() as AddressInfo).port };
}

test('[A4] a webhook that never answers gets a few requests at once, and another tenant its webhook meanwhile', async () => {
  const silent = await startSilent();
  const agent = await world.start('webhooks', { flags: [...MULTITENANT, ...PATIENT] });
  const receiver = await startReceiver();
  world.defer(() => receiver.close());
  const hooked = (name: string, url: string) => newTenant(agent, name, { wallet_webhook_urls: [url], wallet_dispatch_type: 'default' });
  const enemy = await hooked('enemy', `http://127.0.0.1:${silent.port}/`);
  const honest = await hooked('honest', receiver.url);
  for (let i = 0; i < 15; i++)
    await Promise.all(
      Array.from({ length: 10 }, () => enemy.post('/out-of-band/create-invitation', { handshake_protocols: ['didexchange/1.1'] })),
    );
  await until(() => silent.state.now > 0, 'the first event at the enemy');
  for (let i = 0; i < 3; i++) {
    const { oob_id } = await honest.post('/out-of-band/create-invitation', { handshake_protocols: ['didexchange/1.1'] });
    await receiver.hooks.first(({ payload }) => payload.oob_id === oob_id, "the honest tenant's webhook");
  }
  assert.equal(silent.state.gone, 0, 'the enemy still hangs');
  assert.ok(silent.state.most <= 8, `${silent.state.most} at once at the enemy`);
});

test('[A4-2] two hundred peers with endpoints that never answer keep no mail from a peer that does', async () => {
  const silent = await startSilent();
  const [agent, peer] = [await world.start('many-peers', { flags: PATIENT }), await world.start('peer')];
  const { invitation } = await peer.post('/out-of-band/create-invitation', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  for (let i = 0; i < 20; i++)
    await Promise.all(
      Array.from({ length: 10 }, async (_, j) => {
        const host = `127.0.${i + 1}.${j + 1}`;
        const services = invitation.services.map((service: object) => ({ ...service, serviceEndpoint: `http://${host}:${silent.port}` }));
        await agent.post('/out-of-band/receive-invitation?auto_accept=true', { ...invitation, '@id': crypto.randomUUID(), services });
      }),
    );
  await until(() => silent.state.seen >= 200, 'a message to each of them');
  await connect(peer, agent);
  assert.deepEqual([silent.state.gone, silent.state.now], [0, 200], 'they still hang');
});

test('[A4-3] did:web of servers that never answer keep no other tenant from its own', async () => {
  const silent = await startSilent();
  const agent = await world.start('did-web', { noWebhook: true, flags: [...MULTITENANT, '--did-web-http'] });
  const [noisy, quiet] = [await newTenant(agent, 'noisy'), await newTenant(agent, 'quiet')];
  const path = (port: number, name: string): string => `/resolver/resolve/${encodeURIComponent(`did:web:127.0.0.1%3A${port}:${name}`)}`;
  const asked = Array.from({ length: 12 }, (_, i) => noisy.call('GET', path(silent.port, `n${i}`)));
  await until(() => silent.state.now >= 8, 'as many requests as one may have');
  const server = createServer((_request, response) =>
    response.end(
      JSON.stringify({
        '@context': ['https://www.w3.org/ns/did/v1'],
        id: `did:web:127.0.0.1%3A${(server.address() as AddressInfo).port}:q`,
      }),
    ),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => server.close());
  const answer = await quiet.call('GET', path((server.address() as AddressInfo).port, 'q'));
  assert.equal(answer.status, 200, answer.text);
  assert.equal(silent.state.most, 8);
  await Promise.all(asked);
});

test('[A4-4] short links of servers that never answer keep no other tenant from receiving an invitation', async () => {
  const silent = await startSilent();
  const agent = await world.start('short-links', { noWebhook: true, flags: MULTITENANT });
  const [noisy, quiet] = [await newTenant(agent, 'noisy'), await newTenant(agent, 'quiet')];
  const receive = (tenant: typeof quiet, port: number) =>
    tenant.call('POST', '/out-of-band/receive-invitation', { invitation_url: `http://127.0.0.1:${port}/i/x` });
  const asked = Array.from({ length: 12 }, () => receive(noisy, silent.port));
  await until(() => silent.state.now >= 8, 'as many requests as one may have');
  const invitation = {
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': randomUUID(),
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [
      { id: '#s', type: 'did-communication', recipientKeys: [verkeyToDidKey(newKeyPair().verkey)], serviceEndpoint: 'http://127.0.0.1:1' },
    ],
  };
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify(invitation)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => server.close());
  const answer = await receive(quiet, (server.address() as AddressInfo).port);
  assert.equal(answer.status, 200, answer.text);
  await Promise.all(asked);
});
