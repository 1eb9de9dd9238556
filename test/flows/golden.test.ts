import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { anchor, createWorld } from '../support/agents.ts';
import { differences, type Shapes, shapesOf } from '../support/golden.ts';
import { exchangeShapes } from '../support/golden-exchanges.ts';

const golden = (name: string): Shapes =>
  JSON.parse(readFileSync(new URL(`../vectors/acapy-golden/${name}.json`, import.meta.url), 'utf8')).shapes;
/** What docs/deviations.md gives the reasons for; nothing else may differ. */
const KNOWN = [
  'answer accept-invitation: +invitation_key',
  'answer connection of the invitee: +invitation_key',
  'answer create-invitation: +created_at +updated_at',
  'webhook connections invitee active: +invitation_key',
  'webhook connections invitee invitation: +invitation_key',
  'webhook connections invitee request: +invitation_key',
  'webhook connections invitee response: +invitation_key',
  'webhook connections inviter deleted: missing',
  'webhook out_of_band invitee deleted: missing',
  'webhook out_of_band inviter deleted: missing',
  'webhook out_of_band inviter reuse-accepted: additional',
  'webhook ping invitee received: connection_id is string instead of null',
  'webhook ping inviter response_received: connection_id is string instead of null +responded',
  'webhook ping inviter sent: additional',
];

const world = createWorld();
after(() => world.close());

test('answers and webhooks of connections have the keys and types that ACA-Py shows', async () => {
  const flags = ['--monitor-ping'];
  const [inviter, invitee] = await Promise.all([world.start('inviter', { flags }), world.start('invitee', { flags })]);
  assert.deepEqual(differences(golden('connections'), await shapesOf(inviter, invitee)), KNOWN);
});

for (const [name, flags] of [
  ['exchanges', []],
  ['exchanges-debug', ['--debug-webhooks']],
] as const) {
  test(`answers and webhooks of exchanges have the keys and types that ACA-Py shows: ${name}`, async () => {
    const devnet = await world.devnet();
    const [issuer, holder] = await Promise.all([
      world.start(`issuer-${name}`, { devnet, sponsor: true, flags: [...flags, '--preserve-exchange-records'] }),
      world.start(`holder-${name}`, { devnet, flags: [...flags, '--preserve-exchange-records'] }),
    ]);
    const { credDefId } = await anchor(issuer, ['name']);
    const shapes = await exchangeShapes(issuer, holder, {
      issue: 'anoncreds',
      prove: 'anoncreds',
      filter: { anoncreds: { cred_def_id: credDefId } },
      preview: {
        '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
        attributes: [{ name: 'name', value: 'Eva' }],
      },
      presentation: {
        name: 'a proof',
        version: '1.0',
        requested_attributes: { one: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } },
        requested_predicates: {},
      },
      choose: (fitting) => ({
        requested_attributes: { one: { cred_id: fitting[0].cred_info.referent, revealed: true } },
        requested_predicates: {},
        self_attested_attributes: {},
      }),
    });
    assert.deepEqual(differences(golden(name), shapes), []);
  });
}
