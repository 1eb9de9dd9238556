import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openRun } from '../../harness/processes.ts';

/** Registers a part, which is stopped at the end, the newest first. */
export type Open = <T extends { stop(): Promise<void> }>(making: Promise<T>) => Promise<T>;

/** Everything that was opened, or is being opened. */
export function createStack(): { readonly open: Open; stop(): Promise<void> } {
  const opened: Promise<{ stop(): Promise<void> }>[] = [];
  const open: Open = async (making) => {
    opened.unshift(making);
    return await making;
  };
  return {
    open,
    async stop() {
      for (const one of opened) await one.then((it) => it.stop()).catch(() => {});
    },
  };
}

/** Arguments in which `--keep` alone, without a folder after it, has a new one. */
export function withFolder(argv: readonly string[], make = (): string => mkdtempSync(join(tmpdir(), 'flexid-kept-'))): string[] {
  return argv.flatMap((one, i) => (one === '--keep' && (argv[i + 1] ?? '--').startsWith('-') ? [one, make()] : [one]));
}

export interface Stage {
  /** For stores and logs. */
  readonly folder: string;
  readonly open: Open;
}

/**
 * A folder and processes around a run, which are gone after it: where it succeeds, fails, is interrupted, or one of its processes dies.
 *
 * @param command - the command's name, for the error
 * @param keep - the folder that stays; by default a temporary one
 * @param run - returns whether all was right
 * @returns the exit code: 0, 1, or 130 after SIGINT or SIGTERM
 */
export async function onStage(command: string, keep: string | undefined, run: (stage: Stage) => Promise<boolean>): Promise<number> {
  const folder = keep ? resolve(keep) : mkdtempSync(join(tmpdir(), `flexid-${command.replaceAll(' ', '-')}-`));
  if (keep) mkdirSync(folder, { recursive: true });
  const { open, stop } = createStack();
  const programs = openRun();
  let interrupted = false;
  let interrupt = (): void => {};
  const interruption = new Promise<never>((_resolve, reject) => {
    interrupt = () => {
      interrupted = true;
      reject(new Error('interrupted'));
    };
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  try {
    // a process that dies is the reason, not what it no longer answers
    const right = await Promise.race([programs.within(() => run({ folder, open })), programs.unharmed, interruption]);
    return right ? 0 : 1;
  } catch (error) {
    if (interrupted) return 130;
    process.stderr.write(`\nflexid ${command} failed at: ${(error as Error).message}\n`);
    if (!keep) process.stderr.write('Run it with --keep DIR to look at the logs.\n');
    return 1;
  } finally {
    await programs.stop();
    await stop();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
    if (!keep) rmSync(folder, { recursive: true, force: true });
    // a part of the run that was interrupted may still wait for something
    if (interrupted) process.exit(130);
  }
}
