import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';

/** Credentials that can be revoked, from the registry to the verdict, between agents: in both versions of the protocols and both formats. */

const world = createWorld();
let faber: TestAgent;
let bob: TestAgent;
let acme: TestAgent;
let toBob: string;
let fromAcme: string;
let ids: { did: string; schemaId: string; credDefId: string };
/** By name: the exchange of the issuer, and the credential of the wallet. */
const issued: Record<string, { exchange: string; credential: string; body: Body }> = {};

const REVOCABLE = { support_revocation: true, revocation_registry_size: 16 };

before(async () => {
  const devnet = await world.devnet({ clock: 'wall' });
  const keep = '--preserve-exchange-records';
  faber = await world.start('faber', { devnet, sponsor: true, flags: [keep, '--auto-respond-credential-request'] });
  bob = await world.start('bob', {
    devnet,
    flags: [keep, '--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'],
  });
  acme = await world.start('acme', { devnet, flags: [keep, '--auto-verify-presentation'] });
  const anchored = await anchor(faber, ['name', 'age']);
  const credential_definition = { issuerId: anchored.did, schemaId: anchored.schemaId, tag: 'revocable' };
  const { credential_definition_id } = await until(
    async () => {
      // registries follow by themselves: issues wait for them
      const body = { credential_definition, options: REVOCABLE, wait_for_revocation_setup: false };
      const { credential_definition_state: state } = await faber.post('/anoncreds/credential-definition', body);
      return state.state === 'finished' && state;
    },
    'the credential definition',
    300_000,
  );
  ids = { ...anchored, credDefId: credential_definition_id };
  toBob = (await connect(faber, bob)).inviter;
  fromAcme = (await connect(acme, bob)).inviter;
});
after(() => world.close());

const ended = (thread: string) => (one: Body) => one.thread_id === thread && ['done', 'credential_acked', 'abandoned'].includes(one.state);
const attributes = (name: string): Body => ({
  attributes: [
    { name: 'name', value: name },
    { name: 'age', value: '25' },
  ],
});

/** Issues a credential whose name is its own. */
async function issue(name: string, format: 'anoncreds' | 'indy' | 'v1'): Promise<void> {
  if (format === 'v1') {
    const offer = { connection_id: toBob, cred_def_id: ids.credDefId, credential_preview: attributes(name), auto_issue: true };
    const { credential_exchange_id: exchange } = await faber.post('/issue-credential/send-offer', offer);
    const sent = (one: Body) => one.credential_exchange_id === exchange && one.state === 'offer_sent';
    const { thread_id } = await faber.event('issue_credential', sent, 'the offer', 60_000);
    const end = await bob.event('issue_credential', ended(thread_id), name, 60_000);
    assert.equal(end.state, 'credential_acked', end.error_msg);
    const record = await bob.get(`/issue-credential/records/${end.credential_exchange_id}`);
    issued[name] = { exchange, credential: record.credential_id, body: record };
    return;
  }
  const offer = { connection_id: toBob, filter: { [format]: { cred_def_id: ids.credDefId } }, credential_preview: attributes(name) };
  const { cred_ex_id: exchange } = await faber.post('/issue-credential-2.0/send', offer);
  const sent = (one: Body) => one.cred_ex_id === exchange && one.state === 'offer-sent';
  const { thread_id } = await faber.event('issue_credential_v2_0', sent, 'the offer', 60_000);
  const end = await bob.event('issue_credential_v2_0', ended(thread_id), name, 60_000);
  assert.equal(end.state, 'done', end.error_msg);
  const body = (await bob.get(`/issue-credential-2.0/records/${end.cred_ex_id}`))[format];
  issued[name] = { exchange, credential: body.cred_id_stored, body };
}

/** Whether the holder proves a name, by what it chooses itself; the times that it shows and the messages of the verdict. */
async function proven(
  name: string,
  format: 'anoncreds' | 'indy' | 'v1',
  interval: object | undefined,
): Promise<{ verified: string; times: number[]; messages: string[] }> {
  const restrictions = [{ cred_def_id: ids.credDefId, 'attr::name::value': name }];
  const request = {
    name: 'proof',
    version: '1.0',
    requested_attributes: { n: { name: 'name', restrictions } },
    requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ cred_def_id: ids.credDefId }] } },
    ...(interval && { non_revoked: interval }),
  };
  const [path, topic, body, id] =
    format === 'v1'
      ? ['/present-proof', 'present_proof', { proof_request: request }, 'presentation_exchange_id']
      : ['/present-proof-2.0', 'present_proof_v2_0', { presentation_request: { [format]: request } }, 'pres_ex_id'];
  const asked = await acme.post(`${path}/send-request`, { connection_id: fromAcme, ...(body as object) });
  const over = (one: Body) => one[id as string] === asked[id as string] && ['done', 'verified', 'abandoned'].includes(one.state);
  await acme.event(topic as string, over, `the verdict on ${name}`, 60_000);
  const record = await acme.get(`${path}/records/${asked[id as string]}`);
  assert.notEqual(record.state, 'abandoned', record.error_msg);
  const presentation = format === 'v1' ? record.presentation : record.by_format.pres[format];
  return {
    verified: record.verified,
    times: presentation.identifiers.map((one: Body) => one.timestamp ?? 0),
    messages: record.verified_msgs,
  };
}

const FORMATS = ['anoncreds', 'indy', 'v1'] as const;
/** In a minute: the clocks of ledger and agents are the machine's. */
const soon = (): number => Math.floor(Date.now() / 1000) + 60;

test('credentials of each format have an index of the active registry, which no other has', async () => {
  for (const format of FORMATS) for (const name of [`${format}-good`, `${format}-bad`]) await issue(name, format);
  const places: string[] = [];
  for (const { credential, body } of Object.values(issued)) {
    const { rev_reg_id, cred_rev_id } = await bob.get(`/credential/${credential}`);
    assert.match(rev_reg_id, /\/REV_REG_DEF\//);
    assert.match(cred_rev_id, /^[1-9][0-9]*$/);
    assert.deepEqual([body.rev_reg_id ?? body.revoc_reg_id, body.cred_rev_id ?? body.revocation_id], [rev_reg_id, cred_rev_id]);
    places.push(`${rev_reg_id} ${cred_rev_id}`);
  }
  assert.equal(new Set(places).size, places.length);
});

test('an unrevoked credential is proven in every format, with an interval and without', async () => {
  for (const format of FORMATS) {
    for (const interval of [undefined, { from: soon(), to: soon() }, { to: soon() }]) {
      const { verified, times, messages } = await proven(`${format}-good`, format, interval);
      assert.equal(verified, 'true', `${format} ${JSON.stringify(interval)}: ${messages}`);
      assert.equal(
        times.every((time) => (interval ? time > 0 : time === 0)),
        true,
        `${format} ${JSON.stringify(interval)}`,
      );
    }
  }
});

test('a revoked credential is false from the time when the ledger has it, and the holder finds it in its wallet', async () => {
  const before = await proven('anoncreds-bad', 'anoncreds', { to: soon() });
  for (const format of FORMATS) {
    const place = await bob.get(`/credential/${issued[`${format}-bad`]!.credential}`);
    const { rev_reg_id, cred_rev_id } = place;
    await faber.post('/anoncreds/revocation/revoke', { rev_reg_id, cred_rev_id, publish: format === 'v1' });
  }
  for (const format of FORMATS) {
    for (const [end, revoked] of [
      ['good', false],
      ['bad', true],
    ] as const) {
      const { credential } = issued[`${format}-${end}`]!;
      assert.deepEqual(await bob.get(`/credential/revoked/${credential}`), { revoked });
      assert.deepEqual(await bob.get(`/credential/revoked/${credential}?to=${before.times[0]}`), { revoked: false });
      const now = await proven(`${format}-${end}`, format, { from: soon(), to: soon() });
      assert.equal(now.verified, String(!revoked), `${format}-${end}: ${now.messages}`);
      assert.equal(now.messages.includes('proof-invalid'), revoked);
      assert.equal((await proven(`${format}-${end}`, format, undefined)).verified, 'true');
      // before it was revoked
      assert.equal((await proven(`${format}-${end}`, format, { to: before.times[0] })).verified, 'true');
    }
  }
});
