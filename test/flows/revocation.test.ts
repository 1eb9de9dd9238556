import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { byExtent, STORES } from '../support/extent.ts';
import { blockTime, type Devnet } from '../support/ledger.ts';
import { type StoreOf, storesOf } from '../support/stores.ts';

/** A credential is revoked when the ledger says so: an issuer, a holder and a verifier on a dev ledger. */

const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';
const SIZE = 8;
const FABER = ['--preserve-exchange-records', '--auto-respond-credential-request', '--auto-verify-presentation'];
const BOB = [
  '--preserve-exchange-records',
  '--auto-respond-credential-offer',
  '--auto-store-credential',
  '--monitor-revocation-notification',
];

for (const kind of byExtent<readonly (typeof STORES)[number][]>(STORES.slice(0, 1), STORES))
  describe(`on ${kind}`, () => {
    const world = createWorld();
    let storeOf: StoreOf;
    let devnet: Devnet;
    let faber: TestAgent;
    let bob: TestAgent;
    let issuing: { inviter: string; invitee: string };
    let proving: { inviter: string; invitee: string };
    let schemaId: string;
    let did: string;
    let credDefId: string;

    before(async () => {
      storeOf = await storesOf(kind, world);
      devnet = await world.devnet({ clock: 'wall' });
      const own = { issuer: storeOf('issuer'), holder: storeOf('holder') };
      faber = await world.start('faber', { devnet, sponsor: true, ...own.issuer, flags: [...FABER, ...own.issuer.flags] });
      bob = await world.start('bob', { devnet, ...own.holder, flags: [...BOB, ...own.holder.flags] });
      const made = await faber.post('/wallet/did/create', { method: 'algo' });
      did = made.result.did;
      await faber.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
      const { schema_state } = await faber.post('/anoncreds/schema', {
        schema: { issuerId: did, name: 'degree', version: '1.0', attrNames: ['number'] },
      });
      schemaId = schema_state.schema_id;
      const defined = await faber.post('/anoncreds/credential-definition', {
        credential_definition: { issuerId: did, schemaId, tag: 'revocable' },
        options: { support_revocation: true, revocation_registry_size: SIZE },
      });
      assert.deepEqual([defined.credential_definition_state.state, defined.registration_metadata], ['finished', {}]);
      credDefId = defined.credential_definition_state.credential_definition_id;
      issuing = await connect(faber, bob);
      proving = await connect(faber, bob);
    });
    after(() => world.close());

    const active = async (): Promise<Body> =>
      (await faber.get(`/anoncreds/revocation/active-registry/${encodeURIComponent(credDefId)}`)).result;
    const standby = (): Promise<string> =>
      until(async () => {
        const { rev_reg_ids } = await faber.get(
          `/anoncreds/revocation/registries?cred_def_id=${encodeURIComponent(credDefId)}&state=finished`,
        );
        const { revoc_reg_id } = await active();
        return (rev_reg_ids as string[]).find((id) => id !== revoc_reg_id);
      }, 'a registry that stands by');

    /** Issues to bob. @returns the exchange of the issuer and the credential of the holder */
    async function issue(
      number: number,
      definition = credDefId,
    ): Promise<{ exchange: string; credential: string; registry: string; index: number }> {
      const sent = await faber.post('/issue-credential-2.0/send', {
        connection_id: issuing.inviter,
        filter: { anoncreds: { cred_def_id: definition } },
        credential_preview: {
          '@type': 'issue-credential/2.0/credential-preview',
          attributes: [{ name: 'number', value: String(number) }],
        },
      });
      const done = (one: Body): boolean => one.thread_id === sent.thread_id && (one.state === 'done' || one.state === 'abandoned');
      const [ours, theirs] = await Promise.all([faber.event(ISSUE, done, 'the end'), bob.event(ISSUE, done, 'the end')]);
      assert.deepEqual([ours.state, theirs.state], ['done', 'done'], `${ours.error_msg} ${theirs.error_msg}`);
      const { anoncreds: detail } = await faber.get(`/issue-credential-2.0/records/${ours.cred_ex_id}`);
      const { anoncreds: kept } = await bob.get(`/issue-credential-2.0/records/${theirs.cred_ex_id}`);
      return { exchange: ours.cred_ex_id, credential: kept.cred_id_stored, registry: detail.rev_reg_id, index: Number(detail.cred_rev_id) };
    }

    /** Whether faber finds a presentation of this credential verified that proves that it is not revoked now. */
    async function isGood(cred_id: string, definition = credDefId): Promise<boolean> {
      const last = await blockTime(devnet);
      const now = await until(() => {
        const time = Math.floor(Date.now() / 1000);
        return time > last && time;
      }, 'the time of the last block to be over');
      const sent = await faber.post('/present-proof-2.0/send-request', {
        connection_id: proving.inviter,
        auto_verify: true,
        presentation_request: {
          anoncreds: {
            name: 'proof',
            version: '1.0',
            requested_attributes: { number: { name: 'number', restrictions: [{ cred_def_id: definition }] } },
            requested_predicates: {},
            non_revoked: { from: now, to: now },
          },
        },
      });
      const asked = await bob.event(PROVE, (one) => one.thread_id === sent.thread_id && one.state === 'request-received', 'the request');
      await bob.post(`/present-proof-2.0/records/${asked.pres_ex_id}/send-presentation`, {
        anoncreds: {
          requested_attributes: { number: { cred_id, revealed: true } },
          requested_predicates: {},
          self_attested_attributes: {},
        },
      });
      const ended = (one: Body): boolean => one.thread_id === sent.thread_id && ['done', 'abandoned'].includes(one.state);
      const end = await faber.event(PROVE, ended, 'the verdict', 60_000);
      return end.verified === 'true';
    }

    test('two registries follow a definition; the first issues, and the other stands by', async () => {
      const registry = await active();
      assert.deepEqual([registry.state, registry.tag, registry.max_cred_num, registry.pending_pub], ['finished', '0', SIZE, []]);
      assert.equal(registry.revoc_reg_def.credDefId, credDefId);
      const id = registry.revoc_reg_id as string;
      assert.notEqual(await standby(), id);
      for (const path of [encodeURIComponent(id), id]) {
        assert.equal((await faber.get(`/anoncreds/revocation/registry/${path}`)).result.record_id, registry.record_id);
        assert.deepEqual(await faber.get(`/revocation/registry/${path}/issued`), { result: 0 });
      }
      const tails = await fetch(registry.tails_public_uri);
      assert.equal((await tails.arrayBuffer()).byteLength, 2 + 128 * (2 * SIZE + 1));
    });

    test('a credential has its index in details and webhooks, and is revoked when the ledger says so', async () => {
      const one = await issue(1);
      const other = await issue(2);
      assert.deepEqual([one.registry, other.registry, one.index !== other.index], [(await active()).revoc_reg_id, one.registry, true]);
      const { result } = await faber.get(`/revocation/credential-record?cred_ex_id=${one.exchange}`);
      assert.deepEqual(
        [result.state, result.rev_reg_id, result.cred_rev_id, result.cred_def_id, result.cred_ex_version],
        ['issued', one.registry, String(one.index), credDefId, '2'],
      );
      await faber.event('issuer_cred_rev', (hook) => hook.cred_ex_id === one.exchange && hook.state === 'issued', 'the record');
      assert.equal(await isGood(one.credential), true);

      assert.deepEqual(
        await faber.post('/anoncreds/revocation/revoke', { cred_ex_id: one.exchange, publish: true, notify: true, comment: 'lost' }),
        {},
      );
      await faber.event('issuer_cred_rev', (hook) => hook.cred_ex_id === one.exchange && hook.state === 'revoked', 'the record');
      await faber.event(ISSUE, (hook) => hook.cred_ex_id === one.exchange && hook.state === 'credential-revoked', 'the exchange');
      const notice = await bob.event('revocation-notification', () => true, 'the notification');
      assert.deepEqual(notice, { thread_id: `indy::${one.registry}::${one.index}`, comment: 'lost' });
      const { revoked } = await bob.get(`/credential/revoked/${one.credential}`);
      assert.equal(revoked, true);
      assert.equal((await bob.get(`/credential/revoked/${other.credential}`)).revoked, false);
      // again: no second effect, and no second notification
      assert.deepEqual(await faber.post('/anoncreds/revocation/revoke', { cred_ex_id: one.exchange, publish: true, notify: true }), {});
      assert.equal(bob.hooks.list.filter(({ topic }) => topic === 'revocation-notification').length, 1);
      const { rev_reg_delta: delta } = await faber.get(`/revocation/registry/${one.registry}/issued/indy_recs`);
      assert.deepEqual(delta.value.revoked, [one.index]);
      assert.equal(await isGood(one.credential), false);
      assert.equal(await isGood(other.credential), true);
    });

    test('pending revocations are listed, cleared and published, by one call for all', async () => {
      const issued = [await issue(3), await issue(4)];
      const [first, second] = issued as [(typeof issued)[0], (typeof issued)[0]];
      const { registry } = first;
      for (const { index } of issued)
        await faber.post('/revocation/revoke', { rev_reg_id: registry, cred_rev_id: String(index), notify: false });
      const indices = issued.map(({ index }) => index).sort((a, b) => a - b);
      assert.deepEqual((await faber.get(`/revocation/registry/${registry}`)).result.pending_pub, indices.map(String));
      assert.deepEqual(await faber.post('/revocation/clear-pending-revocations', { purge: { [registry]: [String(first.index)] } }), {
        rrid2crid: { [registry]: [String(second.index)] },
      });
      const noticed = { notify: true, notify_version: 'v2_0' };
      await faber.post('/revocation/revoke', { rev_reg_id: registry, cred_rev_id: String(first.index), ...noticed });
      assert.deepEqual(await faber.post('/anoncreds/revocation/publish-revocations', {}), { rrid2crid: { [registry]: indices } });
      assert.deepEqual(await faber.post('/revocation/publish-revocations', {}), { rrid2crid: {} });
      assert.deepEqual(await bob.event('revocation-notification-v2', () => true, 'the notification'), {
        revocation_format: 'indy-anoncreds',
        credential_id: `${registry}::${first.index}`,
        comment: null,
      });
      for (const { credential } of issued) assert.equal((await bob.get(`/credential/revoked/${credential}`)).revoked, true);
      const { revocation_list_state } = await faber.post('/anoncreds/revocation-list', { rev_reg_def_id: registry });
      assert.equal(revocation_list_state.revocation_list.revocationList.length, SIZE);
      assert.equal(revocation_list_state.revocation_list.revocationList[first.index], 1);
    });

    test('a credential that cannot be revoked is refused', async () => {
      const { revoc_reg_id: id } = await active();
      for (const [status, body] of [
        [422, {}],
        [422, { cred_ex_id: 'x', rev_reg_id: id, cred_rev_id: '1' }],
        [422, { rev_reg_id: id, cred_rev_id: '0' }],
        [400, { rev_reg_id: id, cred_rev_id: '7' }],
        [400, { rev_reg_id: id, cred_rev_id: '99' }],
        [400, { rev_reg_id: 'no-such', cred_rev_id: '1' }],
        [400, { cred_ex_id: '00000000-0000-4000-8000-000000000000' }],
      ] as const)
        assert.equal((await faber.call('POST', '/anoncreds/revocation/revoke', body)).status, status, JSON.stringify(body));
      for (const [status, path] of [
        [404, '/anoncreds/revocation/registry/no-such'],
        [404, '/anoncreds/revocation/active-registry/no-such'],
        [404, `/revocation/credential-record?rev_reg_id=${encodeURIComponent(id)}&cred_rev_id=7`],
        [422, '/revocation/credential-record'],
        [422, '/anoncreds/revocation/registries?state=new'],
      ] as const)
        assert.equal((await faber.call('GET', path)).status, status, path);
    });

    test('[P4] a full registry is followed by the one that stood by, and no exchange is abandoned', async () => {
      const before = await active();
      const issued = await Promise.all(Array.from({ length: 14 }, (_, i) => issue(100 + i)));
      const places = new Set(issued.map(({ registry, index }) => `${registry} ${index}`));
      assert.equal(places.size, issued.length);
      assert.ok(new Set(issued.map(({ registry }) => registry)).size > 1);
      const { result } = await faber.get(`/revocation/registry/${before.revoc_reg_id}`);
      assert.equal(result.state, 'full');
      assert.equal(
        issued.every(({ index }) => index >= 1 && index < SIZE),
        true,
      );
      await faber.event(
        'revocation_registry',
        (one) => one.revoc_reg_id === before.revoc_reg_id && one.state === 'full',
        'the full registry',
      );
      // credentials of a full registry are revoked all the same
      const old = issued.find(({ registry }) => registry === before.revoc_reg_id);
      if (old) {
        await faber.post('/anoncreds/revocation/revoke', { cred_ex_id: old.exchange, publish: true });
        assert.equal((await bob.get(`/credential/revoked/${old.credential}`)).revoked, true);
      }
      const gone = await active();
      const next = await standby();
      const { rev_reg_ids: out } = await faber.post(`/anoncreds/revocation/active-registry/${credDefId}/rotate`, {});
      assert.ok(out.includes(gone.revoc_reg_id));
      assert.equal((await active()).revoc_reg_id, next);
      assert.equal((await faber.get(`/revocation/registry/${gone.revoc_reg_id}`)).result.state, 'decommissioned');
      await standby();
    });

    test("a registry that its controller leads: ACA-Py's order of calls", async () => {
      const made = await faber.post('/revocation/create-registry', { credential_definition_id: credDefId, max_cred_num: 4 });
      assert.equal(made.result.state, 'generated');
      const id = made.result.revoc_reg_id as string;
      const uri = `${made.result.tails_public_uri}?by=controller`;
      const patched = await faber.call('PATCH', `/revocation/registry/${id}`, { tails_public_uri: uri });
      assert.equal(patched.body.result.tails_public_uri, uri, patched.text);
      assert.equal((await faber.call('PUT', `/revocation/registry/${id}/tails-file`)).status, 200);
      const { sent } = await faber.post(`/revocation/registry/${id}/definition`);
      assert.deepEqual([sent.result.state, sent.result.revoc_reg_id], ['posted', patched.body.result.revoc_reg_id]);
      assert.equal((await faber.call('POST', `/revocation/registry/${id}/definition`, {})).status, 400);
      const { result } = await faber.post(`/revocation/registry/${id}/entry`);
      assert.equal(result.state, 'active');
      const file = await faber.call('GET', `/revocation/registry/${id}/tails-file`);
      assert.deepEqual([file.status, file.headers.get('content-type')], [200, 'application/octet-stream']);
      assert.equal((await faber.call('PUT', `/anoncreds/revocation/registry/${id}/active`)).status, 200);
      assert.equal((await active()).revoc_reg_id, result.revoc_reg_id);
      assert.equal((await faber.call('DELETE', `/revocation/registry/delete-tails-file?rev_reg_id=${encodeURIComponent(id)}`)).status, 400);
      // one that is not on the ledger may go: its file is served no more
      const { result: spare } = await faber.post('/revocation/create-registry', { credential_definition_id: credDefId, max_cred_num: 4 });
      assert.equal((await fetch(spare.tails_public_uri)).status, 200);
      const gone = await faber.call(
        'DELETE',
        `/revocation/registry/delete-tails-file?rev_reg_id=${encodeURIComponent(spare.revoc_reg_id)}`,
      );
      assert.equal(gone.status, 200, gone.text);
      assert.equal((await fetch(spare.tails_public_uri)).status, 404);
      assert.equal(await faber.agent.kernel.db.store.keyOwner(`tails ${spare.tails_hash}`), undefined);
      for (const size of [3, 32_769])
        assert.equal(
          (await faber.call('POST', '/revocation/create-registry', { credential_definition_id: credDefId, max_cred_num: size })).status,
          422,
        );
    });

    test('[P6] [P7] a tag with a space and a slash; all that is pending in registries of two definitions is published by one call', async () => {
      const defined = await faber.post('/credential-definitions', {
        schema_id: schemaId,
        tag: 'a b/c',
        support_revocation: true,
        revocation_registry_size: SIZE,
      });
      const definition = defined.credential_definition_id as string;
      const { result } = await faber.get(`/anoncreds/revocation/active-registry/${encodeURIComponent(definition)}`);
      assert.equal(result.cred_def_id, definition);
      for (const named of [true, false]) {
        const [other, one] = [await issue(200, definition), await issue(201)];
        assert.notEqual(one.registry, other.registry);
        for (const { exchange } of [one, other]) await faber.post('/revocation/revoke', { cred_ex_id: exchange });
        const body = named ? { rrid2crid: { [one.registry]: [], [other.registry]: [] } } : {};
        const { rrid2crid } = await faber.post('/revocation/publish-revocations', body);
        assert.deepEqual(rrid2crid, { [one.registry]: [String(one.index)], [other.registry]: [String(other.index)] });
        for (const { credential } of [one, other]) assert.equal((await bob.get(`/credential/revoked/${credential}`)).revoked, true);
      }

      // both sides lose the tails that they keep as files, and their processes
      const again = async (agent: TestAgent, flags: readonly string[], sponsor: boolean): Promise<TestAgent> => {
        const { name, store, receiver, inbound } = agent;
        await agent.stop();
        rmSync(join(world.folder, 'tails'), { recursive: true, force: true });
        return await world.start(name, { devnet, sponsor, flags, store, receiver, port: Number(new URL(inbound).port) });
      };
      faber = await again(faber, [...FABER, ...storeOf('issuer').flags], true);
      bob = await again(bob, [...BOB, ...storeOf('holder').flags], false);
      const [good, revoked] = [await issue(202, definition), await issue(203, definition)];
      await faber.post('/revocation/revoke', { cred_ex_id: revoked.exchange, publish: true });
      assert.deepEqual([await isGood(good.credential, definition), await isGood(revoked.credential, definition)], [true, false]);
    });
  });
