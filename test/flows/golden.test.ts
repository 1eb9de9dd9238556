import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { createWorld } from '../support/agents.ts';
import { differences, shapesOf } from '../support/golden.ts';

const GOLDEN = new URL('../vectors/acapy-golden/connections.json', import.meta.url);
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
  const { shapes } = JSON.parse(readFileSync(GOLDEN, 'utf8'));
  assert.deepEqual(differences(shapes, await shapesOf(inviter, invitee)), KNOWN);
});
