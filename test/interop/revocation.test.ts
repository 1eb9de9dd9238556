import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import algosdk from 'algosdk';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';
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

/** The time of the ledger's last block. */
async function blockTime({ url, token }: Devnet): Promise<number> {
  const algod = new algosdk.Algodv2(token, url);
  const { lastRound } = await algod.status().do();
  return Number((await algod.block(lastRound).headerOnly(true).do()).block.header.timestamp);
}

describe('a credential of ours that can be revoked', { skip: reason }, () => {
  const world = createWorld();
  const holders = {} as Record<Kind, Wallet>;
  const verifiers = {} as Record<Kind, Wallet>;
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
    [holders.acapy, verifiers.acapy, holders.credo, verifiers.credo] = await Promise.all([
      startAcapyWallet(world, 'acapy-holder', devnet),
      startAcapyWallet(world, 'acapy-verifier', devnet),
      startCredoWallet(world, 'credo-holder', devnet, plugin),
      startCredoWallet(world, 'credo-verifier', devnet, plugin),
    ]);
    credDefId = await define();
    const revoked: string[] = [];
    for (const kind of KINDS) {
      const connection = await connectWallets(verifiers.ours, holders[kind]);
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
});
