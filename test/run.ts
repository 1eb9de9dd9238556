import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
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
  'test/faults/presentation.test.ts',
  'test/faults/replicas.test.ts',
  'test/faults/revocation-kill.test.ts',
  'test/faults/revocation-publishing.test.ts',
  'test/faults/revocation-replicas.test.ts',
  'test/faults/shared.test.ts',
  'test/faults/tails-server.test.ts',
  'test/faults/upgrade.test.ts',
  'test/flows/acapy-controller.test.ts',
  'test/flows/backup.test.ts',
  'test/flows/demo-edges.test.ts',
  'test/flows/demo-mediated.test.ts',
  'test/flows/demo-replicas.test.ts',
  'test/flows/edge-docs.test.ts',
  'test/flows/edge.test.ts',
  'test/flows/endorse-revocation.test.ts',
  'test/flows/golden.test.ts',
  'test/flows/large-schemas.test.ts',
  'test/flows/ledger-walk.test.ts',
  'test/flows/mediation-client.test.ts',
  'test/flows/memory.test.ts',
  'test/flows/owner.test.ts',
  'test/flows/revocation-proofs.test.ts',
  'test/flows/revocation.test.ts',
  'test/flows/traces.test.ts',
  'test/rows/agents.test.ts',
  'test/rows/credentials.test.ts',
];

/** How long a file may take; with --full, where a suite takes all its rounds. */
const FILE_MS = 600_000;
const FULL_FILE_MS = 7_200_000;

/** The tests beside src that start no process, no database and no agent: all but the adapters'. They run in one process, in seconds. */
export const isUnit = (file: string): boolean => file.startsWith('src/') && !file.startsWith('src/adapters/');

const HELP = `./flexid test [--full] [part of a path ...] [--name REGEX] [--watch]

Runs the tests but for the longest suites, or those whose path holds one of the given texts: ./flexid test didcomm, ./flexid test faults. With --full all
run, but for those of interop, which are named.
Long tests are short in the run of every test: one store of two, fewer rounds. A suite that is named runs on both. With --full they have their whole
length: every process killed in every step, all rounds.
Prints each test, then the files that took longest, and closes with "N passed, N failed".

  --name REGEX   only tests whose title matches: ./flexid test trust-ping --name 'completes a connection'
  --watch        runs the files again that a change concerns, until it is interrupted: ./flexid test protocols/drpc --watch

./flexid test unit [--name REGEX] [--watch]

The tests beside src, but for those of the adapters: they start no process, no database and no agent, and take seconds.

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
  const chosen = (file: string, word: string): boolean => (word === 'unit' ? isUnit(file) : file.includes(word));
  return globSync('{src,edge,devnet,contracts,test,bench,examples,harness}/**/*.test.ts', {
    cwd: ROOT,
    exclude: (name) => name === 'node_modules',
  })
    .filter((file) => (words.length > 0 ? words.some((word) => chosen(file, word)) : !left.some((prefix) => file.startsWith(prefix))))
    .sort();
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
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const failures: string[] = [];
  const seconds = new Map<string, number>();
  const together = !watch && filesOf(['unit']).every((file) => files.includes(file));
  const stream = run({
    files: (together ? [...files.filter((file) => !isUnit(file)), 'test/unit.ts'] : files).map((file) => join(ROOT, file)),
    // one more than the cores: much of a test is waiting
    concurrency: Math.max(2, availableParallelism() + 1),
    timeout: watch ? undefined : full ? FULL_FILE_MS : FILE_MS,
    ...(name ? { testNamePatterns: name } : {}),
    watch,
  });
  stream.on('test:summary', (summary) => {
    if (summary.file !== undefined) {
      seconds.set(relative(ROOT, summary.file), summary.duration_ms / 1000);
      return;
    }
    passed = summary.counts.passed;
    skipped = summary.counts.skipped + summary.counts.todo;
    failed = summary.counts.tests - passed - skipped;
  });
  // a file of which no test matches counts as one test that passed
  let empty = 0;
  stream.on('test:pass', ({ name: title, file }) => {
    if (title === file) empty++;
  });
  stream.on('test:fail', ({ name: title, file, nesting }) => {
    if (file && nesting === 0) failures.push(`${relative(ROOT, file)}: ${title}`);
  });
  await new Promise<void>((resolve, reject) => {
    stream.compose(spec).on('end', resolve).on('error', reject).pipe(process.stdout, { end: false });
  });
  passed -= empty;
  const slowest = [...seconds].sort(([, a], [, b]) => b - a).slice(0, 10);
  if (seconds.size > 10)
    process.stdout.write(`\nlongest:\n${slowest.map(([file, s]) => `${s.toFixed(0).padStart(5)} s  ${file}\n`).join('')}`);
  if (failures.length > 0) process.stdout.write(`\nfailed:\n${failures.map((one) => `  ${one}`).join('\n')}\n`);
  if (passed + failed + skipped === 0) process.stdout.write(`\nno test has a title that matches ${name}\n`);
  if (words.length === 0 && !full) process.stdout.write(`\nleft out: ${LONG.length} long suites (./flexid test --full)\n`);
  process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
