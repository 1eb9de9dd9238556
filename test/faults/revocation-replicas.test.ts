import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { pause } from '../../examples/demo/controller.ts';
import { statusLog } from '../../harness/status-log.ts';
import type { Body } from '../support/agents.ts';
import { byFull } from '../support/extent.ts';
import { assertNothingLost, eventsOf, issueMany, type Scene, startScene } from '../support/flows.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Credentials that can be revoked, issued by three agents on one database, of which some are killed: an index is given out once, and each of them can be revoked. */

interface Case {
  readonly title: string;
  readonly flows: number;
  /** Entries of a registry; one less is issued. */
  readonly size: number;
  readonly kills: number;
  /** How many are revoked by one call; all by default. */
  readonly revoked?: number;
}

const SHORT: readonly Case[] = [{ title: '[P1] [P4] registries of four entries', flows: 14, size: 4, kills: 1 }];
const LONG: readonly Case[] = [
  { title: '[P1] 600 credentials, registries of 100 entries', flows: 600, size: 100, kills: 1 },
  { title: '[P4] 60 credentials, registries of four entries', flows: 60, size: 4, kills: 0 },
  { title: '1,000 credentials, one registry, one agent killed twice', flows: 1000, size: 1024, kills: 2, revoked: 100 },
];
const AT_ONCE = 8;

/** The credentials of the holder: where each stands. */
async function places({ holder }: Scene): Promise<{ registry: string; index: number }[]> {
  const { results } = await holder.get('/credentials?limit=10000');
  return (results as Body[]).map(({ rev_reg_id, cred_rev_id }) => ({ registry: rev_reg_id, index: Number(cred_rev_id) }));
}

/** Issues, and kills one of the agents so many times meanwhile; the others take its work until it is back. */
async function issueWithKills(scene: Scene, { flows, kills }: Case): Promise<void> {
  const victim = scene.replicas.agents[1]!;
  const at = Array.from({ length: kills }, (_none, i) => Math.max(2, Math.floor((flows * (i + 1)) / (kills + 1))));
  let killing = Promise.resolve();
  await issueMany(scene, flows, AT_ONCE, (done) => {
    if (!at.includes(done)) return;
    killing = killing.then(async () => {
      await victim.kill();
      await victim.start();
    });
  });
  await killing;
}

const SKEW = pathToFileURL(join(import.meta.dirname, '../support/skew.mjs')).href;
const HOURS = [1, -1];

test('agents whose clocks are an hour ahead and an hour behind: credentials are good and revoked by the times of ledger and database', async () => {
  const env = (i: number): Record<string, string> => ({
    NODE_OPTIONS: `--import ${SKEW}`,
    FLEXID_SKEW_MS: String(HOURS[i]! * 3_600_000),
  });
  const scene = await startScene({ revocable: 8, count: HOURS.length, env });
  try {
    const { issuer, holder, credDefId, connection } = scene;
    await issueMany(scene, 2, 1);
    const [revoked, good] = (await holder.get('/credentials')).results as [Body, Body];
    await issuer.post('/anoncreds/revocation/revoke', { rev_reg_id: revoked.rev_reg_id, cred_rev_id: revoked.cred_rev_id, publish: true });
    const { time } = await statusLog(scene.ledger, revoked.rev_reg_id);
    await pause(Math.max(0, time * 1000 - Date.now()));
    /** What each agent as a verifier says, with each as the prover. */
    const verdict = async (cred_id: string): Promise<string> => {
      const now = Math.floor(Date.now() / 1000);
      const { thread_id } = await issuer.post('/present-proof-2.0/send-request', {
        connection_id: connection,
        auto_verify: true,
        presentation_request: {
          anoncreds: {
            name: 'proof',
            version: '1.0',
            requested_attributes: { number: { name: 'number', restrictions: [{ cred_def_id: credDefId }] } },
            requested_predicates: {},
            non_revoked: { from: now, to: now },
          },
        },
      });
      const of = (state: string) => (one: Body) => one.thread_id === thread_id && one.state === state;
      const { pres_ex_id } = await holder.event('present_proof_v2_0', of('request-received'), 'the request');
      await holder.post(`/present-proof-2.0/records/${pres_ex_id}/send-presentation`, {
        anoncreds: {
          requested_attributes: { number: { cred_id, revealed: true } },
          requested_predicates: {},
          self_attested_attributes: {},
        },
      });
      return (await issuer.event('present_proof_v2_0', of('done'), 'the verdict')).verified;
    };
    // lanes go to either agent by turns
    for (let i = 0; i < 3; i++)
      assert.deepEqual([await verdict(good.referent), await verdict(revoked.referent)], ['true', 'false'], `round ${i}`);
    const { result } = await issuer.get(
      `/revocation/credential-record?rev_reg_id=${encodeURIComponent(revoked.rev_reg_id)}&cred_rev_id=${revoked.cred_rev_id}`,
    );
    assert.equal(result.state, 'revoked');
    assert.ok(Math.abs(Date.parse(result.updated_at) - Date.now()) < 300_000, result.updated_at);
  } finally {
    await scene.close();
  }
});

for (const one of byFull(SHORT, LONG))
  test(`${one.title}: no index twice, none lost, and each is revoked`, { timeout: 2 * TEST_MS }, async () => {
    const { flows, size, revoked = flows } = one;
    const scene = await startScene({ revocable: size });
    try {
      await issueWithKills(scene, one);
      await assertNothingLost(scene, flows);
      const given = await places(scene);
      assert.equal(new Set(given.map(({ registry, index }) => `${registry} ${index}`)).size, flows, 'no index is given out twice');
      assert.ok(given.every(({ index }) => index >= 1 && index < size));
      const byRegistry = Map.groupBy(given, ({ registry }) => registry);
      // one registry after the other: whoever wanted the last index as it was gone has found the same next one
      assert.equal(byRegistry.size, Math.ceil(flows / (size - 1)));
      const full = (await eventsOf(scene.issuer)).filter(
        ({ topic, payload }) => topic === 'revocation_registry' && payload.state === 'full',
      );
      assert.equal(new Set(full.map(({ payload }) => payload.record_id)).size, full.length, 'a registry becomes full once');
      assert.equal(full.length, Math.floor(flows / (size - 1)));

      const entries = new Map<string, number>();
      for (const registry of byRegistry.keys()) entries.set(registry, (await statusLog(scene.ledger, registry)).entries);
      const chosen = given.slice(0, revoked);
      for (const { registry, index } of chosen)
        await scene.issuer.post('/anoncreds/revocation/revoke', { rev_reg_id: registry, cred_rev_id: String(index) });
      const { rrid2crid } = await scene.issuer.post('/anoncreds/revocation/publish-revocations', {});
      assert.equal(Object.values(rrid2crid as Record<string, number[]>).flat().length, revoked);
      for (const [registry, places] of Map.groupBy(chosen, (place) => place.registry)) {
        const log = await statusLog(scene.ledger, registry);
        assert.equal(log.entries, entries.get(registry)! + 1, 'one call is one record of each log');
        assert.deepEqual(
          log.revoked,
          places.map(({ index }) => index).sort((a, b) => a - b),
        );
      }
    } finally {
      await scene.close();
    }
  });
