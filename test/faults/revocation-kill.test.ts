import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Controller, pause, startWebhooks, type Webhooks } from '../../examples/demo/controller.ts';
import { connect } from '../../examples/demo/flow.ts';
import { answers, freePort, type Program, program } from '../../harness/processes.ts';
import { statusLog } from '../../harness/status-log.ts';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import { byFull, isFull } from '../support/extent.ts';
import { between, type Devnet } from '../support/ledger.ts';
import { TEST_MS } from '../support/waiting.ts';

/** An issuer that dies while it issues and while it revokes: one index for each credential, one record for each revocation, one notification, and none before the record. */

/** FLEXID_ROUNDS is for a machine that has less time, or more. */
const ROUNDS = Number(process.env.FLEXID_ROUNDS ?? byFull(1, 20));
const ISSUE = 'issue_credential_v2_0';
const KEY = 'key-of-the-issuer';

const world = createWorld();
let folder: string;
let devnet: Devnet;
let node: Awaited<ReturnType<typeof between>>;
let issuer: Program;
let webhooks: Webhooks;
let controller: Controller;
let holder: TestAgent;
let connection: string;
let credDefId: string;
/** Runs before a request goes on to the node. */
let watch: (path: string) => Promise<void> = async () => {};

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'flexid-revoke-'));
  devnet = await world.devnet({ clock: 'wall' });
  node = await between(devnet, async (path) => {
    await watch(path);
    return undefined;
  });
  webhooks = await startWebhooks();
  const [admin, inbound] = [await freePort(), await freePort()];
  const adminUrl = `http://127.0.0.1:${admin}`;
  const args = [
    ...['start', '--admin', '127.0.0.1', String(admin), '--admin-api-key', KEY, '--store', `sqlite:${join(folder, 'issuer.db')}`],
    ...['--inbound-transport', 'http', '127.0.0.1', String(inbound), '--endpoint', `http://127.0.0.1:${inbound}`],
    ...['--webhook-url', `http://127.0.0.1:${webhooks.port}/issuer#key`, '--egress-allow', '127.0.0.0/8', '--anoncreds-workers', '1'],
    ...['--preserve-exchange-records', '--auto-accept-requests', '--auto-respond-credential-request', '--notify-revocation'],
    ...['--algod-url', node.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)],
    ...['--algorand-genesis-hash', devnet.genesisHash],
  ];
  const env = { FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic };
  issuer = program('issuer', folder, 'src/main.ts', args, () => answers(`${adminUrl}/status/ready`), env);
  await issuer.start();
  controller = webhooks.controller('issuer', adminUrl, { 'x-api-key': KEY });
  holder = await world.start('holder', {
    devnet,
    flags: [
      ...['--preserve-exchange-records', '--auto-respond-credential-offer', '--auto-store-credential', '--auto-accept-invites'],
      '--monitor-revocation-notification',
    ],
  });
  const { result } = await controller.post('/wallet/did/create', { method: 'algo' });
  const did = result.did as string;
  await controller.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  const { schema_state } = await controller.post('/anoncreds/schema', {
    schema: { issuerId: did, name: 'degree', version: '1.0', attrNames: ['number'] },
  });
  const { credential_definition_state } = await controller.post('/anoncreds/credential-definition', {
    credential_definition: { issuerId: did, schemaId: schema_state.schema_id, tag: 'revocable' },
    options: { support_revocation: true, revocation_registry_size: isFull ? 512 : 32 },
  });
  credDefId = credential_definition_state.credential_definition_id;
  connection = await connect(controller, holder as unknown as Controller);
});
after(async () => {
  await issuer?.stop();
  await webhooks?.close();
  await node?.close();
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Kills the issuer as it asks the node for something, or so many ms later, while `act` is under way, and starts it again. */
async function killed(act: () => Promise<unknown>, kind: RegExp, ms?: number): Promise<void> {
  const dead = new Promise<void>((resolve) => {
    watch = async (path) => {
      if (!kind.test(path)) return;
      watch = async () => {};
      const die = (): Promise<void> => issuer.kill().then(resolve);
      if (ms === undefined) await die();
      else setTimeout(() => void die(), ms);
    };
  });
  const acted = act();
  await dead;
  await issuer.start();
  await acted;
}

interface Issued {
  readonly exchange: string;
  readonly registry: string;
  readonly index: number;
}

async function issue(number: number, during: (sent: Promise<Body>) => Promise<void> = async () => {}): Promise<Issued> {
  const sending = controller.post('/issue-credential-2.0/send', {
    connection_id: connection,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'number', value: String(number) }] },
  });
  await during(sending);
  const { thread_id } = await sending;
  const ended = (one: Body): boolean => one.thread_id === thread_id && (one.state === 'done' || one.state === 'abandoned');
  const [ours, theirs] = await Promise.all([controller.event(ISSUE, ended, 'the end'), holder.event(ISSUE, ended, 'the end')]);
  assert.deepEqual([ours.state, theirs.state], ['done', 'done'], `${ours.error_msg} ${theirs.error_msg}`);
  const { anoncreds } = await controller.get(`/issue-credential-2.0/records/${ours.cred_ex_id}`);
  return { exchange: ours.cred_ex_id, registry: anoncreds.rev_reg_id, index: Number(anoncreds.cred_rev_id) };
}

/** When the issuer dies while it issues: so many ms after its controller had this state. */
const ISSUING: readonly [string, number][] = [
  ['request-received', 0],
  ['request-received', 5],
  ['request-received', 20],
  ['request-received', 50],
  ['credential-issued', 0],
];
/** The last credential's number. */
let issued = 0;
const all: Issued[] = [];

for (const [state, ms] of byFull([ISSUING[1]!], ISSUING))
  test(`[P1] kill -9 ${ms} ms after ${state}: the credential is issued, and at one index`, { timeout: TEST_MS }, async () => {
    for (let round = 0; round < ROUNDS; round++)
      all.push(
        await issue(++issued, async (sent) => {
          const { thread_id } = await sent;
          await controller.event(ISSUE, (one) => one.thread_id === thread_id && one.state === state, state);
          await pause(ms);
          await issuer.kill();
          await issuer.start();
        }),
      );
    const indices = all.map(({ index }) => index).sort((a, b) => a - b);
    assert.deepEqual(
      indices,
      Array.from({ length: issued }, (_none, i) => i + 1),
      'no index twice, and none lost',
    );
    const { results } = await holder.get('/credentials?limit=10000');
    assert.equal(results.length, issued);
  });

/** When it dies while it publishes: as it sends such a request, or so many ms after it. */
const PUBLISHING: readonly [string, RegExp, number?][] = [
  ['while it reads the log', /\/box\?/],
  ['before it sends the group that it has stored', /v2\/transactions$/],
  ['after it has sent the group', /transactions\/pending\//],
  ['when the ledger has confirmed it', /transactions\/pending\//, 4],
  ['as it notifies the holder', /transactions\/pending\//, 15],
];

for (const [when, kind, ms] of byFull([PUBLISHING[1]!, PUBLISHING[3]!], PUBLISHING))
  test(`[P9] kill -9 ${when}: one record of the log, one notification, and not before the record`, { timeout: TEST_MS }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const one = await issue(++issued);
      all.push(one);
      const before = await statusLog(devnet, one.registry);
      assert.equal(before.revoked.includes(one.index), false);
      const thread = `indy::${one.registry}::${one.index}`;
      const notified = holder
        .event('revocation-notification', ({ thread_id }) => thread_id === thread, 'the notification')
        .then(() => statusLog(devnet, one.registry));
      await killed(() => controller.post('/anoncreds/revocation/revoke', { cred_ex_id: one.exchange, publish: true }), kind, ms);
      await until(async () => {
        const { result } = await controller.get(`/revocation/credential-record?cred_ex_id=${one.exchange}`);
        return result.state === 'revoked';
      }, 'the revocation');
      assert.ok((await notified).revoked.includes(one.index), 'the holder knows what the ledger has');
      const after = await statusLog(devnet, one.registry);
      assert.equal(after.entries, before.entries + 1);
    }
    const notices = holder.hooks.list.filter(({ topic }) => topic === 'revocation-notification').map(({ payload }) => payload.thread_id);
    assert.equal(new Set(notices).size, notices.length, 'no notification came twice');
    const revoked = controller.received.filter(({ topic, payload }) => topic === 'issuer_cred_rev' && payload.state === 'revoked');
    assert.equal(new Set(revoked.map(({ payload }) => payload.record_id)).size, revoked.length);
  });
