import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createKit, type Kit } from './kit.ts';
import { createScreen } from './screen.ts';
import { onStage } from './stage.ts';

const FOLDER = fileURLToPath(new URL('../', import.meta.url));

/** `run.ts` of an example exports `run`, its `check.ts` exports `check`. Both throw where something is not as it should be. */
export type Part = (kit: Kit) => Promise<void>;

/** Names of the examples, and what each is: the heading of its README. */
export const examples = (): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(FOLDER)
      .sort()
      .filter((name) => existsSync(`${FOLDER}${name}/check.ts`))
      .map((name) => [name, /^# (.*)$/m.exec(readFileSync(`${FOLDER}${name}/README.md`, 'utf8'))?.[1] ?? '']),
  );

/** The check of an example. @param name - one of `examples` */
export const checkOf = async (name: string): Promise<Part> => (await import(`../${name}/check.ts`)).check;

const help = (): string => `./flexid example NAME [--check] [--full] [--keep DIR]

An example on a dev ledger and agents of its own, as processes on free ports. examples/NAME/README.md has its story.

${[...examples()].map(([name, what]) => `  ${name.padEnd(20)} ${what}`).join('\n')}

  --check       asserts what the story promises, in small sizes: ends with "ok NAME", or with the step that failed and exit code 1
  --full        with --check: the sizes of the README
  --keep DIR    leave stores and logs in DIR
  --help        this text
`;

/** `./flexid example`. @returns the exit code: 0, 1 where a step failed, 2 for what is no call of it */
export async function main(argv: readonly string[]): Promise<number> {
  let name: string | undefined;
  let values: { check?: boolean; full?: boolean; keep?: string; help?: boolean };
  try {
    let positionals: string[];
    ({ values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        check: { type: 'boolean' },
        full: { type: 'boolean' },
        keep: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
    if (positionals.length > 1) throw new Error('one example at a time');
    [name] = positionals;
    if (name !== undefined && !examples().has(name)) throw new Error(`no example ${name}: ${[...examples().keys()].join(', ')}`);
    if (name !== undefined && values.full && !values.check)
      throw new Error('--full goes with --check: without it the sizes are those of the README');
  } catch (error) {
    process.stderr.write(`flexid example: ${(error as Error).message}\n`);
    return 2;
  }
  if (values.help || name === undefined) {
    process.stdout.write(help());
    return 0;
  }
  const chosen = name;
  const full = !values.check || values.full === true;
  const code = await onStage(`example ${chosen}`, values.keep, async (stage) => {
    const screen = createScreen();
    const kit = createKit(stage, screen, full);
    const part: Part = values.check ? await checkOf(chosen) : (await import(`../${chosen}/run.ts`)).run;
    await part(kit).finally(screen.end);
    if (values.check) process.stdout.write(`ok ${chosen}\n`);
    return true;
  });
  // parts that run side by side with the step that failed may still wait for something
  if (code !== 0) process.exit(code);
  return code;
}
