import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ROWS, type Row } from './rows.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What the tests need of the project. */
const COPIED = ['src', 'test', 'devnet', 'contracts', 'examples', 'package.json'];
/** What is large, and never written to. */
const LINKED = ['node_modules', '.flexid', 'runtime'];
/** How many mutations are tried at once, each in a copy of its own. */
const COPIES = 2;
/** A mutation often makes something not happen, for which tests then wait in vain. */
const PATIENCE_MS = '6000';

export const HELP = `./flexid test rows [id ...]

Runs the tests of the requirement rows of the 2018 Agent Protocol, and prints each row with its tests. Fails if a row has no test, or one that fails.

./flexid test rows --mutate [id ...]

Breaks the product once for each row, in a copy, by the one line that test/rows/rows.ts names for it, and requires that the row's tests fail then.
`;

interface Outcome {
  readonly title: string;
  readonly passed: boolean;
  /** What failed, in one line. */
  readonly why?: string;
}

const idsOf = (title: string): string[] => [...title.matchAll(/\[([A-Z0-9]+-\d+)\]/g)].map(([, id]) => id!);
const testFiles = (root: string): string[] =>
  globSync('test/rows/*.test.ts', { cwd: root })
    .sort()
    .map((file) => join(root, file));

/** Runs the tests whose titles carry one of the ids, or all. What breaks outside of any test is an outcome too: its title is the file's. */
async function outcomes(root: string, ids: readonly string[] | undefined, concurrency: number): Promise<Outcome[]> {
  const files = testFiles(root).filter((file) => {
    const text = readFileSync(file, 'utf8');
    return ids === undefined || ids.some((id) => text.includes(`[${id}]`));
  });
  if (files.length === 0) return [];
  const seen: Outcome[] = [];
  const stream = run({
    files,
    cwd: root,
    concurrency,
    timeout: 300_000,
    ...(ids && { testNamePatterns: ids.map((id) => new RegExp(`\\[${id}\\]`)) }),
  });
  stream.on('test:pass', ({ name, skip, todo }) => {
    if (skip === undefined && todo === undefined) seen.push({ title: name, passed: true });
  });
  stream.on('test:fail', ({ name, details }) => {
    const { cause, message } = details.error as { cause?: unknown; message: string };
    const why = (cause instanceof Error ? cause.message : message).replace(/\s+/g, ' ').slice(0, 140);
    seen.push({ title: name, passed: false, why });
  });
  await new Promise<void>((resolve, reject) => stream.on('end', resolve).on('error', reject).resume());
  return seen;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function check(rows: readonly Row[], all: boolean): Promise<number> {
  const seen = await outcomes(ROOT, all ? undefined : rows.map(({ id }) => id), COPIES);
  const bad: string[] = [];
  for (const { id, text } of rows) {
    const tests = seen.filter(({ title }) => idsOf(title).includes(id));
    const failed = tests.filter(({ passed }) => !passed);
    const state = tests.length === 0 ? 'no test' : failed.length > 0 ? 'failed' : 'passed';
    if (state !== 'passed') bad.push(id);
    say(`${id.padEnd(7)} ${state.padEnd(8)} ${text}`);
    for (const { title, passed, why } of tests) say(`${' '.repeat(17)}${passed ? title : `FAILED ${title}: ${why}`}`);
  }
  // a file that breaks outside of its tests, or a test of no row, fails the run as well
  const known = new Set(ROWS.map(({ id }) => id));
  const others = seen.filter(({ title, passed }) => !passed && !idsOf(title).some((id) => known.has(id)));
  for (const { title, why } of others) say(`FAILED ${title}: ${why}`);
  const unknown = [...new Set(seen.flatMap(({ title }) => idsOf(title)))].filter((id) => !known.has(id));
  if (unknown.length > 0) say(`tests name rows that are not listed: ${unknown.join(', ')}`);
  say(`\n${rows.length - bad.length} of ${rows.length} rows passed${bad.length > 0 ? `; not: ${bad.join(', ')}` : ''}`);
  return bad.length + others.length + unknown.length > 0 ? 1 : 0;
}

/** A copy of the project in which one line can be another. */
function copyProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-rows-'));
  for (const name of COPIED)
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter: (path) => !/[\\/](node_modules|__pycache__)$/.test(path) });
  for (const name of LINKED) symlinkSync(join(ROOT, name), join(folder, name));
  return folder;
}

/** Tries one mutation. @returns what became of it, and whether that is as it should be */
async function mutate(folder: string, { id, mutation }: Row): Promise<{ caught: boolean; text: string }> {
  const path = join(folder, mutation.file);
  const original = readFileSync(path, 'utf8');
  const found = original.split(mutation.from).length - 1;
  if (found !== 1) return { caught: false, text: `error: its line is there ${found} times in ${mutation.file}` };
  writeFileSync(
    path,
    original.replace(mutation.from, () => mutation.to),
  );
  try {
    const seen = await outcomes(folder, [id], 1);
    const own = seen.filter(({ title }) => idsOf(title).includes(id));
    if (own.length === 0) return { caught: false, text: `error: none of its tests ran with ${mutation.file} changed` };
    const failed = own.filter(({ passed }) => !passed);
    const [first] = failed;
    if (!first) return { caught: false, text: `SURVIVED a change of ${mutation.file}` };
    return { caught: true, text: `caught by ${failed.length} of ${own.length} tests: ${first.why}` };
  } finally {
    writeFileSync(path, original);
  }
}

async function mutateAll(rows: readonly Row[], all: boolean): Promise<number> {
  process.env.FLEXID_TEST_PATIENCE_MS ??= PATIENCE_MS;
  const folders = Array.from({ length: Math.min(COPIES, rows.length) }, copyProject);
  try {
    const sound = await outcomes(folders[0]!, all ? undefined : rows.map(({ id }) => id), COPIES);
    const broken = sound.filter(({ passed }) => !passed);
    if (broken.length > 0) {
      for (const { title, why } of broken) say(`fails without any mutation: ${title}: ${why}`);
      return 1;
    }
    say(`${sound.length} tests pass in the copy as it is`);
    const waiting = [...rows];
    const survivors: string[] = [];
    let done = 0;
    await Promise.all(
      folders.map(async (folder) => {
        for (let row = waiting.shift(); row; row = waiting.shift()) {
          const began = performance.now();
          const { caught, text } = await mutate(folder, row);
          if (!caught) survivors.push(row.id);
          const seconds = ((performance.now() - began) / 1000).toFixed(1);
          say(`[${String(++done).padStart(String(rows.length).length)}/${rows.length}] ${row.id.padEnd(7)} ${text} (${seconds} s)`);
        }
      }),
    );
    say(
      `\n${rows.length - survivors.length} of ${rows.length} mutations were caught${survivors.length > 0 ? `; not: ${survivors.join(', ')}` : ''}`,
    );
    return survivors.length > 0 ? 1 : 0;
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** `./flexid test rows`. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const named = argv.filter((one) => one !== '--mutate');
  const unknown = named.filter((id) => !ROWS.some((row) => row.id === id));
  if (unknown.length > 0) {
    process.stderr.write(`flexid test rows: there is no row ${unknown.join(', ')}\n`);
    return 2;
  }
  const rows = named.length > 0 ? ROWS.filter(({ id }) => named.includes(id)) : ROWS;
  return argv.includes('--mutate') ? await mutateAll(rows, named.length === 0) : await check(rows, named.length === 0);
}
