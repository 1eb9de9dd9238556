import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ArgumentParser } from 'argparse';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Suites with needs of their own; they run only when they are named. */
export const APART = ['test/interop/'];
/** Suites of many processes, kills and copies of stores. They run when they are named, and with --full: all others take a quarter of an hour. */
export const LONG = [
  'test/faults/backup.test.ts',
  'test/faults/counter.test.ts',
  'test/faults/did-keys.test.ts',
  'test/faults/durable.test.ts',
  'test/faults/endorse.test.ts',
  'test/faults/hub.test.ts',
  'test/faults/kill.test.ts',
  'test/faults/replicas.test.ts',
  'test/faults/revocation-kill.test.ts',
  'test/faults/revocation-publishing.test.ts',
  'test/faults/revocation-replicas.test.ts',
  'test/faults/shared.test.ts',
  'test/faults/tails-server.test.ts',
  'test/faults/upgrade.test.ts',
  'test/faults/web-replicas.test.ts',
  'test/flows/acapy-controller.test.ts',
  'test/flows/backup.test.ts',
  'test/flows/demo-edges.test.ts',
  'test/flows/demo-mediated.test.ts',
  'test/flows/demo-replicas.test.ts',
  'test/flows/edge-docs.test.ts',
  'test/flows/edge-restore.test.ts',
  'test/flows/edge.test.ts',
  'test/flows/endorse-revocation.test.ts',
  'test/flows/golden.test.ts',
  'test/flows/large-schemas.test.ts',
  'test/flows/ledger-walk.test.ts',
  'test/flows/mediation-client.test.ts',
  'test/flows/memory.test.ts',
  'test/flows/quick-starts.test.ts',
  'test/flows/revocation-proofs.test.ts',
  'test/flows/traces.test.ts',
  'test/rows/agents.test.ts',
  'test/web/hostile.test.ts',
  'test/web/wallet.test.ts',
  'test/web/web.test.ts',
];

/** How long a file may take; with --full, where a suite takes all its rounds. */
const FILE_MS = 1_800_000;
const FULL_FILE_MS = 7_200_000;

/** The tests beside src that start no process, no database and no agent: all but the adapters'. They run in one process, in seconds. */
export const isUnit = (file: string): boolean => file.startsWith('src/') && !file.startsWith('src/adapters/');

/** Files that end what other files of their process have started. */
const ALONE = ['harness/processes.test.ts'];
/** The files that take longest, in order: they begin first, so that none is left to end alone. */
export const LONGEST: readonly string[] = [
  'src/adapters/anoncreds/anoncreds.test.ts',
  'src/adapters/anoncreds/revocation.test.ts',
  'test/flows/backup-docs.test.ts',
  'test/checks.test.ts',
  'src/adapters/postgres/postgres.test.ts',
  'test/faults/decisions.test.ts',
  'test/faults/isolation.test.ts',
  'test/faults/mediator.test.ts',
  'test/attacks/admin-tokens.test.ts',
  'test/flows/credentials-v1.test.ts',
  'test/flows/multitenancy.test.ts',
  'test/flows/agency.test.ts',
  'test/acapy-start.test.ts',
  'test/flows/pickup-client.test.ts',
  'test/faults/ledger.test.ts',
  'test/faults/agency.test.ts',
  'test/fuzz/fuzz.test.ts',
  'test/flows/admin-breadth.test.ts',
];
/** One more than the cores: much of a test is waiting. */
const PROCESSES = Math.max(2, availableParallelism() + 1);
/** So many files or fewer are processes of their own. */
const FEW = 4;

const HELP = `./flexid test [--full] [part of a path ...] [--name REGEX] [--watch]

Runs the tests but for the longest suites, or those whose path holds one of the given texts: ./flexid test didcomm, ./flexid test faults. With --full all
run, but for those of interop, which are named.
Long tests are short in the run of every test: one store of two, fewer rounds. A suite that is named runs on both. With --full they have their whole
length: every process killed in every step, all rounds.
Prints each test, then the files that took longest, and closes with "N passed, N failed".
Many files share as many processes as run at once, one more than the cores; a few that are named have one each. Keys of credential definitions are kept
in .flexid/keys from run to run: FLEXID_NEW_KEYS=1 makes new ones.

  --name REGEX   only tests whose title matches: ./flexid test trust-ping --name 'completes a connection'
  --watch        runs the files again that a change concerns, until it is interrupted: ./flexid test protocols/drpc --watch

./flexid test unit [--name REGEX] [--watch]

The tests beside src, but for those of the adapters: they start no process, no database and no agent, and take seconds.

./flexid test web

The pages of console and web wallet in a Chromium: FLEXID_CHROMIUM, else one of the machine's. Where there is none they are skipped, with
FLEXID_REQUIRE_CHROMIUM=1 they fail. A newcomer's way through both is in the run of every test; the screens one by one take minutes, and are among
the long suites.

./flexid test rows [--mutate] [id ...]

The requirement rows of the 2018 Agent Protocol, each with its tests; with --mutate, whether these notice when the product breaks. ./flexid test rows --help

./flexid test attacks [--mutate [id ...]]

Scripted attacks on the agent; with --mutate, whether they notice when a defence is taken out. ./flexid test attacks --help

docs/Debugging.md has more: one test, one step, the debugger, logs, traces.
`;

interface Options {
  readonly words: readonly string[];
  readonly name?: RegExp;
  readonly watch: boolean;
  readonly full: boolean;
}

/** @throws Error in one clause where a pattern is none */
function optionsOf(argv: readonly string[]): Options {
  const parser = new ArgumentParser({ prog: 'flexid test', add_help: false });
  parser.add_argument('words', { nargs: '*' });
  parser.add_argument('--name');
  parser.add_argument('--watch', { action: 'store_true' });
  parser.add_argument('--full', { action: 'store_true' });
  const given = parser.parse_intermixed_args([...argv]) as { words: string[]; name?: string; watch: boolean; full: boolean };
  try {
    return { ...given, name: given.name === undefined ? undefined : new RegExp(given.name) };
  } catch (error) {
    throw new Error(`--name is no regular expression: ${(error as Error).message}`);
  }
}

/** The test files that words choose: `unit` for the unit tests, else parts of paths; without words all but those apart and, unless `full`, the long ones. */
export function filesOf(words: readonly string[], full = false): string[] {
  const left = full ? APART : [...APART, ...LONG];
  const chosen = (file: string, word: string): boolean =>
    word === 'unit' ? isUnit(file) : word === 'web' ? file.startsWith('test/web/') : file.includes(word);
  return globSync('{src,edge,devnet,contracts,test,bench,examples,harness}/**/*.test.ts', {
    cwd: ROOT,
    exclude: (name) => name === 'node_modules',
  })
    .filter((file) => (words.length > 0 ? words.some((word) => chosen(file, word)) : !left.some((prefix) => file.startsWith(prefix))))
    .sort();
}

interface Shared {
  /** What the runner runs: each is a process that takes files from the list. */
  readonly entries: string[];
  remove(): void;
}

/** Spreads files over as many processes as run at once: each takes the next one that no other has, the longest first. The unit tests are one item. */
export function shareFiles(files: readonly string[], limitMs: number, root = ROOT): Shared {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-share-'));
  const alone = files.filter((file) => [...ALONE, ...APART].some((prefix) => file.startsWith(prefix)));
  const unit = files.filter(isUnit);
  const others = files.filter((file) => !isUnit(file) && !alone.includes(file));
  const place = (file: string): number => (LONGEST.includes(file) ? LONGEST.indexOf(file) : LONGEST.length);
  const items = [unit, ...others.sort((a, b) => place(a) - place(b)).map((file) => [file])].filter((item) => item.length > 0);
  writeFileSync(join(folder, 'files.json'), JSON.stringify({ root, items, limitMs }));
  process.env.FLEXID_SHARE = folder;
  const share = `import ${JSON.stringify(new URL('./share.ts', import.meta.url).href)};\n`;
  const entries = Array.from({ length: Math.min(PROCESSES, items.length) }, (_none, i) => join(folder, `share-${i + 1}.mjs`));
  for (const entry of entries) writeFileSync(entry, share);
  return {
    entries: [...alone.map((file) => join(root, file)), ...entries],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Counts what a run tells. @param suites - the files that are suites of a shared process */
export function follow(stream: ReturnType<typeof run>, suites: readonly string[]) {
  const seconds = new Map<string, number>();
  const failures: string[] = [];
  let counts = { tests: 0, passed: 0, skipped: 0, todo: 0 };
  // a file of which no test matches counts as one test that passed, a shared one whose tests could not run as none
  let [empty, broken] = [0, 0];
  stream.on('test:summary', ({ file, duration_ms, counts: all }) => {
    if (file === undefined) counts = all;
    else if (!file.endsWith('.mjs')) seconds.set(relative(ROOT, file), duration_ms / 1000);
  });
  const ended = (title: string, nesting: number, ms: number): boolean => {
    if (nesting > 0 || !suites.includes(title)) return false;
    seconds.set(title, ms / 1000);
    return true;
  };
  stream.on('test:pass', ({ name, file, nesting, details }) => {
    if (name === file) empty++;
    ended(name, nesting, details.duration_ms);
  });
  stream.on('test:fail', ({ name, file, nesting, details }) => {
    const { cause, failureType } = details.error as { cause?: unknown; failureType?: string };
    if (ended(name, nesting, details.duration_ms)) {
      if (failureType === 'subtestsFailed') return;
      broken++;
      failures.push(`${name}: ${cause instanceof Error ? cause.message : cause}`);
    } else if (file && nesting <= (suites.length > 0 ? 1 : 0)) failures.push(`${relative(ROOT, file)}: ${name}`);
  });
  return () => {
    const skipped = counts.skipped + counts.todo;
    return { passed: counts.passed - empty, failed: counts.tests - counts.passed - skipped + broken, skipped, failures, seconds };
  };
}

/** Has the processes of the run take keys of credential definitions that were made before: test/support/kept-keys.mjs. */
function keepKeys(): void {
  const preload = pathToFileURL(join(ROOT, 'test/support/kept-keys.mjs')).href;
  process.env.NODE_OPTIONS = [process.env.NODE_OPTIONS, `--import=${preload}`].filter(Boolean).join(' ');
}

/** \`./flexid test\`. @returns the exit code: 0 only when tests ran and none failed */
export async function main(argv: readonly string[]): Promise<number> {
  keepKeys();
  if (argv[0] === 'rows') return await (await import('./rows/run.ts')).main(argv.slice(1));
  if (argv[0] === 'attacks' && argv.some((one) => ['--mutate', '--help', '-h'].includes(one)))
    return await (await import('./attacks/run.ts')).main(argv.slice(1));
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  let options: Options;
  try {
    options = optionsOf(argv);
  } catch (error) {
    process.stderr.write(`flexid test: ${(error as Error).message}\n`);
    return 2;
  }
  const { words, name, watch, full } = options;
  if (full) process.env.FLEXID_FULL = '1';
  else if (words.length === 0) process.env.FLEXID_WHOLE = '1';
  const files = filesOf(words, full);
  if (files.length === 0) {
    process.stderr.write(`flexid test: no test file matches ${words.join(', ')}\n`);
    return 2;
  }
  const limitMs = full ? FULL_FILE_MS : FILE_MS;
  const shared = watch || files.length <= FEW ? undefined : shareFiles(files, limitMs);
  const stream = run({
    files: shared?.entries ?? files.map((file) => join(ROOT, file)),
    concurrency: PROCESSES,
    timeout: watch || shared ? undefined : limitMs,
    ...(name ? { testNamePatterns: name } : {}),
    watch,
  });
  const tally = follow(stream, shared ? files : []);
  await new Promise<void>((resolve, reject) => {
    stream.compose(spec).on('end', resolve).on('error', reject).pipe(process.stdout, { end: false });
  });
  shared?.remove();
  const { passed, failed, skipped, failures, seconds } = tally();
  const slowest = [...seconds].sort(([, a], [, b]) => b - a).slice(0, 10);
  if (seconds.size > 10)
    process.stdout.write(`\nlongest:\n${slowest.map(([file, s]) => `${s.toFixed(0).padStart(5)} s  ${file}\n`).join('')}`);
  if (failures.length > 0) process.stdout.write(`\nfailed:\n${failures.map((one) => `  ${one}`).join('\n')}\n`);
  if (passed + failed + skipped === 0) process.stdout.write(`\nno test has a title that matches ${name}\n`);
  if (files.some((file) => file.startsWith('test/web/'))) {
    const reason = (await import('./support/browser.ts')).skipReason();
    if (reason !== undefined) process.stdout.write(`\nskipped: ${reason}\n`);
  }
  if (words.length === 0 && !full) process.stdout.write(`\nleft out: ${LONG.length} long suites (./flexid test --full)\n`);
  process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
