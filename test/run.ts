import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Suites with needs of their own; they run only when they are named. */
export const APART = ['test/interop/'];

const HELP = `./flexid test [--full] [part of a path ...]

Runs every test, or those whose path holds one of the given texts: ./flexid test didcomm, ./flexid test faults
With --full the long runs have their whole length: every process killed in every step, more rounds.
Prints each test, then the files that took longest, and closes with "N passed, N failed".

./flexid test rows [--mutate] [id ...]

The requirement rows of the 2018 Agent Protocol, each with its tests; with --mutate, whether these notice when the product breaks. ./flexid test rows --help

./flexid test attacks [--mutate [id ...]]

Scripted attacks on the agent; with --mutate, whether they notice when a defence is taken out. ./flexid test attacks --help
`;

/** \`./flexid test\`. @returns the exit code: 0 only when tests ran and none failed */
export async function main(given: readonly string[]): Promise<number> {
  const argv = given.filter((one) => one !== '--full');
  if (argv.length < given.length) process.env.FLEXID_FULL = '1';
  if (argv[0] === 'rows') return await (await import('./rows/run.ts')).main(argv.slice(1));
  if (argv[0] === 'attacks' && argv.some((one) => ['--mutate', '--help', '-h'].includes(one)))
    return await (await import('./attacks/run.ts')).main(argv.slice(1));
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const files = globSync('{src,devnet,contracts,test,bench,examples,harness}/**/*.test.ts', {
    cwd: ROOT,
    exclude: (name) => name === 'node_modules',
  })
    .filter((file) => (argv.length > 0 ? argv.some((part) => file.includes(part)) : !APART.some((prefix) => file.startsWith(prefix))))
    .sort()
    .map((file) => join(ROOT, file));
  if (files.length === 0) {
    process.stderr.write(`flexid test: no test file matches ${argv.join(', ')}\n`);
    return 2;
  }
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const failures: string[] = [];
  const seconds = new Map<string, number>();
  // one more than the cores: much of a test is waiting
  const stream = run({ files, concurrency: Math.max(2, availableParallelism() + 1), timeout: 600_000 });
  stream.on('test:summary', (summary) => {
    if (summary.file !== undefined) {
      seconds.set(relative(ROOT, summary.file), summary.duration_ms / 1000);
      return;
    }
    passed = summary.counts.passed;
    skipped = summary.counts.skipped + summary.counts.todo;
    failed = summary.counts.tests - passed - skipped;
  });
  stream.on('test:fail', ({ name, file, nesting }) => {
    if (file && nesting === 0) failures.push(`${relative(ROOT, file)}: ${name}`);
  });
  await new Promise<void>((resolve, reject) => {
    stream.compose(spec).on('end', resolve).on('error', reject).pipe(process.stdout, { end: false });
  });
  const slowest = [...seconds].sort(([, a], [, b]) => b - a).slice(0, 10);
  if (files.length > 10)
    process.stdout.write(`\nlongest:\n${slowest.map(([file, s]) => `${s.toFixed(0).padStart(5)} s  ${file}\n`).join('')}`);
  if (failures.length > 0) process.stdout.write(`\nfailed:\n${failures.map((one) => `  ${one}`).join('\n')}\n`);
  process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
