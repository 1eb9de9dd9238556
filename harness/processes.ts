import { AsyncLocalStorage } from 'node:async_hooks';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createWriteStream, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** V8's bounds as the launcher has them; what stands in NODE_OPTIONS already comes later, and wins. */
const HEAP = '--max-semi-space-size=8';
/** glibc's, likewise. */
const MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' };
const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** A program of the demo as a process of its own, that can be killed and started again. */
export interface Program {
  readonly name: string;
  /** Resolves when it is ready: however long that takes, as long as it lives and makes progress. @throws Error with its last words where it does not */
  start(): Promise<void>;
  /** SIGKILL: nothing is said to it. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL where that does not help. */
  stop(): Promise<void>;
  readonly pid?: number;
  /** Of the last run, when it is over by itself or by SIGTERM. */
  readonly exitCode?: number | null;
}

/** How long a program may be without a word and without a second of processor time. */
const STUCK_MS = 180_000;
/** How often somebody who waits for one is told so. */
const STILL_MS = 15_000;
/** Longer than an agent drains. */
const STOP_MS = 40_000;
const LAST_LINES = 15;
/** The programs that one piece of work starts, in whatever it calls and waits for: others in the same process have their own. */
export interface Run {
  /** Never resolves. @throws Error of the first program that ended, once it was ready, though nobody told it to; with its last words */
  readonly unharmed: Promise<never>;
  /** Does the work; programs that are made in it belong to this run. */
  within<T>(work: () => Promise<T>): Promise<T>;
  /** Stops whatever runs, and lets nothing of this run start after it: the work may not know yet that it is over. */
  stop(): Promise<void>;
}

interface Programs {
  readonly running: Set<Program>;
  over: boolean;
  lose(what: string): void;
}
const programsOfRun = new AsyncLocalStorage<Programs>();

export function openRun(): Run {
  const programs: Programs = { running: new Set(), over: false, lose: () => {} };
  const unharmed = new Promise<never>((_resolve, reject) => {
    programs.lose = (what) => reject(new Error(what));
  });
  // whoever is interested races with it
  unharmed.catch(() => {});
  return {
    unharmed,
    within: (work) => programsOfRun.run(programs, work),
    async stop() {
      programs.over = true;
      await Promise.allSettled([...programs.running].map((one) => one.stop()));
    },
  };
}

/**
 * Ports are given from blocks below those that systems choose by themselves: nobody else gets one between the moment that it is given and the start of whoever
 * listens there. A process listens on the first port of its block, so that no two have the same.
 */
const BLOCKS = { from: 12_000, to: 32_000, size: 100 };

/** Listens on a port. @returns undefined where somebody does already */
async function listenerAt(port: number): Promise<Server | undefined> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

async function openBlock(): Promise<() => number> {
  const count = (BLOCKS.to - BLOCKS.from) / BLOCKS.size;
  const begin = randomInt(count);
  for (let i = 0; i < count; i++) {
    const first = BLOCKS.from + ((begin + i) % count) * BLOCKS.size;
    const mark = await listenerAt(first);
    if (!mark) continue;
    mark.unref();
    let given = 0;
    return () => first + 1 + (given++ % (BLOCKS.size - 1));
  }
  throw new Error(`no block of ports between ${BLOCKS.from} and ${BLOCKS.to} is free`);
}

let block: Promise<() => number> | undefined;

/** A port that nobody listens on now; of this process, one that was given longest ago. */
export async function freePort(): Promise<number> {
  block ??= openBlock();
  const next = await block;
  for (let i = 1; i < BLOCKS.size; i++) {
    const port = next();
    const server = await listenerAt(port);
    if (!server) continue;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  }
  throw new Error('no port of this process is free');
}

/**
 * A program of this repository. Its output goes to `<folder>/<name>.log`.
 *
 * @param isReady - asked again and again, of what it printed (or of its address): true, or why it is not ready yet
 */
export function program(
  name: string,
  folder: string,
  script: string,
  args: readonly string[],
  isReady: (output: string) => boolean | string | Promise<boolean | string>,
  env: Record<string, string> = {},
): Program {
  // not those of the moment when it starts: that may be in a call of somebody else
  const run = programsOfRun.getStore();
  let child: ChildProcess | undefined;
  let wanted = false;
  const ended = (process: ChildProcess): Promise<void> =>
    new Promise((resolve) => {
      if (process.exitCode !== null || process.signalCode !== null) resolve();
      else process.once('exit', () => resolve());
    });
  const one: Program = {
    name,
    get pid() {
      return child?.pid;
    },
    get exitCode() {
      return child?.exitCode;
    },
    async start() {
      if (run?.over) throw new Error(`${name} is not started: everything was stopped`);
      const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
      const started = spawn(process.execPath, [join(ROOT, script), ...args], {
        cwd: folder,
        env: {
          ...MALLOC,
          ...process.env,
          ...(script === 'src/main.ts' && { NODE_OPTIONS: `${HEAP} ${process.env.NODE_OPTIONS ?? ''}`.trim() }),
          ...env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = started;
      wanted = true;
      run?.running.add(one);
      let output = '';
      let tail = '';
      for (const stream of [started.stdout, started.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          const text = chunk.toString('utf8');
          if (!log.writableEnded) log.write(chunk);
          if (output.length < 100_000) output += text;
          tail = (tail + text).slice(-4000);
        });
      }
      const words = (): string => lastWords(tail);
      let ready = false;
      // not `exit`: the last words may still be in the pipe then
      started.once('close', (code, signal) => {
        log.end();
        if (child === started) run?.running.delete(one);
        if (ready && wanted && child === started) run?.lose(`${name} ended ${howOf(code, signal)}; ${words()}`);
      });
      started.once('error', (error) => {
        tail += error.message;
      });
      await untilReady(name, started, async () => await isReady(output), words);
      ready = true;
    },
    async kill() {
      if (!child) return;
      wanted = false;
      child.kill('SIGKILL');
      await ended(child);
    },
    async stop() {
      if (!child) return;
      wanted = false;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_MS);
      await ended(child);
      clearTimeout(timer);
    },
  };
  return one;
}

/**
 * Waits for a process that starts. No time is too long for one that lives and does something: how fast the machine is, is not known here.
 * @param words - what it said last
 */
export async function untilReady(
  name: string,
  child: ChildProcess,
  isReady: () => Promise<boolean | string>,
  words: () => string,
  { stuckMs = STUCK_MS, stillMs = STILL_MS } = {},
): Promise<void> {
  const began = Date.now();
  let [progress, logged] = [began, began];
  let seen = '';
  let worked = 0;
  for (;;) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
      // what it wrote at last comes after its end
      await new Promise((resolve) => setTimeout(resolve, 100));
      throw new Error(`${name} ended ${howOf(child.exitCode, child.signalCode)} while it started; ${words()}`);
    }
    const answer = await isReady();
    if (answer === true) return;
    const now = Date.now();
    const spent = processorSeconds(child.pid) ?? 0;
    if (words() !== seen || spent >= worked + 1) [progress, seen, worked] = [now, words(), spent];
    const why = typeof answer === 'string' ? answer : 'it has not said that it is ready';
    const seconds = Math.round((now - began) / 1000);
    if (now - progress > stuckMs) throw new Error(`${name} makes no progress: not ready after ${seconds} s, ${why}; ${words()}`);
    if (now - logged > stillMs) {
      logged = now;
      process.stderr.write(`           ${name} is still starting after ${seconds} s: ${why}\n`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const howOf = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal ? `by ${signal}` : code === null ? 'before it ran' : `with exit code ${code}`;

/** The last lines of an output, for people. Never empty. */
const lastWords = (output: string): string => {
  const lines = output.trim().split('\n').slice(-LAST_LINES);
  return lines.join('') === '' ? 'it printed nothing' : `its last lines:\n${lines.map((line) => `  ${line.slice(0, 400)}`).join('\n')}`;
};

/** What a process has had of the processor, in seconds; undefined where the system does not tell. */
function processorSeconds(pid: number): number | undefined {
  try {
    // after the name, which may hold anything: fields 14 and 15 of proc(5), in ticks of 10 ms
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return undefined;
  }
}

/** Whether a URL answers 200; if not, why. */
export const answers = async (url: string): Promise<true | string> => {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    if (answer.ok) return true;
    return `${url} answers ${answer.status} ${(await answer.text()).slice(0, 300)}`.trim();
  } catch (error) {
    const { cause, message } = error as Error;
    return `${url} does not answer (${(cause as NodeJS.ErrnoException | undefined)?.code ?? message})`;
  }
};
