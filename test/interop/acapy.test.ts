import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { anchor, type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
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
    const received = await to[0].event('basicmessages', (one) => one.content === content, 'the message');
    assert.equal(received.connection_id, to[1]);
    const { thread_id } = await from[0].post(`/connections/${from[1]}/send-ping`, { comment: 'are you there?' });
    await to[0].event('ping', (one) => one.state === 'received' && one.thread_id === thread_id, 'the ping');
    await from[0].event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to the ping');
  }
}

describe('ACA-Py', { skip: reason }, () => {
  const world = createWorld();
  let ours: TestAgent;
  let theirs: Controller;
  let indy: Controller;

  before(async () => {
    const versions = await acapyVersions();
    process.stdout.write(`peer: ${Object.entries(versions).flat().join(' ')}\n`);
    [ours, theirs, indy] = await Promise.all([
      world.start('ours', { flags: ['--monitor-ping'] }),
      startAcapy(world, 'acapy'),
      startAcapy(world, 'acapy-indy', [], 'askar'),
    ]);
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
        const notified = await inviter.event('connection_reuse', (one) => one.thread_id === accepted.thread_id, 'the reuse');
        const known = await invitee.get(`/connections/${got.connection_id}`);
        assert.equal(known.state, 'active');
        const same = await inviter.get(`/connections/${notified.connection_id}`);
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
    const received = await theirs.event(
      'connections',
      (one) => one.connection_id === got.connection_id && one.rfc23_state === 'abandoned',
      'the rejection',
    );
    assert.match(received.error_msg, /not today|request_not_accepted/);
  });

  // the other way round is none: ACA-Py 1.7 has no DID of its own before it accepts a request, so its rejection is sent to nobody

  test('ACA-Py comes by our invitation to did-exchange 1.0 alone', async () => {
    const pair = await connectBy(ours, theirs, { handshake_protocols: ['https://didcomm.org/didexchange/1.0'] });
    await talk([
      [ours, pair.inviter],
      [theirs, pair.invitee],
    ]);
    const [a, b] = [await ours.get(`/connections/${pair.inviter}`), await theirs.get(`/connections/${pair.invitee}`)];
    assert.deepEqual([a.connection_protocol, b.connection_protocol], ['didexchange/1.0', 'didexchange/1.0']);
    assert.deepEqual([a.my_did, a.their_did], [b.their_did, b.my_did], 'both name the same DIDs');
  });

  test('each discovers what the other can do, by versions 1.0 and 2.0', async () => {
    const pair = await connectBy(ours, theirs, {});
    for (const [who, connection] of [
      [ours, pair.inviter],
      [theirs, pair.invitee],
    ] as const) {
      // ACA-Py answers the first call before the peer has: the record tells later
      await who.get(`/discover-features/query?query=*&connection_id=${connection}`);
      const first = await until(async () => {
        const { results } = await who.get(`/discover-features/records?connection_id=${connection}`);
        return results[0]?.disclose && results[0];
      }, 'a disclosure');
      const pids = first.disclose.protocols.map(({ pid }: Body) => pid);
      for (const uri of ['https://didcomm.org/didexchange/1.1', 'https://didcomm.org/trust_ping/1.0']) assert.ok(pids.includes(uri), uri);

      await who.get(
        `/discover-features-2.0/queries?query_protocol=${encodeURIComponent('https://didcomm.org/issue-*')}&connection_id=${connection}`,
      );
      const second = await until(async () => {
        const { results } = await who.get(`/discover-features-2.0/records?connection_id=${connection}`);
        return results[0]?.disclosures && results[0];
      }, 'disclosures');
      const list: Body[] = second.disclosures.disclosures;
      const protocols = list.filter((one) => one['feature-type'] === 'protocol').map(({ id }) => id);
      assert.ok(protocols.includes('https://didcomm.org/issue-credential/2.0'), protocols.join());
      assert.ok(
        protocols.every((id) => id.startsWith('https://didcomm.org/issue-')),
        protocols.join(),
      );
    }
  });

  test('each moves to a new DID, then they still talk, and hang up', async () => {
    const pair = await connectBy(ours, theirs, {});
    const before = await theirs.get(`/connections/${pair.invitee}`);
    await ours.post(`/did-rotate/${pair.inviter}/rotate`);
    await ours.event('did-rotate', (one) => one.connection_id === pair.inviter && one.state === 'ack-received', 'the ack of ACA-Py');
    const moved = await theirs.get(`/connections/${pair.invitee}`);
    assert.notEqual(moved.their_did, before.their_did);
    await talk([
      [ours, pair.inviter],
      [theirs, pair.invitee],
    ]);

    const { result } = await theirs.post('/wallet/did/create', { method: 'did:peer:4', options: { key_type: 'ed25519' } });
    await theirs.post(`/did-rotate/${pair.invitee}/rotate`, { to_did: result.did });
    await ours.event('did-rotate', (one) => one.connection_id === pair.inviter && one.state === 'ack-sent', 'the rotation of ACA-Py');
    await until(async () => (await theirs.get(`/connections/${pair.invitee}`)).my_did === result.did, 'ACA-Py to have our ack');
    await talk([
      [ours, pair.inviter],
      [theirs, pair.invitee],
    ]);

    await theirs.post(`/did-rotate/${pair.invitee}/hangup`);
    await until(async () => (await ours.call('GET', `/connections/${pair.inviter}`)).status === 404, 'our end to go');
    const again = await connectBy(theirs, ours, {});
    await ours.post(`/did-rotate/${again.invitee}/hangup`);
    await until(async () => (await theirs.call('GET', `/connections/${again.inviter}`)).status === 404, 'the end of ACA-Py to go');
  });

  test('a rotation to a DID that the other cannot resolve changes nothing', async () => {
    const pair = await connectBy(ours, theirs, {});
    // it is refused by ACA-Py's own check before it is sent
    const refused = await theirs.call('POST', `/did-rotate/${pair.invitee}/rotate`, { to_did: 'did:example:123' });
    assert.equal(refused.status, 400);
    await talk([
      [ours, pair.inviter],
      [theirs, pair.invitee],
    ]);
  });

  test('menus, each way', async () => {
    const pair = await connectBy(ours, theirs, {});
    const menu = { title: 'A menu', description: 'of two', options: [{ name: 'one', title: 'One', description: 'the first' }] };
    for (const [owner, guest, at, from] of [
      [ours, theirs, pair.inviter, pair.invitee],
      [theirs, ours, pair.invitee, pair.inviter],
    ] as const) {
      await guest.post(`/action-menu/${from}/request`);
      const asked = await owner.event('get-active-menu', (one) => one.connection_id === at, 'the request for a menu');
      assert.ok(asked.thread_id);
      await owner.post(`/action-menu/${at}/send-menu`, { menu });
      await guest.event('actionmenu', (one) => one.connection_id === from && one.menu !== null, 'the menu');
      const { result } = await guest.post(`/action-menu/${from}/fetch`);
      assert.deepEqual([result.title, result.options[0].name], ['A menu', 'one']);
      await guest.post(`/action-menu/${from}/perform`, { name: 'one', params: {} });
      const done = await owner.event('perform-menu-action', (one) => one.connection_id === at, 'the action');
      assert.equal(done.action_name, 'one');
    }
  });

  // a request that takes self-attested answers needs no ledger
  const proofRequest = {
    name: 'self attested',
    version: '1.0',
    requested_attributes: { said: { name: 'nickname' } },
    requested_predicates: {},
  };
  const spec = { self_attested_attributes: { said: 'Bobby' }, requested_attributes: {}, requested_predicates: {} };

  for (const format of ['indy', 'anoncreds'] as const) {
    for (const way of ['over a connection', 'without a connection', 'attached to an invitation with a handshake'] as const) {
      for (const [name, sides] of [
        ['we prove to ACA-Py', (peer: Controller) => [peer, ours] as const],
        ['ACA-Py proves to us', (peer: Controller) => [ours, peer] as const],
      ] as const) {
        test(`${name} ${way}, format ${format}`, async () => {
          const [verifier, prover] = sides(format === 'indy' ? indy : theirs);
          const presentation_request = { [format]: proofRequest };
          let asked: Body;
          if (way === 'over a connection') {
            const pair = await connectBy(verifier, prover, {});
            asked = await verifier.post('/present-proof-2.0/send-request', { connection_id: pair.inviter, presentation_request });
          } else {
            asked = await verifier.post('/present-proof-2.0/create-request', { presentation_request });
            const made = await verifier.post('/out-of-band/create-invitation?auto_accept=true', {
              attachments: [{ id: asked.pres_ex_id, type: 'present-proof' }],
              ...(way === 'without a connection' ? {} : HANDSHAKE),
            });
            await prover.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', made.invitation);
          }
          const got = await prover.event(
            'present_proof_v2_0',
            (one) => one.thread_id === asked.thread_id && one.state === 'request-received',
            'the request',
          );
          await prover.post(`/present-proof-2.0/records/${got.pres_ex_id}/send-presentation`, { [format]: spec });
          await verifier.event(
            'present_proof_v2_0',
            (one) => one.pres_ex_id === asked.pres_ex_id && one.state === 'presentation-received',
            'the presentation',
          );
          const shown = await verifier.get(`/present-proof-2.0/records/${asked.pres_ex_id}`);
          assert.equal(shown.by_format.pres[format].requested_proof.self_attested_attrs.said, 'Bobby');
          // what verifies `indy` in ACA-Py comes with its ledger
          if (verifier === indy) return;
          const verified = await verifier.post(`/present-proof-2.0/records/${asked.pres_ex_id}/verify-presentation`);
          assert.equal(verified.verified, 'true', JSON.stringify(verified.verified_msgs));
          await prover.event('present_proof_v2_0', (one) => one.pres_ex_id === got.pres_ex_id && one.state === 'done', 'the ack');
        });
      }
    }
  }

  test('an exchange that either side abandons is abandoned at the other, with its words', async () => {
    const pair = await connectBy(ours, theirs, {});
    for (const [verifier, prover, at] of [
      [ours, theirs, pair.inviter],
      [theirs, ours, pair.invitee],
    ] as const) {
      for (const refuser of [prover, verifier]) {
        const presentation_request = { anoncreds: proofRequest };
        const asked = await verifier.post('/present-proof-2.0/send-request', { connection_id: at, presentation_request });
        const got = await prover.event(
          'present_proof_v2_0',
          (one) => one.thread_id === asked.thread_id && one.state === 'request-received',
          'the request',
        );
        const [mine, other] = refuser === prover ? [got, asked] : [asked, got];
        await refuser.post(`/present-proof-2.0/records/${mine.pres_ex_id}/problem-report`, { description: `no, says ${refuser.name}` });
        const received = await (refuser === prover ? verifier : prover).event(
          'present_proof_v2_0',
          (one) => one.pres_ex_id === other.pres_ex_id && one.state === 'abandoned',
          'the refusal',
        );
        assert.match(received.error_msg, new RegExp(`no, says ${refuser.name}`));
      }
    }
  });

  test('proposals and offers of ACA-Py in an unsupported format are refused by a problem report', async () => {
    const pair = await connectBy(theirs, ours, {});
    const { result } = await theirs.post('/wallet/did/create', { method: 'key', options: { key_type: 'ed25519' } });
    const credential = {
      '@context': ['https://www.w3.org/2018/credentials/v1'],
      type: ['VerifiableCredential'],
      issuer: result.did,
      issuanceDate: '2026-01-01T00:00:00Z',
      credentialSubject: { id: result.did },
    };
    const offered = await theirs.post('/issue-credential-2.0/send-offer', {
      connection_id: pair.inviter,
      filter: { ld_proof: { credential, options: { proofType: 'Ed25519Signature2018' } } },
    });
    await theirs.event('issue_credential_v2_0', (one) => one.cred_ex_id === offered.cred_ex_id && one.state === 'abandoned', 'our refusal');
  });

  test('our offers reach ACA-Py: over a connection, attached to an invitation, and without a connection', async () => {
    const devnet = await world.devnet();
    const issuer = await world.start('issuer', { devnet, sponsor: true });
    const { credDefId } = await anchor(issuer, ['name']);
    const offer = {
      filter: { anoncreds: { cred_def_id: credDefId } },
      credential_preview: {
        '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
        attributes: [{ name: 'name', value: 'Eva' }],
      },
    };
    const pair = await connectBy(issuer, theirs, {});
    const offers: Body[] = [await issuer.post('/issue-credential-2.0/send-offer', { connection_id: pair.inviter, ...offer })];
    for (const handshake of [HANDSHAKE, {}]) {
      const made = await issuer.post('/issue-credential-2.0/create-offer', offer);
      const { invitation } = await issuer.post('/out-of-band/create-invitation?auto_accept=true', {
        attachments: [{ id: made.cred_ex_id, type: 'credential-offer' }],
        ...handshake,
      });
      await theirs.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', invitation);
      offers.push(made);
    }
    for (const { thread_id, cred_ex_id } of offers) {
      const isOffer = (one: Body): boolean => one.thread_id === thread_id && one.state === 'offer-received';
      const got = await theirs.event('issue_credential_v2_0', isOffer, 'the offer');
      const { cred_ex_record } = await theirs.get(`/issue-credential-2.0/records/${got.cred_ex_id}`);
      assert.equal(cred_ex_record.by_format.cred_offer.anoncreds.cred_def_id, credDefId);
      assert.deepEqual(cred_ex_record.cred_offer.credential_preview.attributes, [{ name: 'name', value: 'Eva' }]);
      // ACA-Py has no registry for did:algo, so there is no request; its controller says so, and without a connection ACA-Py sends that to nobody
      if (!got.connection_id) continue;
      await theirs.post(`/issue-credential-2.0/records/${got.cred_ex_id}/problem-report`, { description: 'unknown ledger' });
      const notified = await issuer.event(
        'issue_credential_v2_0',
        (one) => one.cred_ex_id === cred_ex_id && one.state === 'abandoned',
        'the no',
      );
      assert.match(notified.error_msg, /unknown ledger/);
    }
  });
});
