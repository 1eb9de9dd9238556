import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { didKeyToVerkey } from '../../src/didcomm/encoding.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { bringAcapy, type Controller, startAcapy } from './acapy.ts';

/** This agent as the recipient of a real ACA-Py's mediation, with an ACA-Py as the peer that writes to it. */

const missing = await bringAcapy();
if (missing) process.stdout.write(`ACA-Py is skipped: ${missing}\n`);

const world = createWorld();
after(() => world.close());

describe('behind an ACA-Py that mediates', { skip: missing }, () => {
  let mediator: Controller;
  let peer: Controller;
  let client: TestAgent;
  before(async () => {
    [mediator, peer] = await Promise.all([
      startAcapy(world, 'acapy-mediator', ['--open-mediation', '--auto-accept-requests', '--auto-ping-connection']),
      startAcapy(world, 'acapy-peer', ['--auto-accept-requests', '--auto-accept-invites', '--auto-ping-connection']),
    ]);
    const { invitation_url } = await mediator.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
    client = await world.start('client', {
      flags: ['--mediator-invitation', invitation_url, '--auto-accept-invites', '--auto-accept-requests', '--auto-ping-connection'],
    });
    await until(async () => (await client.get('/mediation/default-mediator')).state === 'granted', 'the default mediator', 30_000);
  });

  for (const protocol of ['didexchange/1.1', 'didexchange/1.0']) {
    test(`peers write through it, whoever invites, by ${protocol}`, async () => {
      const handshake = { handshake_protocols: [`https://didcomm.org/${protocol}`] };
      const ours = await client.post('/out-of-band/create-invitation?auto_accept=true', handshake);
      assert.equal(ours.invitation.services[0].serviceEndpoint, mediator.inbound);
      const got = await peer.post('/out-of-band/receive-invitation?auto_accept=true', ours.invitation);
      await sent(got.connection_id, `to the inviter by ${protocol}`);

      const theirs = await peer.post('/out-of-band/create-invitation?auto_accept=true', handshake);
      const accepted = await client.post('/out-of-band/receive-invitation', theirs.invitation);
      await client.event('connections', (one) => one.connection_id === accepted.connection_id && one.state === 'active', 'the connection');
      const at = await until(
        async () =>
          (await peer.get(`/connections?invitation_msg_id=${theirs.invi_msg_id}`)).results.find((one: Body) => one.state === 'active'),
        'the connection at the peer',
      );
      await sent(at.connection_id, `to the invitee by ${protocol}`);
      // the mediator is told when the connection goes
      const keys = async (): Promise<number> => (await mediator.get('/mediation/keylists?role=server')).results.length;
      const before = await keys();
      await client.call('DELETE', `/connections/${accepted.connection_id}`);
      await until(async () => (await keys()) === before - 1, 'the key to go');
    });
  }

  test('an agent that nobody can write to is granted mediation, and has its keys known', async () => {
    const { invitation_url } = await mediator.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
    const hidden = await world.start('hidden', { noInbound: true, flags: ['--mediator-invitation', invitation_url] });
    await until(async () => (await hidden.get('/mediation/default-mediator')).state === 'granted', 'the default mediator', 30_000);
    const { invitation } = await hidden.post('/out-of-band/create-invitation', HANDSHAKE);
    assert.equal(invitation.services[0].serviceEndpoint, mediator.inbound);
    const { results } = await mediator.get('/mediation/keylists?role=server');
    const verkey = didKeyToVerkey(invitation.services[0].recipientKeys[0].split('#')[0]);
    assert.ok(
      results.some((one: Body) => one.recipient_key === verkey || one.recipient_key.startsWith(invitation.services[0].recipientKeys[0])),
    );
  });

  async function sent(connection: string, content: string): Promise<void> {
    await until(async () => (await peer.get(`/connections/${connection}`)).state === 'active', 'an active connection', 20_000);
    assert.equal((await peer.get(`/connections/${connection}/endpoints`)).their_endpoint, mediator.inbound);
    await peer.post(`/connections/${connection}/send-message`, { content });
    await client.event('basicmessages', (one) => one.content === content, content);
  }
});
