import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CALL_MS } from '../../../test/support/waiting.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { type AnonCredsOptions, openAnonCreds } from './anoncreds.ts';
import { type Pool, workerPool } from './worker-pool.ts';

const code = (wanted: ErrorCode, words?: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === wanted && (words?.test(error.message) ?? true);

/** A worker that does as it is told: hang, die, fail, wait, or give back what it got. */
const obedient = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, threadId } from 'node:worker_threads';
    parentPort.postMessage({ ready: true });
    parentPort.on('message', async ({ id, operation, input }) => {
      if (operation === 'hang') for (;;);
      if (operation === 'die') process.exit(1);
      if (operation === 'throw') throw new Error('uncaught');
      if (operation === 'fail') parentPort.postMessage({ id, error: input.words });
      if (operation === 'block') {
        const state = new Int32Array(input.state);
        Atomics.store(state, 0, 1);
        Atomics.wait(state, 1, 0, 2500);
        Atomics.store(state, 0, 2);
      }
      if (operation === 'wait') await new Promise((done) => setTimeout(done, input.ms));
      parentPort.postMessage({ id, value: operation === 'thread' ? threadId : operation === 'createLinkSecret' ? input.value ?? 'no number' : input });
    });
  `)}`,
);
const unready = new URL(
  `data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'; parentPort.postMessage({ ready: false, reason: 'wrong architecture' });`)}`,
);
const broken = new URL('data:text/javascript,throw new Error("no")');

const withPool = async (
  use: (pool: Pool) => Promise<void>,
  options: { worker?: URL; size?: number; maxQueue?: number; maxPerTenant?: number } = {},
) => {
  const pool = workerPool({ worker: obedient, env: {}, size: 1, maxQueue: 10, maxPerTenant: 5, patienceMs: 100, ...options });
  try {
    await use(pool);
  } finally {
    await pool.close();
  }
};

suite('worker pool', () => {
  test('a key that is being made holds up nothing else, and its threads end when there is nothing to make', async () => {
    const making = new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort, workerData } from 'node:worker_threads';
        parentPort.postMessage({ ready: true });
        parentPort.on('message', ({ id, operation }) => {
          if (operation === 'createCredentialDefinition') for (;;);
          parentPort.postMessage({ id, value: workerData.background ? 'in the background' : '1234567890' });
        });
      `)}`,
    );
    const engine = openAnonCreds({ worker: making, workers: 1, checkPresentation: () => [], closeMs: 100 });
    const schema = { name: 'n', version: '1', issuerId: 'did:x:y', attrNames: ['a'] };
    const wanted = { schemaId: 'did:x:y/s', schema, issuerId: 'did:x:y', tag: 't' } as never;
    const keys = [1, 2, 3, 4].map(() => engine.createCredentialDefinition('one', wanted));
    const ends = Promise.allSettled(keys);
    for (const tenant of ['one', 'other']) assert.equal(await engine.createLinkSecret(tenant), '1234567890');
    await engine.close();
    for (const end of await ends) assert.equal(end.status, 'rejected');
  });

  test('an idle worker ends where that is asked for, and the next job has a new one', async () => {
    const pool = workerPool({ worker: obedient, env: {}, size: 1, maxQueue: 10, maxPerTenant: 5, idleMs: 1 });
    try {
      const first = await pool.run('a', 'thread', {}, CALL_MS);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.notEqual(await pool.run('a', 'thread', {}, CALL_MS), first);
    } finally {
      await pool.close();
    }
  });

  test('a worker that hangs is replaced; its job fails and may be tried again, the others go on', () =>
    withPool(async (pool) => {
      const hanging = pool.run('a', 'hang', {}, 100);
      const next = pool.run('b', 'echo', { n: 1 }, CALL_MS);
      await assert.rejects(hanging, code('anoncreds-busy', /too long/));
      assert.equal(new AppError('anoncreds-busy').row.retry, true);
      assert.deepEqual(await next, { n: 1 });
    }));

  test('a worker that dies or throws is replaced', () =>
    withPool(async (pool) => {
      for (const operation of ['die', 'throw', 'die']) await assert.rejects(pool.run('a', operation, {}, CALL_MS), code('anoncreds-busy'));
      assert.deepEqual(await pool.run('a', 'echo', { n: 2 }, CALL_MS), { n: 2 });
    }));

  test('tenants take turns', () =>
    withPool(async (pool) => {
      const order: string[] = [];
      const job = (tenant: string, n: number) => pool.run(tenant, 'echo', {}, CALL_MS).then(() => order.push(`${tenant}${n}`));
      await Promise.all([job('a', 1), job('a', 2), job('a', 3), job('b', 1), job('b', 2), job('c', 1)]);
      assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
    }));

  test('the queue is bounded, in all and by tenant', () =>
    withPool(
      async (pool) => {
        const jobs = [pool.run('a', 'wait', { ms: 300 }, CALL_MS)];
        await assert.rejects(
          Promise.all(Array.from({ length: 4 }, () => pool.run('a', 'echo', {}, CALL_MS))),
          code('anoncreds-busy', /waiting/),
        );
        jobs.push(pool.run('b', 'echo', {}, CALL_MS));
        await assert.rejects(pool.run('c', 'echo', {}, CALL_MS), code('anoncreds-busy', /waiting/));
        await Promise.all(jobs);
      },
      { maxQueue: 4, maxPerTenant: 3 },
    ));

  test('no more workers than allowed, none before the first job', () =>
    withPool(
      async (pool) => {
        const threads = await Promise.all(Array.from({ length: 5 }, () => pool.run('a', 'thread', {}, CALL_MS)));
        assert.ok(new Set(threads).size <= 2);
      },
      { size: 2 },
    ));

  test('a library that does not load turns the engine off, with the reason', () =>
    withPool(
      async (pool) => {
        await assert.rejects(pool.run('a', 'echo', {}, CALL_MS), code('anoncreds-off'));
        assert.equal(pool.off(), 'wrong architecture');
      },
      { worker: unready },
    ));

  test('a worker that never starts is not started for ever', () =>
    withPool(async (pool) => assert.rejects(pool.run('a', 'echo', {}, CALL_MS), code('anoncreds-off')), { worker: broken }));

  test("the library's words lose long numbers and long quotations", () =>
    withPool(async (pool) => {
      const words = `wrong value ${'7'.repeat(80)} in "${'secret '.repeat(20)}" of {name: Some("Al\\"ice")}`;
      await assert.rejects(
        pool.run('a', 'fail', { words }, CALL_MS),
        code('anoncreds-failed', /^wrong value … in "…" of \{name: Some\(…\)\}$/),
      );
    }));

  test('closing fails what runs and what waits, and ends no thread within its call', async () => {
    const pool = workerPool({ worker: obedient, env: {}, size: 1, maxQueue: 10, maxPerTenant: 10 });
    const state = new Int32Array(new SharedArrayBuffer(8));
    const jobs = [pool.run('a', 'block', { state: state.buffer }, CALL_MS), pool.run('a', 'echo', {}, CALL_MS)].map((job) =>
      assert.rejects(job, code('anoncreds-busy', /closed/)),
    );
    while (Atomics.load(state, 0) === 0) await new Promise((done) => setTimeout(done, 5));
    await pool.close();
    await Promise.all(jobs);
    assert.equal(Atomics.load(state, 0), 2, 'the call has returned');
    await assert.rejects(pool.run('a', 'echo', {}, 1), code('anoncreds-busy'));
  });
});

suite('the engine without its library', () => {
  const options: AnonCredsOptions = { libraryPath: '/nonexistent', checkPresentation: () => [] };

  test('has one sentence for it, and every operation answers anoncreds-off', async () => {
    const engine = openAnonCreds(options);
    const { on, text } = engine.status();
    // A machine may have the library in a system folder.
    if (on) return;
    assert.match(text, /^AnonCreds is off: [^\n]+LIB_ANONCREDS_PATH$/);
    await assert.rejects(engine.createLinkSecret('t'), code('anoncreds-off'));
    assert.equal(new AppError('anoncreds-off').row.status, 501);
    await engine.close();
  });

  test('a result of the wrong shape does not pass', async () => {
    const engine = openAnonCreds({ ...options, worker: obedient });
    await assert.rejects(engine.createLinkSecret('t'), code('anoncreds-failed', /unexpected result/));
    await engine.close();
  });

  test('a library that does not load is said in the status', async () => {
    const engine = openAnonCreds({ ...options, worker: unready });
    await assert.rejects(engine.createLinkSecret('t'), code('anoncreds-off'));
    assert.equal(engine.status().on, false);
    assert.match(engine.status().text, /wrong architecture/);
    await engine.close();
  });
});
