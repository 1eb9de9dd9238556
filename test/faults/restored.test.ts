import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { AppError } from '../../src/errors.ts';
import { payloadOf } from '../../src/kernel/jobs.ts';
import { id2018 } from '../../src/kernel/key-owners.ts';
import type { Database, RecordWrite } from '../../src/ports/store.ts';
import { announceRestored } from '../../src/workers/restored.ts';
import { registry } from '../support/steps.ts';

/** Wallets of backups, with the rows of mediators, agencies and connections, and the jobs that follow. */

const undo: (() => unknown)[] = [];
after(async () => {
  while (undo.length > 0) await undo.pop()!();
});

const BASE = 'base';
type Row = Omit<RecordWrite, 'expect'>;
const mediation = (n: number, state = 'granted', role = 'client'): Row => ({
  ...{ category: 'mediation', id: `m${n}`, role, state, connection: `c${n}` },
  value: { connection_id: `c${n}`, role },
});
const key = (n: number, verkey: string, more: object = {}, role = 'client'): Row => ({
  ...{ category: 'keylist', id: `k-${verkey}`, role, connection: `c${n}` },
  value: { connection_id: `c${n}`, role, verkey, recipient_key: verkey, confirmed: true, ...more },
});
const name = (n: number, of: string, more: object = {}): Row => ({
  ...{ category: 'agency_route', id: `r-${of}`, role: 'edge', connection: `c${n}` },
  value: { kind: 'did', name: of, role: 'edge', confirmed: true, ...more },
});
const peer = (id: string, value: object = {}, state = 'active'): Row => ({
  ...{ category: 'connection', id, state },
  value: { invitation_mode: 'once', ...value },
});
const mark = (id: string): Row => ({ category: 'restored', id, state: 'imported', value: {} });

interface Announced {
  /** Keys and names that are registered, a list for each job, and the connections that are pinged. */
  readonly keys: string[][];
  readonly pinged: string[];
  readonly marks: string[];
  readonly failed: unknown;
  /** The second round. */
  again(): Promise<Announced>;
}

const NOW = Date.UTC(2030, 0, 1);

/** @param rows of each wallet that was imported; the base wallet has the marks */
async function announced(rows: Record<string, readonly Row[]>, failing: (db: Database) => Database = (db) => db): Promise<Announced> {
  const db = await openSqlite({ path: ':memory:' });
  undo.push(() => db.admin.close());
  const all: Record<string, Row[]> = { [BASE]: Object.keys(rows).map(mark) };
  for (const [tenant, own] of Object.entries(rows)) all[tenant] = [...(all[tenant] ?? []), ...own];
  for (const [tenant, own] of Object.entries(all)) {
    await db.admin.ensureTenant(tenant, tenant);
    const written = own.map((row) => ({ ...row, expect: 0, tags: registry.records.get(row.category)!.tags(row.value) }));
    await db.store.commit(tenant, { records: written });
  }
  return await round(db, failing(db));
}

async function round(db: Database, seen: Database): Promise<Announced> {
  const failed = await announceRestored({ db: seen, base: BASE, registry, now: () => NOW }).then(
    () => undefined,
    (error: unknown) => error,
  );
  const keys: string[][] = [];
  const pinged: string[] = [];
  const claimed = await db.jobs.claim({ owner: 'this test', lanes: 1000, perLane: 100, leaseMs: 60_000 });
  for (const { lane, lease, jobs } of claimed) {
    for (const job of jobs)
      if (job.kind === 'keylist') keys.push((payloadOf('keylist', job) as { keys: { verkey: string }[] }).keys.map(({ verkey }) => verkey));
      else pinged.push(payloadOf('command', job).id);
    await db.jobs.settle([{ lane, lease, done: jobs.map(({ id }) => id) }]);
  }
  const marks = (await db.store.find(BASE, 'restored', {})).rows.map(({ id }) => id);
  return { keys: keys.sort(), pinged: pinged.sort(), marks, failed, again: () => round(db, seen) };
}

const TABLE: readonly { title: string; rows: readonly Row[]; keys?: string[][]; pinged?: string[] }[] = [
  { title: 'nothing of an empty wallet', rows: [] },
  {
    title: 'all keys and names at its mediator, whatever that has confirmed or refused before',
    rows: [mediation(1), key(1, 'a'), key(1, 'b', { confirmed: false, refused: 'server_error' }), name(1, 'did:x')],
    keys: [[id2018('did:x')], ['a', 'b']],
  },
  {
    title: 'keys at the mediator that has them',
    rows: [mediation(1), mediation(2), key(1, 'a'), key(2, 'b')],
    keys: [['a'], ['b']],
  },
  {
    title: 'no keys at a mediation that is over, and none that it forwards for itself',
    rows: [mediation(1, 'denied'), key(1, 'a'), mediation(2, 'granted', 'server'), key(2, 'b', {}, 'server')],
  },
  {
    title: 'no name whose time is over',
    rows: [mediation(1), name(1, 'past', { expires: NOW }), name(1, 'future', { expires: NOW + 1 })],
    keys: [[id2018('future')]],
  },
  {
    title: 'active connections by a ping, but for mediators and peers of the 2018 Agent Protocol',
    rows: [
      ...[peer('p1'), peer('p2', { mediation: ['server'] }), peer('m', { mediation: ['client'] })],
      ...[peer('old', { protocol: 'connection-2018' }), peer('asked', {}, 'request')],
    ],
    pinged: ['p1', 'p2'],
  },
  {
    title: 'many keys and connections',
    rows: [
      mediation(1),
      ...Array.from({ length: 450 }, (_none, i) => key(1, `key-${String(i).padStart(3, '0')}`)),
      ...Array.from({ length: 450 }, (_none, i) => peer(`peer-${String(i).padStart(3, '0')}`)),
    ],
    keys: [0, 200, 400].map((from) =>
      Array.from({ length: Math.min(200, 450 - from) }, (_none, i) => `key-${String(from + i).padStart(3, '0')}`),
    ),
    pinged: Array.from({ length: 450 }, (_none, i) => `peer-${String(i).padStart(3, '0')}`),
  },
];
for (const { title, rows, keys = [], pinged = [] } of TABLE)
  test(`a restored wallet announces ${title}, once`, async () => {
    const first = await announced({ [BASE]: rows });
    assert.deepEqual([first.keys, first.pinged, first.marks, first.failed], [keys, pinged, [], undefined]);
    const second = await first.again();
    assert.deepEqual([second.keys, second.pinged], [[], []]);
  });

/** A database whose commits of one wallet fail. */
const failingOf =
  (tenant: string, code: ConstructorParameters<typeof AppError>[0]) =>
  (db: Database): Database => ({
    ...db,
    store: {
      ...db.store,
      find: (of, ...query) => (of === tenant ? Promise.reject(new AppError(code)) : db.store.find(of, ...query)),
    },
  });

test('a wallet that fails keeps no other from being announced, and has its turn again', async () => {
  const rows = (id: string): Row[] => [peer(`of-${id}`)];
  const wallets = { one: rows('one'), two: rows('two'), three: rows('three') };
  const broken = await announced(wallets, failingOf('two', 'store-corrupt'));
  assert.deepEqual([broken.pinged, broken.marks, (broken.failed as AppError).code], [['of-one', 'of-three'], ['two'], 'store-corrupt']);
  const locked = await announced(wallets, failingOf('two', 'wallet-locked'));
  assert.deepEqual([locked.pinged, locked.marks, locked.failed], [['of-one', 'of-three'], ['two'], undefined]);
  const removed = await announced(wallets, failingOf('two', 'not-found'));
  assert.deepEqual([removed.pinged, removed.marks, removed.failed], [['of-one', 'of-three'], [], undefined]);
});
