import { fileURLToPath } from 'node:url';
import { idsOf, outcomes, runMutations, say } from '../mutations.ts';
import { ROWS, type Row } from './rows.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = 'test/rows/*.test.ts';

export const HELP = `./flexid test rows [id ...]

Runs the tests of the requirement rows of the 2018 Agent Protocol, and prints each row with its tests. Fails if a row has no test, or one that fails.

./flexid test rows --mutate [id ...]

Breaks the product once for each row, in a copy, by the one line that test/rows/rows.ts names for it, and requires that the row's tests fail then.
`;

async function check(rows: readonly Row[], all: boolean): Promise<number> {
  const seen = await outcomes(ROOT, FILES, all ? undefined : rows.map(({ id }) => id));
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
  if (argv.includes('--mutate')) return await runMutations({ list: ROWS, files: FILES, ...(named.length > 0 && { ids: named }) });
  return await check(rows, named.length === 0);
}
