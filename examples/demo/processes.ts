import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A program of the demo as a process of its own, that can be killed and started again. */
export interface Program {
  readonly name: string;
  start(): Promise<void>;
  /** SIGKILL: nothing is said to it. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL where that does not help. */
  stop(): Promise<void>;
  readonly pid?: number;
  /** Of the last run, when it is over by itself or by SIGTERM. */
  readonly exitCode?: number | null;
}

/** Ports that were given: who got one may not listen on it yet, and the system may choose it again. */
const given = new Set<number>();

/** A port that nobody listens on now, and that was given to nobody before. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (given.has(port)) return freePort();
  given.add(port);
  return port;
}

/**
 * A program of this repository. It is ready when `ready` says so of what it printed (or of its address); its output goes to `<folder>/<name>.log`.
 */
export function program(
  name: string,
  folder: string,
  script: string,
  args: readonly string[],
  isReady: (output: string) => boolean | Promise<boolean>,
  env: Record<string, string> = {},
): Program {
  let child: ChildProcess | undefined;
  const gone = (process: ChildProcess): Promise<void> =>
    new Promise((resolve) => {
      if (process.exitCode !== null || process.signalCode !== null) resolve();
      else process.once('exit', () => resolve());
    });
  return {
    name,
    get pid() {
      return child?.pid;
    },
    get exitCode() {
      return child?.exitCode;
    },
    async start() {
      const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
      const started = spawn(process.execPath, [join(ROOT, script), ...args], {
        cwd: folder,
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = started;
      let output = '';
      for (const stream of [started.stdout, started.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          log.write(chunk);
          if (output.length < 100_000) output += chunk.toString('utf8');
        });
      }
      started.once('exit', () => log.end());
      const deadline = Date.now() + 30_000;
      while (!(await isReady(output))) {
        if (started.exitCode !== null || started.signalCode !== null)
          throw new Error(`${name} ended while it started:\n${output.slice(-2000)}`);
        if (Date.now() > deadline) throw new Error(`${name} was not ready in 30 s:\n${output.slice(-2000)}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    async kill() {
      if (!child) return;
      child.kill('SIGKILL');
      await gone(child);
    },
    async stop() {
      if (!child) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child?.kill('SIGKILL'), 10_000);
      await gone(child);
      clearTimeout(timer);
    },
  };
}

/** Whether a URL answers 200. */
export const answers = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
};
