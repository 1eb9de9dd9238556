import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Body, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { acapyVersions, bringAcapy, type Controller, startAcapy } from './acapy.ts';

/** Connections with a real ACA-Py, in both directions, and what is said over them. */

const reason = await bringAcapy();
if (reason) process.stdout.write(`ACA-Py is skipped: ${reason}\n`);

/** How the inviter names itself in an invitation. */
const FORMS = {
  'an inline service': {},
  'a did:peer:2': { use_did_method: 'did:peer:2' },
  'a did:peer:4': { use_did_method: 'did:peer:4' },
} as const;

const isActive = (invitation: string) => (one: Body) => one.state === 'active' && one.invitation_msg_id === invitation;

interface Pair {
  readonly inviter: string;
  readonly invitee: string;
}

/** Invites, accepts and waits until both sides say that the connection is active. */
async function connectBy(inviter: Controller, invitee: Controller, body: object, query = 'auto_accept=true'): Promise<Pair> {
  const made = await inviter.post(`/out-of-band/create-invitation?${query}`, { ...HANDSHAKE, ...body });
  const got = await invitee.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', made.invitation);
  const [ours, theirs] = await Promise.all([
    inviter.event('connections', isActive(made.invi_msg_id), 'an active connection'),
    invitee.event('connections', (one) => one.state === 'active' && one.connection_id === got.connection_id, 'an active connection'),
  ]);
  return { inviter: ours.connection_id, invitee: theirs.connection_id };
}

/** A basic message and a trust ping, each way. */
async function talk(ends: readonly [Controller, string][]): Promise<void> {
  for (const [from, to] of [
    [ends[0]!, ends[1]!],
    [ends[1]!, ends[0]!],
  ] as const) {
    const content = `from ${from[0].name} \u{1F44B} ${from[1]}`;
    await from[0].post(`/connections/${from[1]}/send-message`, { content });
    const heard = await to[0].event('basicmessages', (one) => one.content === content, 'the message');
    assert.equal(heard.connection_id, to[1]);
    const { thread_id } = await from[0].post(`/connections/${from[1]}/send-ping`, { comment: 'are you there?' });
    await to[0].event('ping', (one) => one.state === 'received' && one.thread_id === thread_id, 'the ping');
    await from[0].event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to the ping');
  }
}

describe('ACA-Py', { skip: reason }, () => {
  const world = createWorld();
  let ours: TestAgent;
  let theirs: Controller;

  before(async () => {
    const versions = await acapyVersions();
    process.stdout.write(`peer: ${Object.entries(versions).flat().join(' ')}\n`);
    [ours, theirs] = await Promise.all([world.start('ours', { flags: ['--monitor-ping'] }), startAcapy(world, 'acapy')]);
  });
  after(() => world.close());

  for (const [form, body] of Object.entries(FORMS)) {
    test(`ACA-Py comes by our invitation with ${form}`, async () => {
      const pair = await connectBy(ours, theirs, body);
      await talk([
        [ours, pair.inviter],
        [theirs, pair.invitee],
      ]);
      const [a, b] = [await ours.get(`/connections/${pair.inviter}`), await theirs.get(`/connections/${pair.invitee}`)];
      assert.deepEqual([a.their_label, a.connection_protocol, b.connection_protocol], ['acapy', 'didexchange/1.1', 'didexchange/1.1']);
      assert.equal(b.their_label, 'ours');
      assert.deepEqual([a.my_did, a.their_did], [b.their_did, b.my_did], 'both name the same DIDs');
    });

    test(`we come by ACA-Py's invitation with ${form}`, async () => {
      const pair = await connectBy(theirs, ours, body);
      await talk([
        [theirs, pair.inviter],
        [ours, pair.invitee],
      ]);
      const [a, b] = [await ours.get(`/connections/${pair.invitee}`), await theirs.get(`/connections/${pair.inviter}`)];
      assert.deepEqual([a.their_label, b.their_label], ['acapy', 'ours']);
      assert.deepEqual([a.my_did, a.their_did], [b.their_did, b.my_did], 'both name the same DIDs');
    });
  }

  test("we come by ACA-Py's invitation to did-exchange 1.0 alone, and by one that lists both", async () => {
    const list = ['https://didcomm.org/didexchange/1.0'];
    for (const handshake_protocols of [list, [...list, 'https://didcomm.org/didexchange/1.1', 'https://didcomm.org/connections/1.0']]) {
      const pair = await connectBy(theirs, ours, { handshake_protocols });
      await talk([
        [theirs, pair.inviter],
        [ours, pair.invitee],
      ]);
    }
  });

  test('invitations of many uses, ours and theirs', async () => {
    for (const [inviter, invitee] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const made = await inviter.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
      const dids = new Set<string>();
      for (let i = 0; i < 3; i++) {
        const got = await invitee.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', made.invitation);
        const active = await invitee.event(
          'connections',
          (one) => one.state === 'active' && one.connection_id === got.connection_id,
          `connection ${i}`,
        );
        const other = await inviter.event(
          'connections',
          (one) =>
            one.state === 'active' && one.their_did?.split(':').slice(0, 3).join(':') === active.my_did.split(':').slice(0, 3).join(':'),
          'its end',
        );
        dids.add(other.their_did);
        await talk([
          [inviter, other.connection_id],
          [invitee, got.connection_id],
        ]);
      }
      assert.equal(dids.size, 3);
    }
  });

  for (const form of ['did:peer:2', 'did:peer:4'] as const) {
    test(`a second invitation by the same ${form} is a reuse, at either side`, async () => {
      for (const [inviter, invitee] of [
        [ours, theirs],
        [theirs, ours],
      ] as const) {
        const by = { ...HANDSHAKE, use_did_method: form };
        await connectBy(inviter, invitee, by);
        const again = await inviter.post('/out-of-band/create-invitation?auto_accept=true', by);
        const got = await invitee.post('/out-of-band/receive-invitation?auto_accept=true', again.invitation);
        const accepted = await invitee.event('connection_reuse_accepted', (one) => one.connection_id === got.connection_id, 'the answer');
        assert.equal(accepted.state, 'accepted');
        const told = await inviter.event('connection_reuse', (one) => one.thread_id === accepted.thread_id, 'the reuse');
        const known = await invitee.get(`/connections/${got.connection_id}`);
        assert.equal(known.state, 'active');
        const same = await inviter.get(`/connections/${told.connection_id}`);
        assert.deepEqual([same.my_did, same.their_did], [known.their_did, known.my_did], 'the same connection at both ends');
      }
    });
  }

  test('we reject a request of ACA-Py: it abandons the exchange', async () => {
    const made = await ours.post('/out-of-band/create-invitation?auto_accept=false', HANDSHAKE);
    const got = await theirs.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
    const asked = await ours.event(
      'connections',
      (one) => one.state === 'request' && one.invitation_msg_id === made.invi_msg_id,
      'a request',
    );
    await ours.post(`/didexchange/${asked.connection_id}/reject`, { reason: 'not today' });
    const heard = await theirs.event(
      'connections',
      (one) => one.connection_id === got.connection_id && one.rfc23_state === 'abandoned',
      'the rejection',
    );
    assert.match(heard.error_msg, /not today|request_not_accepted/);
  });
});
