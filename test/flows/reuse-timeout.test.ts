import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { signedAttachment, writeAttachment } from '../../src/didcomm/attachments.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { createWorld } from '../support/agents.ts';
import { message, startStranger } from '../support/stranger.ts';

const world = createWorld();
after(() => world.close());

test('a reuse that the peer refuses becomes a new connection at once; one that it does not answer, after its time', async () => {
  const alice = await world.start('alice');
  const stranger = await startStranger();
  world.defer(stranger.close);
  const invitation = () =>
    message('out-of-band/1.1/invitation', {
      label: 'stranger',
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
      services: [stranger.did],
    });
  const received = (type: string, after = 0) =>
    stranger.inbox.first((mail) => mail.message['@type'].endsWith(type) && stranger.inbox.list.indexOf(mail) >= after, type);

  const first = invitation();
  const { connection_id } = await alice.post('/out-of-band/receive-invitation?auto_accept=true', first);
  const { message: request } = await received('/request');
  const to = { verkey: contactOf(resolvePeer(request.did)).recipientKeys[0]!, url: alice.inbound };
  await stranger.send(
    to,
    message('didexchange/1.1/response', {
      did: stranger.did,
      '~thread': { thid: request['@id'], pthid: first['@id'] },
      'did_rotate~attach': writeAttachment(signedAttachment(Buffer.from(stranger.did), stranger.pair)),
    }),
  );
  await alice.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the connection');

  // refused
  let from = stranger.inbox.list.length;
  const second = invitation();
  const refusing = alice.post('/out-of-band/receive-invitation?auto_accept=true', second);
  const { message: reuse } = await received('/handshake-reuse', from);
  assert.equal(reuse['~thread'].pthid, second['@id']);
  await stranger.send(
    to,
    message('out-of-band/1.1/problem-report', {
      '~thread': { thid: reuse['@id'], pthid: second['@id'] },
      description: { code: 'no', en: 'no' },
    }),
  );
  const refused = await refusing;
  assert.notEqual(refused.connection_id, connection_id);
  assert.equal(refused.state, 'done');
  await alice.event('out_of_band', (one) => one.oob_id === refused.oob_id && one.state === 'reuse-not-accepted', 'the refusal');
  await received('/request', from);

  // not answered
  from = stranger.inbox.list.length;
  const silent = await alice.post('/out-of-band/receive-invitation?auto_accept=true', invitation());
  assert.notEqual(silent.connection_id, connection_id);
  assert.equal(silent.state, 'done');
  await received('/request', from);
});
