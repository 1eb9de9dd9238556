import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Breakable, idsOf, outcomes, runMutations, say, startOf } from '../mutations.ts';
import { LIST, testsOf } from './list.ts';
import type { Requirement } from './requirement.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The tests that are there for the rows alone. */
const FILES = 'test/rows/*.test.ts';

export const HELP = `./flexid test rows [id ...]

Prints the requirement rows that this agent is built from, 175 of them: each is met, with the tests that show it, or not yet, with the reason. Runs the tests in
test/rows; those elsewhere run with the whole suite, and here when their row is named. Fails if a row that is met has no test, or one that fails.

./flexid test rows --mutate [id ...]

Breaks the product once for each row that has a mutation, in a copy, by the one line that test/rows names for it, and requires that the row's tests fail then.
`;

/** Every test file with its text. */
export function sources(): Map<string, string> {
  const files = globSync('{src,devnet,contracts,test}/**/*.test.ts', { cwd: ROOT, exclude: (name) => name === 'node_modules' });
  return new Map(files.sort().map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
}

async function check(rows: readonly Requirement[], all: boolean): Promise<number> {
  const texts = sources();
  const tests = new Map(rows.map((row) => [row.id, testsOf(row, texts)]));
  const chosen = [...tests.values()].flat().filter(([file]) => !all || file.startsWith('test/rows/'));
  const files = [...new Set(chosen.map(([file]) => file))];
  const titles = all ? undefined : chosen.map(([, title]) => startOf(title.split('${')[0]!));
  const seen = files.length > 0 ? await outcomes(ROOT, all ? FILES : files, undefined, 2, titles) : [];
  const bad: string[] = [];
  const open: string[] = [];
  for (const row of rows) {
    if (row.missing !== undefined) {
      open.push(row.id);
      say(`${row.id.padEnd(7)} not yet  ${row.text}\n${' '.repeat(17)}${row.missing}`);
      continue;
    }
    const own = tests.get(row.id)!;
    const ran = seen.filter(
      ({ title }) => idsOf(title).includes(row.id) || own.some(([, text]) => startOf(text.split('${')[0]!).test(title)),
    );
    const failed = ran.filter(({ passed }) => !passed);
    const state = own.length === 0 ? 'no test' : failed.length > 0 ? 'failed' : 'met';
    if (state !== 'met') bad.push(row.id);
    say(`${row.id.padEnd(7)} ${state.padEnd(8)} ${row.text}${row.mutation ? '' : ' (no mutation)'}`);
    for (const { title, passed, why } of ran) say(`${' '.repeat(17)}${passed ? title : `FAILED ${title}: ${why}`}`);
    for (const [file, title] of own.filter(([file]) => all && !file.startsWith('test/rows/'))) say(`${' '.repeat(17)}${file}: ${title}`);
  }
  // a file that breaks outside of its tests, or a test of no row, fails the run as well
  const known = new Set(LIST.map(({ id }) => id));
  const others = seen.filter(({ title, passed }) => !passed && !idsOf(title).some((id) => known.has(id)));
  for (const { title, why } of others) say(`FAILED ${title}: ${why}`);
  const unknown = [...new Set(seen.flatMap(({ title }) => idsOf(title)))].filter((id) => !known.has(id));
  if (unknown.length > 0) say(`tests name rows that are not listed: ${unknown.join(', ')}`);
  const mutations = rows.filter(({ mutation }) => mutation).length;
  say(
    `\n${rows.length} rows: ${rows.length - open.length - bad.length} met, ${mutations} of them with a mutation, ${open.length} not yet` +
      `${bad.length > 0 ? `, ${bad.length} failed: ${bad.join(', ')}` : ''}`,
  );
  return bad.length + others.length + unknown.length > 0 ? 1 : 0;
}

/** `./flexid test rows`. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const named = argv.filter((one) => one !== '--mutate');
  const unknown = named.filter((id) => !LIST.some((row) => row.id === id));
  if (unknown.length > 0) {
    process.stderr.write(`flexid test rows: there is no row ${unknown.join(', ')}\n`);
    return 2;
  }
  const rows = named.length > 0 ? LIST.filter(({ id }) => named.includes(id)) : LIST;
  if (!argv.includes('--mutate')) return await check(rows, named.length === 0);
  const texts = sources();
  const list = rows.flatMap((row): Breakable[] => {
    if (!row.mutation || row.missing !== undefined) return [];
    const tests = testsOf(row, texts).map(([file, title]) => [file, title.split('${')[0]!] as const);
    // where they all are in test/rows, their ids find them
    return [{ id: row.id, mutation: row.mutation, ...(!tests.every(([file]) => file.startsWith('test/rows/')) && { tests }) }];
  });
  return await runMutations({ list, files: FILES });
}
