// Preloaded into the processes of a test run (keepKeys in test/run.ts). A credential definition of their agents has a key that the library made in an earlier test,
// since the search for its primes takes seconds. FLEXID_NEW_KEYS is for tests of the making itself: their keys are new.
import { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import threads from 'node:worker_threads';

const KEPT = new URL('./kept-keys-worker.ts', import.meta.url);

// no key serves two definitions of one test file, in whatever processes: here they mark which they have
if (!process.env.FLEXID_KEYS_TAKEN) {
  const taken = mkdtempSync(join(tmpdir(), 'flexid-keys-'));
  process.env.FLEXID_KEYS_TAKEN = taken;
  process.once('exit', () => rmSync(taken, { recursive: true, force: true }));
}

const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(file, options) {
    if (process.env.FLEXID_NEW_KEYS || !String(file).endsWith('/src/adapters/anoncreds/worker.ts')) super(file, options);
    else
      super(KEPT, { ...options, env: { ...options.env, FLEXID_WORKER: String(file), FLEXID_KEYS_TAKEN: process.env.FLEXID_KEYS_TAKEN } });
  }
};
syncBuiltinESMExports();
