import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROTOCOLS, UNBOUND_RECORDS } from '../builtin-protocols.ts';
import type { ClaimedJob, Database, JobKind, StoredRecord } from '../ports/store.ts';
import { payloadUpgraded, withFormerNames } from './former-names.ts';
import { createRegistry } from './registry.ts';

const registry = createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never);
const row = (category: string, value: object): StoredRecord =>
  ({ category, id: 'r', version: 1, created: 0, updated: 0, value }) as unknown as StoredRecord;

/** A database that holds one row, one answer and one job. */
function holding({ record = row('connection', {}), answer = {}, job = { kind: 'deliver', payload: {} } as unknown as ClaimedJob }) {
  const db = {
    store: {
      load: async () => [[record]],
      find: async () => ({ rows: [record], total: 1 }),
      loadWithDedupKey: async () => ({ repeated: { answer }, records: [[record]] }),
    },
    jobs: {
      claim: async () => [{ lane: 'l', kind: job.kind, tenant: 't', lease: 'x', jobs: [job] }],
      dead: async () => ({ rows: [job], total: 1 }),
    },
  };
  return withFormerNames(db as unknown as Database, registry);
}

const RECORDS: readonly (readonly [category: string, stored: object, read: object])[] = [
  ['connection', { wire: { profile: 'spec' }, direct: true, alias: 'a' }, { agent2018: { profile: 'spec' }, unmediated: true, alias: 'a' }],
  ['connection', { agent2018: { profile: 'spec' } }, { agent2018: { profile: 'spec' } }],
  ['oob_record', { direct: true }, { unmediated: true }],
  [
    'cred_ex_v20',
    { reply: { key: 'k', own: { endpoint: 'e', routingKeys: [] } } },
    { replyTo: { key: 'k', ourAddress: { endpoint: 'e', routingKeys: [] } } },
  ],
  ['cred_ex_v20', { replyTo: { key: 'k' } }, { replyTo: { key: 'k' } }],
  ['did', { wire: 1, direct: 2, reply: 3 }, { wire: 1, direct: 2, reply: 3 }],
];

for (const [category, stored, read] of RECORDS) {
  test(`a ${category} stored with ${Object.keys(stored)} is read with ${Object.keys(read)}`, async () => {
    const { store } = holding({ record: row(category, stored) });
    const found = [
      (await store.load('t', []))[0]![0]!,
      (await store.find('t', category, {})).rows[0]!,
      (await store.loadWithDedupKey('t', 'd', [])).records[0]![0]!,
    ];
    for (const one of found) assert.deepEqual(one.value, read);
  });
}

const barrier = { mediation: { tenant: 't', id: 'm' }, keys: ['k'] };
const JOBS: readonly (readonly [kind: JobKind, stored: object, read: object])[] = [
  ['deliver', { envelope: 'e', awaits: barrier }, { envelope: 'e', blockedBy: barrier }],
  ['tell', { reply: { key: 'k', own: {} }, message: {} }, { replyTo: { key: 'k', ourAddress: {} }, message: {} }],
  ['local-message', { replyTo: { key: 'k' }, message: {} }, { replyTo: { key: 'k' }, message: {} }],
  ['keylist', { gone: ['k'] }, { removedKeys: ['k'] }],
  [
    'keylist',
    {
      keys: [{ verkey: 'k' }],
      kept: [{ envelope: 'e', awaits: barrier }],
      jobs: [{ id: 'j', kind: 'tell', lane: 'l', cause: 'c', payload: { reply: { key: 'k' } } }],
    },
    {
      keys: [{ verkey: 'k' }],
      kept: [{ envelope: 'e', blockedBy: barrier }],
      jobs: [{ id: 'j', kind: 'local-message', lane: 'l', callId: 'c', payload: { replyTo: { key: 'k' } } }],
    },
  ],
  ['command', { protocol: 'out-of-band', command: 'forget-key' }, { protocol: 'out-of-band', command: 'remove-key' }],
  ['command', { protocol: 'legacy-connection', command: 'say-again' }, { protocol: 'legacy-connection', command: 'repeat-response' }],
  ['command', { command: 'x', input: { gone: 1, awaits: 2, reply: 3 } }, { command: 'x', input: { gone: 1, awaits: 2, reply: 3 } }],
];

for (const [kind, stored, read] of JOBS) {
  test(`a ${kind} job stored with ${Object.keys(stored)} runs with ${Object.keys(read)}`, async () => {
    const job = { id: 'j', kind, payload: stored } as unknown as ClaimedJob;
    const { jobs } = holding({ job });
    const [lane] = await jobs.claim({ owner: 'o', lanes: 1, perLane: 1, leaseMs: 1 });
    assert.deepEqual(lane!.jobs[0]!.payload, read);
    assert.deepEqual((await jobs.dead('t', { limit: 1, offset: 0 })).rows[0]!.payload, read);
    assert.deepEqual(payloadUpgraded(kind, read as never), read);
  });
}

test('an answer that waits for a mediator, and mail that answered a message, are known by their present names', async () => {
  const of = async (answer: object): Promise<unknown> => (await holding({ answer }).store.loadWithDedupKey('t', 'd', [])).repeated?.answer;
  assert.deepEqual(await of({ '~withheld': { a: 1 } }), { '~deferred': { a: 1 } });
  assert.deepEqual(await of({ mail: [{ envelope: 'e', awaits: barrier }] }), { mail: [{ envelope: 'e', blockedBy: barrier }] });
  assert.deepEqual(await of({ connection_id: 'c', state: 'active' }), { connection_id: 'c', state: 'active' });
});
