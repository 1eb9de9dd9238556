import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertNothingLost, issueMany, type Scene, startScene } from '../support/flows.ts';
import { TEST_MS } from '../support/waiting.ts';

/**
 * Three agents on one database, and what may happen to them. `FLEXID_FLOWS=500 ./flexid test faults/replicas` runs so many flows, with the kill at two fifths of
 * them, and prints the figures.
 */
const FLOWS = Number(process.env.FLEXID_FLOWS ?? 24);
const AT_ONCE = 8;

let scene: Scene;
before(async () => {
  scene = await startScene();
});
after(() => scene?.close());

test('kill -9 of one of three replicas in the midst of flows: each comes to its end, once, and each event is told', {
  timeout: TEST_MS,
}, async () => {
  const { agents } = scene.replicas;
  const victim = agents[1]!;
  const killAt = Math.max(2, Math.floor((FLOWS * 2) / 5));
  let killed: Promise<void> | undefined;
  const begun = Date.now();
  await issueMany(scene, FLOWS, AT_ONCE, (done) => {
    // somewhere within the next flows: in, before or after any of their commits
    if (done === killAt) killed = new Promise((resolve) => setTimeout(resolve, Math.random() * 300)).then(() => victim.kill());
  });
  const seconds = (Date.now() - begun) / 1000;
  assert.ok(killed, 'nothing was killed');
  await killed;
  const figures = await assertNothingLost(scene, FLOWS);
  if (process.env.FLEXID_FLOWS) process.stdout.write(`${JSON.stringify({ flows: FLOWS, killAt, seconds, ...figures })}\n`);
  await victim.start();
});
