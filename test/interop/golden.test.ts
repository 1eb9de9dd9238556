import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createWorld } from '../support/agents.ts';
import { shapesOf } from '../support/golden.ts';
import { acapyVersions, bringAcapy, startAcapy } from './acapy.ts';
import { ROOT } from './processes.ts';

/** Whether the golden shapes are still those of a running ACA-Py. With FLEXID_RECORD=1 they are written anew. */

const FILE = join(ROOT, 'test/vectors/acapy-golden/connections.json');
const reason = await bringAcapy();
const world = createWorld();
after(() => world.close());

test('two ACA-Py agents show what the golden file says', { skip: reason }, async () => {
  const [inviter, invitee] = await Promise.all([startAcapy(world, 'inviter'), startAcapy(world, 'invitee')]);
  const shapes = await shapesOf(inviter, invitee);
  if (process.env.FLEXID_RECORD === '1') {
    const version = (await acapyVersions()).acapy_agent;
    const origin = `acapy-agent ${version} from PyPI: two agents on loopback, wallet type askar-anoncreds, no ledger (test/interop/golden.test.ts)`;
    writeFileSync(FILE, `${JSON.stringify({ origin, version, shapes }, undefined, 2)}\n`);
    return;
  }
  assert.deepEqual(shapes, JSON.parse(readFileSync(FILE, 'utf8')).shapes);
});
