import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { acapyVersions, bringAcapy, type Controller, startAcapy } from './acapy.ts';

/** What a real ACA-Py of the line 1.2 has in itself and later ones have as plug-ins: connections 1.0 and present-proof 1.0, both ways. */

const reason = await bringAcapy('old');
if (reason) process.stdout.write(`ACA-Py 1.2 is skipped: ${reason}\n`);

describe('ACA-Py 1.2', { skip: reason }, () => {
  const world = createWorld();
  let ours: TestAgent;
  let theirs: Controller;

  before(async () => {
    const versions = await acapyVersions('old');
    process.stdout.write(`peer: ${Object.entries(versions).flat().join(' ')}\n`);
    [ours, theirs] = await Promise.all([
      world.start('ours', { flags: ['--monitor-ping'] }),
      startAcapy(world, 'acapy-old', [], 'askar', 'old'),
    ]);
  });
  after(() => world.close());

  type Side = readonly [Controller, string];

  /** Answers the first mail over a new connection of this version, which ACA-Py takes for its completion, then speaks each way. */
  async function talk(inviter: Side, invitee: Side): Promise<void> {
    for (const [from, to] of [
      [invitee, inviter],
      [inviter, invitee],
    ] as const) {
      const { thread_id } = await from[0].post(`/connections/${from[1]}/send-ping`, { comment: 'there?' });
      await to[0].event('ping', (one) => one.state === 'received' && one.thread_id === thread_id, 'the ping');
      await from[0].event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to the ping');
      const content = `from ${from[0].name} over ${from[1]}`;
      await from[0].post(`/connections/${from[1]}/send-message`, { content });
      assert.equal((await to[0].event('basicmessages', (one) => one.content === content, 'the message')).connection_id, to[1]);
    }
    for (const [who, id] of [inviter, invitee]) {
      const { state, connection_protocol } = await who.get(`/connections/${id}`);
      assert.deepEqual([state, connection_protocol], ['active', 'connections/1.0'], who.name);
    }
  }

  async function byOwnInvitation(
    inviter: Controller,
    invitee: Controller,
    multi = false,
  ): Promise<(again?: boolean) => Promise<[Side, Side]>> {
    const made = await inviter.post(`/connections/create-invitation?auto_accept=true&multi_use=${multi}`, {});
    return async () => {
      const got = await invitee.post('/connections/receive-invitation?auto_accept=true', made.invitation);
      const isHeard = (one: Body): boolean => ['response', 'active'].includes(one.state);
      const mine = await invitee.event('connections', (one) => one.connection_id === got.connection_id && isHeard(one), 'the response');
      const other = await inviter.event(
        'connections',
        (one) => isHeard(one) && one.invitation_key === made.invitation.recipientKeys[0] && one.their_did === mine.my_did,
        'its end',
      );
      return [
        [inviter, other.connection_id],
        [invitee, got.connection_id],
      ];
    };
  }

  for (const [name, sides] of [
    ['ACA-Py comes by our invitation', () => [ours, theirs]],
    ["we come by ACA-Py's invitation", () => [theirs, ours]],
  ] as const) {
    test(`connections 1.0: ${name}`, async () => {
      const [inviter, invitee] = sides() as [Controller, Controller];
      await talk(...(await (await byOwnInvitation(inviter, invitee))()));
    });

    test(`connections 1.0: ${name} of many uses, twice`, async () => {
      const [inviter, invitee] = sides() as [Controller, Controller];
      const come = await byOwnInvitation(inviter, invitee, true);
      const ids = new Set<string>();
      for (let i = 0; i < 2; i++) {
        const pair = await come();
        ids.add(pair[0][1]);
        await talk(...pair);
      }
      assert.equal(ids.size, 2);
    });

    test(`connections 1.0: ${name}, out-of-band`, async () => {
      const [inviter, invitee] = sides() as [Controller, Controller];
      const body = { handshake_protocols: ['https://didcomm.org/connections/1.0'] };
      const made = await inviter.post('/out-of-band/create-invitation?auto_accept=true', body);
      const got = await invitee.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', made.invitation);
      const isHeard = (one: Body): boolean => ['response', 'active'].includes(one.state);
      await invitee.event('connections', (one) => one.connection_id === got.connection_id && isHeard(one), 'the response');
      const other = await inviter.event('connections', (one) => isHeard(one) && one.invitation_msg_id === made.invi_msg_id, 'its end');
      await talk([inviter, other.connection_id], [invitee, got.connection_id]);
    });
  }

  const proof_request = {
    name: 'self attested',
    version: '1.0',
    requested_attributes: { said: { name: 'nickname' } },
    requested_predicates: {},
  };

  for (const [name, sides] of [
    ['we prove to ACA-Py', () => [theirs, ours]],
    ['ACA-Py proves to us', () => [ours, theirs]],
  ] as const) {
    test(`present-proof 1.0: ${name}, and refuses another request`, async () => {
      const [verifier, prover] = sides() as [Controller, Controller];
      const [[, at]] = await (await byOwnInvitation(verifier, prover))();
      const asked = await verifier.post('/present-proof/send-request', { connection_id: at, proof_request });
      const isRequest = (thread: string) => (one: Body) => one.thread_id === thread && one.state === 'request_received';
      const got = await prover.event('present_proof', isRequest(asked.thread_id), 'the request');
      await prover.post(`/present-proof/records/${got.presentation_exchange_id}/send-presentation`, {
        self_attested_attributes: { said: 'Bobby' },
        requested_attributes: {},
        requested_predicates: {},
      });
      await verifier.event(
        'present_proof',
        (one) => one.thread_id === asked.thread_id && one.state === 'presentation_received',
        'the presentation',
      );
      const shown = await verifier.get(`/present-proof/records/${asked.presentation_exchange_id}`);
      assert.equal(shown.presentation.requested_proof.self_attested_attrs.said, 'Bobby');
      // what verifies in ACA-Py comes with its ledger
      if (verifier === ours) {
        const verified = await ours.post(`/present-proof/records/${asked.presentation_exchange_id}/verify-presentation`);
        assert.equal(verified.verified, 'true');
        await prover.event('present_proof', (one) => one.thread_id === asked.thread_id && one.state === 'presentation_acked', 'the ack');
      }
      const another = await verifier.post('/present-proof/send-request', { connection_id: at, proof_request });
      const unwanted = await prover.event('present_proof', isRequest(another.thread_id), 'the request');
      await prover.post(`/present-proof/records/${unwanted.presentation_exchange_id}/problem-report`, { description: 'rather not' });
      const refused = await verifier.event(
        'present_proof',
        (one) => one.thread_id === another.thread_id && one.state === 'abandoned',
        'the no',
      );
      assert.match(refused.error_msg, /rather not/);
    });
  }
});
