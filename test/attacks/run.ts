import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runMutations } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const HELP = `./flexid test attacks

Runs the attacks on the agent: scripted enemies over real HTTP. ./flexid test attacks/WORD runs those whose file has the word in its path.

./flexid test attacks --mutate [id ...]

Takes each defence out, one line at a time in a copy, by the mutations in test/attacks/*.mutations.ts, and requires that the tests which carry its id in
brackets fail then.
`;

/** Every mutation that a file beside the attacks lists. */
export async function listed(): Promise<readonly Row[]> {
  const lists: Row[] = [];
  for (const file of globSync('test/attacks/*.mutations.ts', { cwd: ROOT }).sort()) {
    const { MUTATIONS } = (await import(new URL(`../../${file}`, import.meta.url).href)) as { MUTATIONS?: readonly Row[] };
    if (!MUTATIONS) throw new Error(`${file} exports no MUTATIONS`);
    lists.push(...MUTATIONS);
  }
  return lists;
}

/** `./flexid test attacks --mutate`. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const list = await listed();
  const ids = argv.filter((one) => one !== '--mutate');
  const unknown = ids.filter((id) => !list.some((row) => row.id === id));
  if (unknown.length > 0) {
    process.stderr.write(`flexid test attacks: there is no mutation ${unknown.join(', ')}\n`);
    return 2;
  }
  return await runMutations({ list, files: 'test/attacks/*.test.ts', ...(ids.length > 0 && { ids }) });
}
