import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { after, test } from 'node:test';
import { type EgressGuard, egressGuard } from '../../src/adapters/transport/egress.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { AppError } from '../../src/errors.ts';
import { type Body, createWorld, until } from '../support/agents.ts';

/** Peers name addresses that lead into the machine or the network of the agent. The whole table is in src/adapters/transport/egress.test.ts. */

const world = createWorld();
after(() => world.close());

const invitationTo = (endpoint: string): Body => ({
  '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
  '@id': randomUUID(),
  label: 'inside',
  handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  services: [{ id: '#inline', type: 'did-communication', recipientKeys: [newKeyPair().verkey], serviceEndpoint: endpoint }],
});

const refuses = (guard: EgressGuard, address: string, port: number): boolean => {
  try {
    guard.checkAddress(address, port);
    return false;
  } catch (error) {
    return error instanceof AppError && error.code === 'egress-refused';
  }
};

test('[A14] no special-purpose range leads inside', () => {
  const guard = egressGuard([]);
  for (const address of [
    '2002:7f00:1::',
    '64:ff9b:1::7f00:1',
    '::ffff:0:7f00:1',
    '::7f00:1',
    '2001:0:7f00:1::',
    'fec0::1',
    '100::1',
    '192.88.99.1',
    '64:ff9b::a00:1',
    '::ffff:127.0.0.1',
    '5f00::1',
    '3fff::1',
  ])
    assert.ok(refuses(guard, address, 80), address);
});

test('[A14-2] IPv4 in IPv6 is judged as IPv4, also where its range is opened', () => {
  const guard = egressGuard(['::/0', '0.0.0.0/0']);
  for (const address of [
    '2002:a9fe:a9fe::',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
    '::ffff:169.254.169.254',
    '::a9fe:a9fe',
    '::ffff:0:a9fe:a9fe',
  ])
    assert.ok(refuses(guard, address, 80), address);
});

test('[A14-3] the admin port is refused at every address of the machine, whatever is allowed', () => {
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const guard = egressGuard(['0.0.0.0/0', '::/0'], () => ({ port: 8031, host: '203.0.114.7' }));
  for (const address of [
    ...own,
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '::ffff:127.0.0.1',
    '10.0.0.1',
    '203.0.114.7',
    '::ffff:203.0.114.7',
    '64:ff9b::7f00:1',
    '0.0.0.0',
    '::',
  ])
    assert.ok(refuses(guard, address, 8031), address);
  assert.equal(refuses(guard, '203.0.114.7', 8030), false);
  assert.equal(refuses(guard, '203.0.114.8', 8031), false, 'the same port of somebody else');
});

test('[A14] an agent that peers point at itself sends nothing to its admin API', async () => {
  const agent = await world.start('pointed', {
    insecure: true,
    noWebhook: true,
    flags: ['--egress-allow', '127.0.0.0/8', '--egress-allow', '::1/128'],
  });
  const port = new URL(agent.admin).port;
  for (const url of [
    `http://127.0.0.1:${port}/`,
    `http://localhost:${port}/shutdown`,
    `http://[::ffff:7f00:1]:${port}/`,
    `http://0.0.0.0:${port}/`,
  ]) {
    const { connection_id } = await agent.post('/out-of-band/receive-invitation?auto_accept=true', invitationTo(url));
    const record = await until(async () => {
      const one = await agent.get(`/connections/${connection_id}`);
      return one.error_msg && one;
    }, `the refusal of ${url}`);
    assert.match(record.error_msg, /not allowed/, url);
  }
});
