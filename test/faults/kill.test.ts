import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import algosdk from 'algosdk';
import { type Controller, pause } from '../../examples/demo/controller.ts';
import { runFlow, type Table } from '../../examples/demo/flow.ts';
import { type Network, ROLES, startNetwork } from '../../harness/network.ts';
import { openStores } from '../../harness/stores.ts';
import { isFull, STORES } from '../support/extent.ts';
import { TEST_MS } from '../support/waiting.ts';

const TABLE: Table = {
  columns: ['full_name', 'graduation_year'],
  rows: [{ full_name: 'Amara Okafor', graduation_year: '2021' }],
};

/** How long after the beginning of a step the process dies: different for every step, so that the run is hit before, in and after its commits. */
const delay = (step: string, index: number): number => (step.includes('definition') ? 1200 : (index * 53 + 7) % 170);

type Victim = 'ledger' | (typeof ROLES)[number];
const VICTIMS: readonly Victim[] = ['ledger', ...ROLES];

interface Faults {
  /** The processes that are killed, one after the other. */
  readonly victims: readonly Victim[];
  /** Of every so many steps one is hit. */
  readonly every: number;
  readonly store: string;
}

/** Runs the demo's flow while processes are killed in its steps and started again. */
async function runWithKills(
  { victims, every, store }: Faults,
  check: (network: Network, kills: readonly Victim[]) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-kill-'));
  const stores = await openStores(store, folder);
  let network: Network | undefined;
  try {
    network = await startNetwork(folder, stores.of);
    const { ledger, agents } = network;
    let steps = 0;
    const kills: Victim[] = [];
    let killing: Promise<void> | undefined;
    const kill = async (after: number): Promise<void> => {
      const victim = victims[kills.length % victims.length]!;
      const target = victim === 'ledger' ? ledger! : agents[victim];
      await pause(after);
      await target.kill();
      await target.start();
      kills.push(victim);
    };
    const outcome = await runFlow(network.controllers, TABLE, {
      async begin(step) {
        await killing;
        const index = steps++;
        if (index % every === 0) killing = kill(delay(step, index));
      },
      end() {},
      row() {},
    });
    await killing;
    assert.equal(outcome.verified, 1);
    await check(network, kills);
  } catch (error) {
    const logs = victims.map((victim) => `${victim}:\n${readFileSync(join(folder, `${victim}.log`), 'utf8').slice(-3000)}`);
    throw new Error(`${(error as Error).message}\n${logs.join('\n')}`, { cause: error });
  } finally {
    await network?.stop();
    await stores.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One change, one event: no two event ids tell of the same state of the same record. */
function assertOneEventPerChange(controller: Controller): void {
  const seen = new Map<string, string>();
  for (const { topic, id, payload } of controller.received) {
    const record = payload.cred_ex_id ?? payload.pres_ex_id ?? payload.connection_id ?? payload.oob_id;
    if (record === undefined || payload.state === undefined) continue;
    const change = `${controller.name} ${topic} ${record} ${payload.state}`;
    assert.equal(seen.get(change) ?? id, id, `two events tell of ${change}`);
    seen.set(change, id);
  }
}

async function assertNothingTwice(network: Network): Promise<void> {
  const { issuer, holder, verifier } = network.controllers;
  assert.equal((await holder.get('/credentials')).results.length, 1, 'credentials in the wallet');
  assert.equal((await issuer.get('/issue-credential-2.0/records')).results.length, 1, 'exchanges of the issuer');
  assert.equal((await verifier.get('/present-proof-2.0/records')).results.length, 1, 'exchanges of the verifier');
  assert.equal((await holder.get('/connections')).results.length, 2, 'connections of the holder');
  for (const role of ROLES) assertOneEventPerChange(network.controllers[role]);
  // the DID's three boxes, the schema, the credential definition
  const { hostname, port } = new URL(network.algod);
  const algod = new algosdk.Algodv2('a'.repeat(64), `http://${hostname}`, port);
  const { boxes } = await algod.getApplicationBoxes(1001).do();
  assert.equal(boxes.length, 5, 'boxes of the registry');
}

for (const store of STORES) {
  test(`on ${store}, kill -9 of one process after the other, one in every step: the flow finishes and nothing is there twice`, {
    timeout: TEST_MS,
  }, async () => {
    await runWithKills({ victims: VICTIMS, every: 1, store }, async (network, kills) => {
      assert.deepEqual(new Set(kills), new Set(VICTIMS), `${kills.length} kills`);
      await assertNothingTwice(network);
    });
  });

  for (const victim of isFull ? VICTIMS : []) {
    test(`on ${store}, kill -9 of the ${victim} in every step: the same`, { timeout: TEST_MS }, async () => {
      await runWithKills({ victims: [victim], every: 1, store }, async (network, kills) => {
        assert.ok(kills.length >= 8, `only ${kills.length} kills`);
        await assertNothingTwice(network);
      });
    });
  }
}
