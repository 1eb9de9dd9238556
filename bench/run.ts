import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRun } from '../harness/processes.ts';

const NAMES = ['envelope', 'messages', 'issue', 'verify', 'forward', 'start', 'ledger'];
/** What takes minutes runs where it is named. */
const ASKED = ['tenants', 'scale', 'oracle', 'sockets', 'backlog', 'fairness', 'revocation', 'soak', 'memory', 'flow'];
/** Benchmarks with a page of their own behind `--help`. */
const HELPED = ['fairness', 'revocation', 'soak', 'memory', 'flow'];
const RESULTS = fileURLToPath(new URL('results/', import.meta.url));

const HELP = `./flexid bench [name ...]     ${NAMES.join(', ')}; all of them without a name. By name alone: ${ASKED.join(', ')}

  --sizes 1000,10000,100000    tenants: how many there are, each time (default 1000,10000)
  --sockets 10000              sockets: how many there are (default 10000)
  --quick                      fairness: a small one
  --pending 1000               revocation: credentials that one call revokes
  --count 10000 --minutes 30   soak: how many credentials, and for how long at most
  --replicas 1,2,3             scale: how many processes there are, each time (default 1,2,3)

Prints a table and writes bench/results/NAME.json. Ratios are to R: opening a sealed box of 32 bytes with sodium-native, measured in the same run.
`;

/** \`./flexid bench\`. */
export async function main(argv: readonly string[]): Promise<number> {
  const flags = argv.findIndex((arg) => arg.startsWith('-'));
  const [names, args] = flags < 0 ? [argv, []] : [argv.slice(0, flags), argv.slice(flags)];
  const help = args.some((arg) => arg === '--help' || arg === '-h');
  if (help && names.length === 1 && HELPED.includes(names[0]!)) {
    await (await import(`./${names[0]}.ts`)).run(['--help']);
    return 0;
  }
  if (help || names.some((name) => !NAMES.includes(name) && !ASKED.includes(name))) {
    (help ? process.stdout : process.stderr).write(HELP);
    return help ? 0 : 2;
  }
  mkdirSync(RESULTS, { recursive: true });
  const programs = openRun();
  // agents may have been started in another process group than the one that a terminal interrupts
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void programs.stop().then(() => process.exit(130)));
  let failed = false;
  for (const name of names.length > 0 ? names : NAMES) {
    process.stdout.write(`\n== ${name}\n`);
    const { run } = (await import(`./${name}.ts`)) as { run: (args: readonly string[]) => Promise<unknown> };
    const rows = await programs.within(() => run(args));
    const about = { name, when: new Date().toISOString(), node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
    writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify({ ...about, rows }, null, 2)}\n`);
    const { failures = [] } = rows as { failures?: readonly string[] };
    for (const failure of failures) process.stderr.write(`FAILED ${failure}\n`);
    failed ||= failures.length > 0;
  }
  return failed ? 1 : 0;
}
