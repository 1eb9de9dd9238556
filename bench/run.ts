import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAMES = ['envelope', 'messages', 'issue', 'verify', 'start'];
const RESULTS = fileURLToPath(new URL('results/', import.meta.url));

const HELP = `./flexid bench [name ...]     ${NAMES.join(', ')}; all of them without a name

Prints a table and writes bench/results/NAME.json. Ratios are to R: opening a sealed box of 32 bytes with sodium-native, measured in the same run.
`;

/** \`./flexid bench\`. */
export async function main(argv: readonly string[]): Promise<number> {
  const unknown = argv.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) {
    const help = unknown.some((name) => name === '--help' || name === '-h');
    (help ? process.stdout : process.stderr).write(HELP);
    return help ? 0 : 2;
  }
  mkdirSync(RESULTS, { recursive: true });
  for (const name of argv.length > 0 ? argv : NAMES) {
    process.stdout.write(`\n== ${name}\n`);
    const { run } = (await import(`./${name}.ts`)) as { run: () => Promise<unknown> };
    const rows = await run();
    const about = { name, when: new Date().toISOString(), node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
    writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify({ ...about, rows }, null, 2)}\n`);
  }
  return 0;
}
