import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { CARRIED, type CarriedRow, type CarriedTenant, type Extent } from './carry.ts';
import type { Database } from './store.ts';
import { A, failsWith, job, nextId, record, type StoreKit } from './store-kit.conformance.ts';

/** All of a tenant, as it is carried. */
export async function dumped(db: Database, id: string, extent: Extent): Promise<{ tenant: CarriedTenant; rows: CarriedRow[] }> {
  const { tenant, rows } = await db.admin.dump(id, extent);
  const all: CarriedRow[] = [];
  for await (const some of rows) all.push(...some);
  // hashes have no order
  return { tenant, rows: all.sort((a, b) => CARRIED.indexOf(a.type) - CARRIED.indexOf(b.type) || (orderOf(a) < orderOf(b) ? -1 : 1)) };
}

const orderOf = (row: CarriedRow): string => String(row.id ?? row.kid ?? row.hash ?? row.job ?? row.name ?? row.n);

const MONTH = 30 * 24 * 3600 * 1000;

/** A wallet with a row of each kind. */
export async function filledTenant(db: Database, id: string): Promise<void> {
  await db.admin.ensureTenant(id, 'to be carried');
  const lane = `command:${id}`;
  await db.store.commit(id, {
    records: Array.from({ length: 600 }, (_, n) =>
      record(
        `${id}-${n}`,
        0,
        { n, text: '…' },
        { state: 'active', role: 'inviter', connection: n % 2 ? 'c' : undefined, tags: { nth: `${n}` } },
      ),
    ),
    keys: ['one', 'two'].map((name) => ({ kid: `${id} ${name}`, type: 'ed25519', secret: Buffer.from(`secret ${name}`), meta: { name } })),
    keyOwners: [{ kid: `${id} one`, tenant: id, kind: 'connection', target: `${id}-1` }],
    dedupKeys: [
      { dedupKey: `${id} ever`, expires: Number.MAX_SAFE_INTEGER },
      { dedupKey: `${id} a month`, expires: Date.now() + MONTH, answer: { text: 'again' } },
    ],
    jobs: [
      job(lane, { kind: 'command', notBefore: Date.now() + MONTH, allocate: { counter: 'index', upTo: 10 } }),
      job(lane, { kind: 'command' }),
    ],
    mail: [1, 2].map((n) => ({ id: nextId(), mailbox: 'box', recipient: 'key', body: `mail ${n}`, expires: Date.now() + MONTH })),
    events: [{ id: nextId(), topic: 'connections', category: 'connection', record: `${id}-1`, value: { payload: {} } }],
  });
  await db.blobs.put(id, 'tails/one', Buffer.alloc(600_000, 'tails'));
  await db.store.commit(id, { records: [record(`${id}-1`, 1, { n: 'changed' }, { state: 'done', tags: { nth: 'changed' } })] });
}

/** How tenants leave a database and enter one. */
export function carryTests({ db, opened }: StoreKit): void {
  const carry = async ({ tenant, rows }: { tenant: CarriedTenant; rows: readonly CarriedRow[] }) => {
    const adoption = await db.admin.adopt();
    await adoption.tenant(tenant);
    await adoption.add(tenant.id, rows);
    return adoption;
  };
  const remove = async (id: string) => {
    await db.admin.eraseTenant(id);
    while ((await db.admin.sweepTenant(id)) > 0);
  };

  describe('a tenant is carried', () => {
    it('with every row of each kind, and is the same afterwards', async () => {
      const id = randomUUID();
      await filledTenant(db, id);
      const before = await dumped(db, id, 'move');
      assert.deepEqual(new Set(before.rows.map(({ type }) => type)), new Set(CARRIED.filter((type) => type !== 'dead')));
      assert.deepEqual(
        before.rows.find(({ kid }) => kid === `${id} one`),
        {
          ...{ type: 'key', kid: `${id} one`, kind: 'ed25519', meta: { name: 'one' } },
          secret: Buffer.from('secret one').toString('base64'),
        },
      );
      await remove(id);
      const adoption = await carry(before);
      await assert.rejects(db.store.load(id, []), failsWith('not-found'), 'nobody sees it before its end');
      const claims = { owner: 't', lanes: 1000, perLane: 10, leaseMs: 1, kinds: ['command' as const] };
      assert.ok(
        (await db.jobs.claim(claims)).every(({ tenant }) => tenant !== id),
        'nor works on its jobs',
      );
      await adoption.finish();
      assert.deepEqual(await dumped(db, id, 'move'), before);
      const [byTag] = await db.store.load(id, [{ category: 'connection', tag: 'nth', equals: 'changed' }]);
      assert.deepEqual(byTag?.[0]?.value, { n: 'changed' });
      assert.equal((await db.store.keyOwner(`${id} one`))?.tenant, id);
      assert.deepEqual((await db.store.loadWithDedupKey(id, `${id} a month`, [])).repeated, { answer: { text: 'again' } });
      assert.ok((await db.store.loadWithDedupKey(id, `${id} ever`, [])).repeated);
      assert.deepEqual([(await db.store.mailbox(id, 'box')).messages, (await db.store.mailbox(id, 'box', 'key')).messages], [2, 2]);
      assert.deepEqual(await db.blobs.read(id, 'tails/one'), Buffer.alloc(600_000, 'tails'));
      const [lane] = await db.jobs.claim({ ...claims, lane: `command:${id}`, lanes: 1 });
      assert.deepEqual(
        lane?.jobs.map(({ allocated }) => allocated),
        [1, undefined],
        'a number stays with its job',
      );
      await remove(id);
    });

    it('as a copy without its queue, at one moment, and only where it is not', async () => {
      const id = randomUUID();
      await filledTenant(db, id);
      const { tenant, rows } = await db.admin.dump(id, 'copy');
      const first = await rows.next();
      await db.store.commit(id, {
        records: [record('later', 0, {})],
        keys: [{ kid: `${id} later`, type: 'x', secret: new Uint8Array(1) }],
      });
      const all = [...(first.value as CarriedRow[])];
      for await (const some of rows) all.push(...some);
      const counted = Map.groupBy(all, ({ type }) => type);
      assert.deepEqual(
        [...counted].map(([type, some]) => [type, some.length]),
        [
          ['record', 600],
          ['key', 2],
          ['key_owner', 1],
          ['dedup_key', 1],
          ['counter', 1],
          ['blob', 1],
          ['chunk', 3],
        ],
      );
      const adoption = await db.admin.adopt();
      await assert.rejects(adoption.tenant(tenant), failsWith('conflict'));
      await adoption.abandon();
      assert.equal((await db.store.find(id, 'connection', {})).total, 601, 'it was left alone');
      await remove(id);
    });

    it('again where its adoption was given up or cut short', async () => {
      const id = randomUUID();
      await filledTenant(db, id);
      const whole = await dumped(db, id, 'copy');
      await remove(id);
      const givenUp = await carry(whole);
      await givenUp.abandon();
      assert.ok(!(await db.admin.tenants()).includes(id));
      await carry(whole);
      await opened().reopen();
      await assert.rejects(db.store.load(id, []), failsWith('not-found'));
      assert.ok((await db.admin.tenants()).includes(id), 'what was written is hidden');
      const again = await carry(whole);
      await again.finish();
      assert.deepEqual(await dumped(db, id, 'copy'), whole);
      await remove(id);
    });

    it('closed where only its owner has the key, and damaged or foreign rows are refused', async () => {
      const id = randomUUID();
      await db.admin.ensureTenant(id, 'mine', { walletKey: 'only mine', until: Date.now() + 60_000 });
      await db.store.commit(id, { records: [record(id, 0, { n: 1 })], keys: [{ kid: id, type: 'x', secret: Buffer.from('secret') }] });
      await db.admin.lockTenant(id);
      const closed = await dumped(db, id, 'copy');
      assert.deepEqual([closed.tenant.key, closed.rows[0]!.value, closed.rows[1]!.secret], [undefined, undefined, undefined]);
      await remove(id);
      const adoption = await carry(closed);
      await adoption.finish();
      await assert.rejects(db.store.load(id, []), failsWith('wallet-locked'));
      await db.admin.unlockTenant(id, { walletKey: 'only mine', until: Date.now() + 60_000 });
      assert.deepEqual((await db.store.load(id, [{ category: 'connection', id }]))[0]![0]!.value, { n: 1 });
      assert.equal(Buffer.from((await db.store.key(id, id))!.secret).toString(), 'secret');
      await remove(id);

      const other = randomUUID();
      const key = Buffer.alloc(32, 7).toString('base64');
      for (const row of [
        { type: 'tenant' },
        { type: 'record', id: 'x' },
        { type: 'key', kid: 'x', kind: 'x' },
        { type: 'dedup_key', hash: 7 },
      ]) {
        const refused = await db.admin.adopt();
        await refused.tenant({ id: other, name: '', key });
        await assert.rejects(refused.add(other, [row as unknown as CarriedRow]), failsWith('bad-request'), JSON.stringify(row));
        await refused.abandon();
      }
      const lane = `command:${randomUUID()}`;
      await db.store.commit(A, { jobs: [job(lane, { kind: 'command' })] });
      const foreign = await db.admin.adopt();
      await foreign.tenant({ id: other, name: '', key });
      const row = { type: 'job', id: nextId(), lane, kind: 'command', due: 1, attempts: 0, payload: '' };
      await assert.rejects(foreign.add(other, [row as unknown as CarriedRow]), failsWith('conflict'), 'a lane of another tenant');
      await foreign.abandon();
      const adopting = await db.admin.adopt();
      await assert.rejects(adopting.tenant({ id: other, name: '', key: 'short' }), failsWith('bad-request'));
      await adopting.abandon();
    });
  });
}
