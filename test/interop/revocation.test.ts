import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import { blockTime, type Devnet } from '../support/ledger.ts';
import { acapyVersions, bringAcapy, bringAcapyPlugin } from './acapy.ts';
import { bringCredo, bringCredoPlugin, credoVersion } from './credo.ts';
import {
  connectWallets,
  controlled,
  ISSUING,
  issueTo,
  startAcapyWallet,
  startCredoWallet,
  startOurWallet,
  type Wallet,
} from './wallets.ts';

/** Credentials of ours that can be revoked: each holder with each verifier, good and revoked, by each form of interval. */

const reason = await bringAcapy();
if (reason) process.stdout.write(`ACA-Py is skipped: ${reason}\n`);

const KINDS = ['ours', 'acapy', 'credo'] as const;
type Kind = (typeof KINDS)[number];
/** The interval of a request; RFC 0441 recommends the second form. No agent of the three refuses one of these. */
const INTERVALS: Record<string, (now: number) => Body> = {
  'no interval': () => undefined,
  'from = to': (now) => ({ from: now, to: now }),
  'to only': (now) => ({ to: now }),
};

const seconds = (): number => Math.floor(Date.now() / 1000);

describe('a credential of ours that can be revoked', { skip: reason }, () => {
  const world = createWorld();
  const holders = {} as Record<Kind, Wallet>;
  const verifiers = {} as Record<Kind, Wallet>;
  /** The issuer's, by holder. */
  const connections = {} as Record<Kind, string>;
  let acapy: Awaited<ReturnType<typeof startAcapyWallet>>;
  let credo: Awaited<ReturnType<typeof startCredoWallet>>;
  let devnet: Devnet;
  let issuer: TestAgent;
  let credDefId: string;

  before(async () => {
    const [versions, plugin] = await Promise.all([acapyVersions(), bringCredoPlugin(), bringCredo(), bringAcapyPlugin()]);
    process.stdout.write(`peers: ${Object.entries(versions).flat().join(' ')} @credo-ts/didcomm ${credoVersion()}\n`);
    devnet = await world.devnet({ clock: 'wall' });
    issuer = await world.start('issuer', { devnet, sponsor: true, flags: ISSUING });
    verifiers.ours = controlled('issuer', issuer);
    holders.ours = await startOurWallet(world, 'holder', devnet);
    [acapy, verifiers.acapy, credo, verifiers.credo] = await Promise.all([
      startAcapyWallet(world, 'acapy-holder', devnet),
      startAcapyWallet(world, 'acapy-verifier', devnet),
      startCredoWallet(world, 'credo-holder', devnet, plugin),
      startCredoWallet(world, 'credo-verifier', devnet, plugin),
    ]);
    Object.assign(holders, { acapy, credo });
    credDefId = await define();
    const revoked: string[] = [];
    for (const kind of KINDS) {
      const connection = await connectWallets(verifiers.ours, holders[kind]);
      connections[kind] = connection;
      for (const name of ['good', 'revoked', 'also good']) {
        const { cred_ex_record } = await issueTo(issuer, connection, credDefId, { name, age: '42' });
        if (name === 'revoked') revoked.push(cred_ex_record.cred_ex_id);
      }
    }
    for (const cred_ex_id of revoked) await issuer.post('/anoncreds/revocation/revoke', { cred_ex_id, publish: true });
    // the ledger's clock runs ahead where blocks came within a second
    const last = await blockTime(devnet);
    await until(() => seconds() > last, 'the time of the last block to be over');
  });
  after(() => world.close());

  /** A definition with a registry, on the ledger. */
  async function define(): Promise<string> {
    const { result } = await issuer.post('/wallet/did/create', { method: 'algo' });
    const issuerId = result.did as string;
    await issuer.post(`/wallet/did/public?did=${encodeURIComponent(issuerId)}`);
    const schema = { issuerId, name: 'degree', version: '1.0', attrNames: ['name', 'age'] };
    const { schema_state } = await issuer.post('/anoncreds/schema', { schema });
    const { credential_definition_state: state } = await issuer.post('/anoncreds/credential-definition', {
      credential_definition: { issuerId, schemaId: schema_state.schema_id, tag: 'revocable' },
      options: { support_revocation: true, revocation_registry_size: 100 },
    });
    assert.equal(state.state, 'finished');
    return state.credential_definition_id;
  }

  for (const holderKind of KINDS)
    for (const verifierKind of KINDS)
      test(`holder ${holderKind}, verifier ${verifierKind}`, async () => {
        const [holder, verifier] = [holders[holderKind], verifiers[verifierKind]];
        const connection = await connectWallets(verifier, holder);
        const verdicts: Record<string, string> = {};
        for (const [form, intervalOf] of Object.entries(INTERVALS))
          for (const name of ['good', 'revoked']) {
            const restrictions = [{ cred_def_id: credDefId }];
            const { thread, verdict } = await verifier.ask(connection, {
              name: 'proof',
              version: '1.0',
              requested_attributes: { name: { name: 'name', restrictions } },
              requested_predicates: { age: { name: 'age', p_type: '>=', p_value: 18, restrictions } },
              non_revoked: intervalOf(seconds()),
            });
            await holder.present(thread, { name });
            verdicts[`${form}, ${name}`] = await verdict();
          }
        assert.deepEqual(verdicts, {
          'no interval, good': 'true',
          'no interval, revoked': 'true',
          'from = to, good': 'true',
          'from = to, revoked': 'false',
          'to only, good': 'true',
          'to only, revoked': 'false',
        });
      });

  /** Revokes a fresh credential of a holder, and notifies it. @returns the issuer's exchange, and the credential's registry and index */
  async function notified(kind: Kind, notify_version: 'v1_0' | 'v2_0'): Promise<{ exchange: Body; place: string }> {
    const { cred_ex_record: exchange } = await issueTo(issuer, connections[kind], credDefId, {
      name: `notified by ${notify_version}`,
      age: '42',
    });
    const { result } = await issuer.get(`/revocation/credential-record?cred_ex_id=${exchange.cred_ex_id}`);
    const said = { cred_ex_id: exchange.cred_ex_id, publish: true, notify: true, notify_version, comment: 'lost' };
    await issuer.post('/anoncreds/revocation/revoke', said);
    return { exchange, place: `${result.rev_reg_id}::${result.cred_rev_id}` };
  }

  test('ACA-Py has notifications of both versions, and its controller has them', async () => {
    const first = await notified('acapy', 'v1_0');
    const one = await acapy.controller.event('revocation-notification', () => true, 'the notification');
    assert.deepEqual(one, { thread_id: `indy::${first.place}`, comment: 'lost' });
    const second = await notified('acapy', 'v2_0');
    const two = await acapy.controller.event('revocation-notification-v2', () => true, 'the notification');
    assert.deepEqual(two, { revocation_format: 'indy-anoncreds', credential_id: second.place, comment: 'lost' });
  });

  test('Credo finds the credential that a notification of version 2.0 is about', async () => {
    const { exchange } = await notified('credo', 'v2_0');
    const got = await credo.credo.event('revocation', () => true, 'the notification');
    assert.deepEqual([got.thread, got.comment], [exchange.thread_id, 'lost']);
  });
});
