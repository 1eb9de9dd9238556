import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkOf, examples } from '../../examples/lib/example.ts';
import { createKit } from '../../examples/lib/kit.ts';
import { createStack, onStage } from '../../examples/lib/stage.ts';
import { type LedgerFacts, startLedger } from '../../harness/network.ts';
import { isFull, longOne } from '../support/extent.ts';
import { TEST_MS } from '../support/waiting.ts';

/** The checks of all examples, on one ledger; `./flexid example NAME --check` gives each one of its own. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const LIMIT = { timeout: TEST_MS };
/** The longer ones, of which other tests have parts. */
const LONGER = { ...LIMIT, skip: longOne };
const folder = mkdtempSync(join(tmpdir(), 'flexid-examples-'));
const shared = createStack();
let ledger: LedgerFacts;

before(async () => {
  const made = await shared.open(startLedger(folder).then((one) => ({ ...one, stop: () => one.program.stop() })));
  ledger = made;
});
after(async () => {
  await shared.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

const checked = new Set<string>();
/** The check of an example. */
function passes(name: string): (t: TestContext) => Promise<void> {
  checked.add(name);
  return async (t) => {
    const { open, stop } = createStack();
    const screen = { begin: () => {}, line: (what: string, detail: string) => t.diagnostic(`${what}: ${detail}`) };
    try {
      const check = await checkOf(name);
      const own = mkdtempSync(join(folder, `${name}-`));
      await check(createKit({ folder: own, open }, screen, isFull, ledger));
    } finally {
      await stop();
    }
  };
}

test('[S1-30] an old program, unchanged, whose rows have credentials, and revocations', LONGER, passes('legacy-issuer'));

test('[S1-31] an OpenID Provider logs in by credentials', LIMIT, passes('login'));

test('[S1-32] a wallet that shows nothing unless two people agree', LIMIT, passes('enterprise-wallet'));

test('[S1-33] a person’s wallet in a browser, which nobody else opens', LIMIT, passes('web-wallet'));

test('[S1-34] a device that nobody can reach, and whose readings come once and in order', LONGER, passes('sensor'));

test('[S1-35] a group whose members have every message once and in order, one of them later', LIMIT, passes('messaging'));

test('two edges, an agency and a hub', LONGER, passes('agency-hub'));

/** `./flexid example ...`. @returns its exit code and outputs */
const example = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'example', ...args], LIMIT, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });

test('a service of one file, by DIDComm and by the 2018 Agent Protocol: ./flexid example plugin --check', LIMIT, async () => {
  checked.add('plugin');
  const { code, out, err } = await example('plugin', '--check');
  assert.equal(code, 0, out + err);
  assert.match(out, /\nok plugin\n$/);
});

test('./flexid example lists what there is, each of which is checked here, and refuses other names and flags', async () => {
  const [list, unknown, flag] = await Promise.all([example(), example('nothing'), example('--fast')]);
  assert.equal(list.code, 0, list.err);
  for (const [name, what] of examples()) assert.ok(list.out.includes(name) && list.out.includes(what), name);
  assert.deepEqual([...checked].sort(), [...examples().keys()]);
  assert.deepEqual([unknown.code, flag.code], [2, 2]);
  assert.match(unknown.err, /^flexid example: no example nothing: .*sensor/);
});

test('a step that fails is named, with exit code 1', async (t) => {
  const written: string[] = [];
  t.mock.method(process.stderr, 'write', (text: string) => written.push(text) > 0);
  const code = await onStage('example none', undefined, async () => {
    throw new Error('take a reading: too cold');
  });
  t.mock.reset();
  assert.equal(code, 1);
  assert.match(written.join(''), /^\nflexid example none failed at: take a reading: too cold\n/);
});
