import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

/** A mutation: the text `from`, which is there once in `file`, becomes `to`, and the product does no more what its tests ask. */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Something that tests hold, by the id that their titles carry in brackets, and how to break it. */
export interface Breakable {
  readonly id: string;
  readonly mutation: Mutation;
  /** Tests that do not carry the id: each by its file and how its title begins. */
  readonly tests?: readonly (readonly [file: string, title: string])[];
}

/** One test that ran. What breaks outside of any test is an outcome too: its title is the file's. */
export interface Outcome {
  readonly title: string;
  readonly passed: boolean;
  /** What failed, in one line. */
  readonly why?: string;
  /** Whether it was ended by its limit, which shows nothing. */
  readonly late?: boolean;
}

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** What the tests need of the project. */
const COPIED = [
  ...['src', 'web', 'edge', 'test', 'devnet', 'contracts', 'examples', 'harness', 'deploy', 'docs', 'bench', 'flexid', 'package.json'],
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'LICENSE'],
];
/** What is large, and never written to. */
const LINKED = ['node_modules', '.flexid', 'runtime'];
/** How many mutations are tried at once, each in a copy of its own. */
const COPIES = 2;
/** How long one test file may take. */
const LIMIT_MS = 240_000;
/** The reason of what the end of a limit takes with it. */
const ABORTED = 'The operation was aborted due to timeout';
/** A mutation often makes something not happen, for which tests then wait in vain. */
const PATIENCE_MS = '6000';

/** The ids that a test's title carries: `[S2-07] [A3] [A3-2] ...`. */
export const idsOf = (title: string): string[] =>
  [...title.matchAll(/\[([A-Z]+\d*-?\d*)\]/g)].map(([, id]) => id!).filter((id) => /\d/.test(id));

/** Prints one line. */
export const say = (text: string): void => void process.stdout.write(`${text}\n`);

/**
 * Runs the test files of a pattern.
 *
 * @param files - a glob below `root`
 * @param ids - only tests whose titles carry one of these; all where it is not given
 * @param titles - only tests whose titles match one of these
 * @returns what ran; skipped tests are not among it
 */
export async function outcomes(
  root: string,
  files: string | readonly string[],
  ids: readonly string[] | undefined,
  concurrency = COPIES,
  titles?: readonly RegExp[],
): Promise<Outcome[]> {
  const chosen = globSync([...(typeof files === 'string' ? [files] : files)], { cwd: root })
    .sort()
    .map((file) => join(root, file))
    .filter((file) => {
      const text = ids && readFileSync(file, 'utf8');
      return text === undefined || ids!.some((id) => text.includes(`[${id}]`));
    });
  if (chosen.length === 0) return [];
  const seen: Outcome[] = [];
  const stream = run({
    files: chosen,
    cwd: root,
    concurrency,
    timeout: LIMIT_MS,
    // what hangs in an open handle outlives its limit: it is ended
    signal: AbortSignal.timeout(chosen.length * LIMIT_MS),
    ...((ids ?? titles) && { testNamePatterns: titles ?? ids!.map((id) => new RegExp(`\\[${id}\\]`)) }),
  });
  stream.on('test:pass', ({ name, skip, todo }) => {
    if (skip === undefined && todo === undefined) seen.push({ title: name, passed: true });
  });
  stream.on('test:fail', ({ name, details }) => {
    const { cause, message, failureType } = details.error as { cause?: unknown; message: string; failureType?: string };
    const why = (cause instanceof Error ? cause.message : message).replace(/\s+/g, ' ').slice(0, 140);
    const late = failureType === 'testTimeoutFailure' || failureType === 'testAborted' || why === ABORTED;
    seen.push({ title: name, passed: false, why, late });
  });
  await new Promise<void>((resolve, reject) => stream.on('end', resolve).on('error', reject).resume());
  return seen;
}

/** What a title begins with, as a pattern. */
export const startOf = (title: string): RegExp => new RegExp(`^${title.replace(/[.*+?^$()|[\]{}\\]/g, '\\$&')}`);

/** A copy of the project in which one line can be another. */
function copyProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-mutations-'));
  for (const name of COPIED)
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter: (path) => !/[\\/](node_modules|__pycache__)$/.test(path) });
  for (const name of LINKED) if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(folder, name));
  return folder;
}

/** Tries one mutation. @returns what became of it, and whether that is as it should be */
async function tryOne(
  folder: string,
  files: string | readonly string[],
  { id, mutation, tests }: Breakable,
): Promise<{ caught: boolean; text: string }> {
  const path = join(folder, mutation.file);
  const original = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const found = original.split(mutation.from).length - 1;
  if (found !== 1) return { caught: false, text: `error: its line is there ${found} times in ${mutation.file}` };
  writeFileSync(
    path,
    original.replace(mutation.from, () => mutation.to),
  );
  try {
    const titles = tests?.map(([, title]) => startOf(title));
    const seen = tests
      ? await outcomes(
          folder,
          tests.map(([file]) => file),
          undefined,
          1,
          titles,
        )
      : await outcomes(folder, files, [id], 1);
    const own = seen.filter(({ title, passed }) => (titles ? !passed || titles.some((one) => one.test(title)) : idsOf(title).includes(id)));
    if (own.length === 0) return { caught: false, text: `error: none of its tests ran with ${mutation.file} changed` };
    const failed = own.filter(({ passed }) => !passed);
    if (failed.length === 0) return { caught: false, text: `SURVIVED a change of ${mutation.file}` };
    const first = failed.find(({ late }) => !late);
    if (!first) return { caught: false, text: `error: with ${mutation.file} changed its tests only ran out of time` };
    return { caught: true, text: `caught by ${failed.length} of ${own.length} tests: ${first.why}` };
  } finally {
    writeFileSync(path, original);
  }
}

/**
 * Breaks the product once for each entry of a list, in a copy, and requires that the tests which carry its id fail then. Prints a line for each and a total.
 *
 * @param list - the mutations; ids may repeat, each entry is tried by itself
 * @param files - a glob of the test files, below the project
 * @param ids - only these entries; all where it is not given
 * @returns the exit code: 0 only when the tests pass unbroken and every mutation was caught; one whose tests fail unbroken is not tried
 */
export async function runMutations(options: {
  readonly list: readonly Breakable[];
  readonly files: string | readonly string[];
  readonly ids?: readonly string[];
}): Promise<number> {
  const { files, ids } = options;
  const list = ids ? options.list.filter(({ id }) => ids.includes(id)) : options.list;
  if (list.length === 0) {
    say('there is no mutation to try');
    return 1;
  }
  process.env.FLEXID_TEST_PATIENCE_MS ??= PATIENCE_MS;
  const folders = Array.from({ length: Math.min(COPIES, list.length) }, copyProject);
  try {
    const named = [...new Set(list.filter(({ tests }) => !tests).map(({ id }) => id))];
    const others = list.flatMap(({ tests = [] }) => tests);
    const sound = [
      ...(named.length > 0 ? await outcomes(folders[0]!, files, named) : []),
      ...(others.length > 0
        ? await outcomes(folders[0]!, [...new Set(others.map(([file]) => file))], undefined, COPIES, [
            ...new Map(others.map(([, title]) => [title, startOf(title)])).values(),
          ])
        : []),
    ];
    const broken = sound.filter(({ passed }) => !passed);
    for (const { title, why } of broken) say(`fails without any mutation: ${title}: ${why}`);
    say(`${sound.length - broken.length} tests pass in the copy as it is`);
    const isOf = ({ id, tests }: Breakable, { title }: Outcome): boolean =>
      idsOf(title).includes(id) || (tests ?? []).some(([, text]) => startOf(text).test(title));
    // what breaks outside of the tests may break any of them
    if (broken.some((one) => !list.some((entry) => isOf(entry, one)))) return 1;
    const isBroken = (entry: Breakable): boolean => broken.some((one) => isOf(entry, one));
    const waiting = list.filter((entry) => !isBroken(entry));
    const survivors = list.filter(isBroken).map(({ id }) => id);
    let done = 0;
    await Promise.all(
      folders.map(async (folder) => {
        for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
          const began = performance.now();
          const { caught, text } = await tryOne(folder, files, entry);
          if (!caught) survivors.push(entry.id);
          const seconds = ((performance.now() - began) / 1000).toFixed(1);
          say(`[${String(++done).padStart(String(list.length).length)}/${list.length}] ${entry.id.padEnd(7)} ${text} (${seconds} s)`);
        }
      }),
    );
    say(
      `\n${list.length - survivors.length} of ${list.length} mutations were caught${survivors.length > 0 ? `; not: ${survivors.join(', ')}` : ''}`,
    );
    return survivors.length > 0 ? 1 : 0;
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}
