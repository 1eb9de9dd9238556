import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { backUp, restore, setUp } from '../../edge/backup.ts';
import { answers, freePort, program } from '../../harness/processes.ts';
import { newWords, recoveryKeys, signedBy } from '../../src/backup/recovery.ts';
import { passedOnName } from '../../src/kernel/key-owners.ts';
import { mediatedName } from '../../src/mediation/names.ts';
import type { StoredRecord } from '../../src/ports/store.ts';
import { startPostgres } from '../postgres.ts';
import { startAgency, startEdge, type TestAgency, type TestEdge } from '../support/agency.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { byExtent, longOne } from '../support/extent.ts';
import { TEST_MS } from '../support/waiting.ts';

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

/** What an agency has of its clients: keys and names. */
async function knownTo({ agent }: TestAgency): Promise<{ keys: StoredRecord[]; names: StoredRecord[] }> {
  const { store } = agent.kernel.db;
  return {
    keys: (await store.find('base', 'keylist', { role: 'server' })).rows,
    names: (await store.find('base', 'agency_route', {})).rows,
  };
}

/** Has an agency forget all of that. */
async function forget(agency: TestAgency): Promise<{ keys: StoredRecord[]; names: StoredRecord[] }> {
  const { keys, names } = await knownTo(agency);
  const lost = [
    ...keys.map(({ value }) => mediatedName('base', String(value.verkey))),
    ...names.map(({ value }) => passedOnName(String(value.name))),
  ];
  const deletes = [...keys, ...names].map(({ category, id, version }) => ({ category, id, expect: version }));
  await agency.agent.kernel.db.store.commit('base', { deletes, removedKeyOwners: lost, invalidate: lost });
  return { keys, names };
}

test('[S2-46] a restored edge is known to its agency again, by its keys and names, and its peers hear of it', async () => {
  const [agency, faber] = await Promise.all([startAgency(world, 'forgetful'), world.start('faber', { flags: ['--monitor-ping'] })]);
  const folder = join(world.folder, 'restored');
  mkdirSync(folder);
  const spec = { store: join(folder, 'wallet.db') };
  const edge = await startEdge(world, 'restored', agency, spec);
  const { inviter, invitee } = await connect(faber, edge);
  await edge.post('/legacy/connections/offers', {});
  const words = await setUp(folder, join(world.folder, 'restored-disk'));
  await edge.stop();
  await backUp(folder);
  rmSync(folder, { recursive: true });
  const { keys, names } = await forget(agency);
  assert.ok(keys.length > 0 && names.length > 0);

  await restore({ folder, from: join(world.folder, 'restored-disk'), words });
  const flags = ['--auto-accept-invites', '--agency-invitation', agency.invitation, '--egress-allow', '127.0.0.0/8'];
  const back = await world.start('restored', { ...spec, noInbound: true, flags });
  await faber.event('ping', (one) => one.state === 'received' && one.connection_id === inviter, 'the ping of the restored edge');
  const verkeys = (rows: StoredRecord[]): string[] => rows.map(({ value }) => String(value.verkey ?? value.name)).sort();
  const count = async (): Promise<number> => Object.values(await knownTo(agency)).flat().length;
  await until(async () => (await count()) >= keys.length + names.length, 'all keys and names');
  const again = await knownTo(agency);
  assert.deepEqual([verkeys(again.keys), verkeys(again.names)], [verkeys(keys), verkeys(names)]);
  await faber.post(`/connections/${inviter}/send-message`, { content: 'welcome back' });
  await back.event(
    'basicmessages',
    ({ connection_id, content }) => connection_id === invitee && content === 'welcome back',
    'mail through the agency',
  );
});

test('a key that its agency refuses holds no other key of a restored edge, and is not asked for again', async () => {
  const [generous, peer] = await Promise.all([startAgency(world, 'generous'), world.start('peer')]);
  const at = Number(new URL(generous.address).port);
  const folder = join(world.folder, 'refused');
  mkdirSync(folder);
  const spec = { store: join(folder, 'wallet.db') };
  const edge = await startEdge(world, 'refused', generous, spec);
  for (let i = 0; i < 2; i++) await connect(peer, edge);
  const words = await setUp(folder, join(world.folder, 'refused-disk'));
  await edge.stop();
  await backUp(folder);
  rmSync(folder, { recursive: true });
  const { keys } = await forget(generous);
  assert.ok(keys.length > 1);
  await generous.stop();
  const agency = await startAgency(world, 'generous', {
    store: generous.store,
    at,
    flags: ['--mediator-max-keys', String(keys.length - 1)],
  });

  await restore({ folder, from: join(world.folder, 'refused-disk'), words });
  const flags = ['--agency-invitation', agency.invitation, '--egress-allow', '127.0.0.0/8'];
  const back = await world.start('refused', { ...spec, noInbound: true, flags });
  const { db } = back.agent.kernel;
  const entries = async (): Promise<StoredRecord[]> => (await db.store.find('base', 'keylist', { role: 'client' })).rows;
  await until(async () => (await db.store.find('base', 'restored', {})).total === 0, 'the registration');
  await until(async () => (await entries()).every(({ value }) => value.confirmed === true || value.refused !== undefined), 'all answers');
  const refusals = (await entries()).filter(({ value }) => value.refused !== undefined);
  assert.deepEqual([refusals.length, (await knownTo(agency)).keys.length], [1, keys.length - 1]);
  await until(async () => (await db.admin.backlog()).open.keylist === 0, 'the end of the registration');
});

const KINDS: readonly (readonly [store: string, flagsOf: () => Promise<string[]>])[] = [
  ['SQLite', async () => []],
  [
    'PostgreSQL',
    async () => {
      const server = await startPostgres();
      world.defer(() => server.stop());
      return ['--store', server.url, '--wallet-key', 'of these tests'];
    },
  ],
];

for (const [store, flagsOf] of KINDS.slice(0, byExtent(1, 2))) {
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

    test('[S2-41] nothing is overwritten, put out of order, or put beyond the bounds', async () => {
      const keys = keysOf();
      const { did } = keys.controller;
      await fine(own('open', await signed(edge, edge.device.connection_id, keys)));
      const first = backupOf(did, 4, randomBytes(PART_BYTES + 1));
      await refused(own('put', first.part(2)), /^out-of-order/);
      await put(first);
      await refused(own('put', backupOf(did, 4, randomBytes(9)).part(1)), /^out-of-order: Backup 4 is here/);
      await refused(own('put', { ...backupOf(did, 5, randomBytes(9)).part(1), bytes: 8 }), /^over-long/);
      await refused(own('put', { ...backupOf(did, 5, randomBytes(9)).part(1), sha256: first.sha256 }), /^damaged/);
      await refused(own('put', { ...backupOf(did, 5, randomBytes(9)).part(1), bytes: 900_000, parts: 10 }), /^over-quota/);
      const long = { ...first.part(1), generation: 5, data: 'A'.repeat(131_076) };
      assert.equal((await edge.call('POST', `/wallet-backups/${edge.device.connection_id}/put`, long)).status, 422);
      // begun, and given up for a newer one
      await fine(own('put', backupOf(did, 5, randomBytes(PART_BYTES + 9)).part(1)));
      for (const generation of [6, 7]) await put(backupOf(did, generation, randomBytes(20)));
      assert.deepEqual(await generationsOf(did), [7, 6], 'the oldest goes');
      const { db } = agency.agent.kernel;
      const kept = async (): Promise<string[]> =>
        (await db.blobs.list('base', {})).map(({ name }) => name).filter((name) => /^backup/.test(name));
      // three parts of the other wallet's, and these two
      await until(async () => (await kept()).length === 5, 'the bytes of what went to go');
      const other = await startEdge(world, `other-edge-${store}`, agency);
      await refused(say(other, other.device.connection_id, 'put', backupOf(did, 9, randomBytes(9)).part(1)), /^unauthorized/);
      assert.deepEqual(await generationsOf(did), [7, 6]);
    });

    test('[D-06] whether somebody has backups is in no answer, and costs no look-up', async () => {
      const [known, unknown] = [keysOf(), keysOf()];
      await fine(own('open', await signed(edge, edge.device.connection_id, known)));
      const backup = backupOf(known.controller.did, 1, randomBytes(9));
      await put(backup);
      const guest = await startGuest(`curious-${store}`, agency);
      const [proof, stolen] = [await signed(guest, guest.peer, unknown), await signed(edge, edge.device.connection_id, known)];
      const { store: rows } = agency.agent.kernel.db;
      const { find } = rows;
      let looks = 0;
      rows.find = (tenant, category, query) => {
        if (category === 'cloud_agent') looks += 1;
        return find.call(rows, tenant, category, query);
      };
      const heard = new Set<string>();
      for (const controller of [known.controller.did, unknown.controller.did])
        for (const signature of [proof.signature, stolen.signature]) {
          if (controller === proof.controller && signature === proof.signature) continue;
          const asked = { controller, signature };
          for (const [verb, body] of [
            ['list', asked],
            ['get', { ...asked, sha256: backup.sha256, part: 1 }],
          ] as const) {
            const { state, error_msg } = await say(guest, guest.peer, verb, body);
            heard.add(`${state} ${error_msg}`);
          }
        }
      assert.deepEqual([heard.size, looks, /^refused unauthorized/.test([...heard][0]!)], [1, 0, true], [...heard].join());
      rows.find = find;
      assert.deepEqual((await fine(say(guest, guest.peer, 'list', proof))).backups, []);
    });

    test('[D-13] no backup, no signature and no words are in a log or a webhook of agency and edge', async () => {
      const keys = keysOf();
      const proof = await signed(edge, edge.device.connection_id, keys);
      await fine(own('open', proof));
      const backup = backupOf(keys.controller.did, 1, randomBytes(99));
      await put(backup);
      await fine(own('get', { ...proof, sha256: backup.sha256, part: 1 }));
      for (const secret of [proof.signature, backup.part(1).data, Buffer.from(keys.controller.seed).toString('base64url')])
        for (const { logged, hooks } of [agency, edge])
          for (const text of [...logged, ...hooks.list.map(({ raw }) => raw)]) assert.ok(!text.includes(secret));
    });
  });
}

test('[D-12] a part that was answered is there after kill -9, and the backup goes on with the next one', {
  timeout: TEST_MS,
  skip: longOne,
}, async () => {
  const [port, admin] = [await freePort(), await freePort()];
  const address = `http://127.0.0.2:${port}`;
  let printed = '';
  const agency = program(
    'killed',
    world.folder,
    'src/main.ts',
    [
      ...[
        'start',
        'agency',
        '--endpoint',
        address,
        '--store',
        `sqlite:${join(world.folder, 'killed.db')}`,
        '--wallet-key',
        'of these tests',
      ],
      ...['http', 'ws'].flatMap((module) => ['--inbound-transport', module, '127.0.0.2', String(port)]),
      ...['--admin', '127.0.0.1', String(admin), '--admin-api-key', 'key', '--no-ledger', '--log-level', 'warn'],
    ],
    (output) => {
      printed = output;
      return /\?oob=\S+\s/.test(output) && answers(`http://127.0.0.1:${admin}/status/ready`);
    },
  );
  world.defer(() => agency.stop());
  await agency.start();
  const invitation = /http\S*\?oob=\S+/.exec(printed)![0];
  const edge = await startEdge(world, 'steady', { invitation });
  const own = (verb: string, body: object) => say(edge, edge.device.connection_id, verb, body);
  const keys = keysOf();
  const proof = await signed(edge, edge.device.connection_id, keys);
  await fine(own('open', proof));
  const backup = backupOf(keys.controller.did, 1, randomBytes(PART_BYTES * 2 + 1));
  for (const part of backup.all) {
    await fine(own('put', part));
    await agency.kill();
    await agency.start();
  }
  const { backups } = await fine(own('list', proof));
  assert.deepEqual(
    backups.map(({ sha256 }: Body) => sha256),
    [backup.sha256],
  );
  for (const { part, data } of backup.all) assert.equal((await fine(own('get', { ...proof, sha256: backup.sha256, part }))).data, data);
});
