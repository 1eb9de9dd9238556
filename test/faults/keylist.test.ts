import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import type { Calls } from '../../src/kernel/calls.ts';
import type { Kernel } from '../../src/kernel/context.ts';
import type { Engine } from '../../src/kernel/engine.ts';
import type { JobOutcome } from '../../src/kernel/job-outcome.ts';
import { keylistJob } from '../../src/kernel/jobs.ts';
import { createKeylistWorker } from '../../src/mediation/keylist.ts';
import { registry } from '../support/steps.ts';

/** Registrations at a mediator that answers for some keys, and for others not. */

const undo: (() => unknown)[] = [];
after(async () => {
  while (undo.length > 0) await undo.pop()!();
});

const TENANT = 't';
type Answer = 'taken' | 'refused' | 'none';

/** A registration of keys, of which the mediator says what the test has it say. */
async function registration(keys: readonly string[]) {
  const db = await openSqlite({ path: ':memory:' });
  undo.push(() => db.admin.close());
  await db.admin.ensureTenant(TENANT, TENANT);
  const entry = (verkey: string, value: object = {}) => {
    const whole = { connection_id: 'c1', recipient_key: verkey, role: 'client', verkey, ...value };
    return {
      category: 'keylist',
      id: verkey,
      role: 'client',
      connection: 'c1',
      tags: registry.records.get('keylist')!.tags(whole),
      value: whole,
    };
  };
  await db.store.commit(TENANT, {
    records: [
      { category: 'mediation', id: 'm1', expect: 0, state: 'granted', role: 'client', connection: 'c1', value: {} },
      ...keys.map((verkey) => ({ ...entry(verkey), expect: 0 })),
    ],
    jobs: [
      keylistJob(TENANT, {
        mediation: { tenant: TENANT, id: 'm1' },
        keys: keys.map((verkey) => ({ verkey })),
        lanes: [],
        kept: [],
        jobs: [],
      }),
    ],
  });
  let answers: Record<string, Answer> = {};
  let isAnswered = false;
  const asked: string[][] = [];
  const calls = {
    async call(_tenant: string, _protocol: string, _command: string, { input }: { input: { body: { keys: { verkey: string }[] } } }) {
      const named = input.body.keys.map(({ verkey }) => verkey);
      asked.push(named);
      for (const verkey of named) {
        if ((answers[verkey] ?? 'none') === 'none') continue;
        const [[row] = []] = await db.store.load(TENANT, [{ category: 'keylist', id: verkey }]);
        const value = answers[verkey] === 'taken' ? { confirmed: true } : { refused: 'server_error' };
        await db.store.commit(TENANT, { records: [{ ...entry(verkey, value), expect: row!.version }] });
      }
      isAnswered = true;
    },
  } as unknown as Calls;
  const kernel = { db, registry, profiles: { of: async () => ({ settings: {} }) } } as unknown as Kernel;
  const worker = createKeylistWorker(kernel, {} as Engine, calls, 'this test', () => isAnswered);
  return {
    asked,
    /** One run of the job, with the mediator's answers. */
    async run(given: Record<string, Answer>, attempts?: number): Promise<JobOutcome> {
      [answers, isAnswered] = [given, false];
      const [claimed] = await db.jobs.claim({ owner: 'this test', lanes: 1, perLane: 1, leaseMs: 60_000 });
      const { lane, lease, jobs } = claimed!;
      const outcome = await worker({ ...jobs[0]!, ...(attempts !== undefined && { attempts }) }, lease);
      await db.jobs.settle([{ lane, lease, ...(outcome.state === 'retry' && { retry: [{ id: jobs[0]!.id, at: 0, error: '' }] }) }]);
      return outcome;
    },
    open: async (): Promise<number> => (await db.admin.backlog()).open.keylist,
  };
}

test('a key that is refused holds no other one, whose answer is lost, and is not asked for again', async () => {
  const { run, asked, open } = await registration(['a', 'b', 'c']);
  assert.equal((await run({ a: 'refused', b: 'taken' })).state, 'retry');
  assert.equal((await run({})).state, 'retry');
  assert.equal((await run({ c: 'taken' })).state, 'committed');
  assert.deepEqual([asked, await open()], [[['a', 'b', 'c'], ['c'], ['c']], 0]);
});

test('a mediator that never answers is asked for a week', async () => {
  const { run } = await registration(['a']);
  assert.equal((await run({}, 999)).state, 'retry');
  assert.equal((await run({}, 1000)).state, 'dead');
});
