import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { newWords, recoveryKeys, signedBy } from '../../src/backup/recovery.ts';
import { startPostgres } from '../postgres.ts';
import { startAgency, startEdge, type TestAgency, type TestEdge } from '../support/agency.ts';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';

/** Backups of edges at their agency, by messages of wallet-backup 1.0. */

const world = createWorld();
after(() => world.close());

const PART_BYTES = 98_304;

/** A wallet that has connected with the agency, and has no cloud agent. */
async function startGuest(name: string, agency: TestAgency): Promise<TestAgent & { readonly peer: string }> {
  const agent = await world.start(name, {
    noInbound: true,
    flags: ['--auto-accept-invites', '--mediator-invitation', agency.invitation, '--egress-allow', '127.0.0.2/32'],
  });
  const { connection_id } = await until(
    async () => (await agent.get('/mediation/requests?state=granted')).results[0],
    `the mediation of ${name}`,
  );
  return { ...agent, peer: connection_id };
}

/** A backup as an edge hands it over. */
function backupOf(controller: string, generation: number, bytes: Buffer) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const parts = Math.ceil(bytes.length / PART_BYTES);
  const about = { controller, generation, sha256, bytes: bytes.length, parts };
  const part = (n: number): Body => ({
    ...about,
    part: n,
    data: bytes.subarray((n - 1) * PART_BYTES, n * PART_BYTES).toString('base64'),
  });
  return { ...about, part, all: Array.from({ length: parts }, (_, n) => part(n + 1)) };
}

type Keys = ReturnType<typeof recoveryKeys>;
const keysOf = (): Keys => recoveryKeys(newWords());

const say = (agent: TestAgent, peer: string, verb: string, body: object): Promise<Body> =>
  agent.post(`/wallet-backups/${peer}/${verb}`, body);
/** The proof that the words are here, good on this connection. */
async function signed(agent: TestAgent, peer: string, keys: Keys): Promise<{ controller: string; signature: string }> {
  const { did } = keys.controller;
  const { statement } = await say(agent, peer, 'statement', { controller: did });
  return { controller: did, signature: signedBy(keys, statement) };
}
async function fine(asked: Promise<Body>): Promise<Body> {
  const { state, answer, error_msg } = await asked;
  assert.equal(state, 'answered', error_msg);
  return answer;
}
async function refused(asked: Promise<Body>, why: RegExp): Promise<void> {
  const { state, error_msg } = await asked;
  assert.deepEqual([state, why.test(error_msg)], ['refused', true], error_msg);
}

for (const [store, flagsOf] of [
  ['SQLite', async () => []],
  [
    'PostgreSQL',
    async () => {
      const server = await startPostgres();
      world.defer(() => server.stop());
      return ['--store', server.url, '--wallet-key', 'of these tests'];
    },
  ],
] as const) {
  describe(`an agency on ${store}`, () => {
    let agency: TestAgency;
    let edge: TestEdge;
    const own = (verb: string, body: object) => say(edge, edge.device.connection_id, verb, body);
    async function put(backup: ReturnType<typeof backupOf>): Promise<void> {
      for (const part of backup.all) assert.equal((await fine(own('put', part))).complete, part.part === backup.parts);
    }
    const generationsOf = async (controller: string): Promise<number[]> =>
      (await fine(own('list', { controller }))).backups.map(({ generation }: Body) => generation);

    test('[S2-41] an edge adds a backup by messages, and a guest with the words gets it', async () => {
      const flags = [...(await flagsOf()), '--agency-backup-bytes', '1000000', '--agency-backup-generations', '2'];
      agency = await startAgency(world, `agency-${store}`, { flags });
      edge = await startEdge(world, `edge-${store}`, agency);
      const keys = keysOf();
      const { did } = keys.controller;
      const backup = backupOf(did, 1, randomBytes(PART_BYTES * 2 + 5));
      await refused(own('put', backup.part(1)), /^unauthorized/);
      assert.deepEqual((await fine(own('open', await signed(edge, edge.device.connection_id, keys)))).quota, {
        bytes: 1_000_000,
        generations: 2,
      });
      await put(backup);
      assert.deepEqual(await generationsOf(did), [1]);

      const guest = await startGuest(`guest-${store}`, agency);
      const proof = await signed(guest, guest.peer, keys);
      const { backups } = await fine(say(guest, guest.peer, 'list', proof));
      assert.deepEqual(
        backups.map(({ stored: _at, ...one }: Body) => one),
        [{ generation: 1, sha256: backup.sha256, bytes: backup.bytes, parts: 3 }],
      );
      const data: string[] = [];
      for (const { part } of backup.all)
        data.push((await fine(say(guest, guest.peer, 'get', { ...proof, sha256: backup.sha256, part }))).data);
      assert.deepEqual(
        data,
        backup.all.map((one) => one.data),
      );
    });
  });
}
