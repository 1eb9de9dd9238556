import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
/** The environment of a wallet, without the variables of launchers, agents and desktops. */
const base = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST|XDG)_/.test(name)));

/** `./flexid edge` as a process of its own: its output, and lines to type. */
export interface EdgeRun {
  readonly process: ChildProcess;
  /** Standard output so far. */
  text(): string;
  errors(): string;
  /** Waits for a text in the output, behind the last one that was waited for. @returns it. @throws Error where the process ends first, or prints nothing for long */
  shows(text: string | RegExp): Promise<string>;
  type(line: string): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** Waits for its end. @returns its exit code */
  ended(): Promise<number | null>;
}

/** The longest silence while a text is waited for. */
const PATIENCE_MS = 300_000;

/** @param log a file for a copy of the output */
export function runEdge(args: readonly string[], env: Readonly<Record<string, string>> = {}, log?: string): EdgeRun {
  const child = spawn(process.execPath, [MAIN, 'edge', ...args], { env: { ...base(), ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const file = log === undefined ? undefined : createWriteStream(log, { flags: 'a' });
  let [out, errors, read] = ['', '', 0];
  const listeners = new Set<() => void>();
  const over = once(child, 'close');
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
    file?.write(chunk);
    changed();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
    file?.write(chunk);
    changed();
  });
  child.stdin.on('error', () => {});
  let isOver = false;
  over.finally(() => {
    isOver = true;
    file?.end();
    changed();
  });
  return {
    process: child,
    text: () => out,
    errors: () => errors,
    shows: (text) =>
      new Promise((resolve, reject) => {
        const end = (settle: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          settle();
        };
        const fail = (why: string): void => end(() => reject(new Error(`${why} without ${text}:\n${out}\n${errors}`)));
        const look = (): void => {
          const found = typeof text === 'string' ? (out.includes(text, read) ? text : undefined) : text.exec(out.slice(read))?.[0];
          if (found !== undefined) {
            read = out.indexOf(found, read) + found.length;
            end(() => resolve(found));
          } else if (isOver) fail('the wallet ended');
          else timer.refresh();
        };
        const timer = setTimeout(() => fail('the wallet waits'), PATIENCE_MS);
        listeners.add(look);
        look();
      }),
    type: (line) => void child.stdin.write(`${line}\n`),
    async kill() {
      child.kill('SIGKILL');
      await over;
    },
    async stop() {
      child.kill('SIGTERM');
      await over;
    },
    async ended() {
      await over;
      return child.exitCode;
    },
  };
}
