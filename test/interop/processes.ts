import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Support for live peers: what has to be installed once, and processes that never outlive the test that started them. */

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where this clone keeps what it has brought. */
export const CACHE = join(ROOT, '.flexid');
const INSTALL_MS = 540_000;
const OUTPUT = 20_000;

export interface Output {
  readonly code: number | null;
  readonly text: string;
}

/** Runs a program to its end; never throws for what it answers, only where it cannot be started. */
export function run(program: string, args: readonly string[], options: SpawnOptions = {}): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: INSTALL_MS, ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        text = (text + chunk).slice(-OUTPUT);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, text }));
  });
}

/** Installs into `folder` unless `stamp` says that it is done; test files that run side by side wait for the one that began. */
export async function installOnce(folder: string, stamp: string, install: () => Promise<Output>): Promise<void> {
  const done = join(folder, stamp);
  const lock = `${folder}.lock`;
  const exists = (path: string) => statSync(path, { throwIfNoEntry: false });
  const deadline = Date.now() + INSTALL_MS;
  mkdirSync(dirname(folder), { recursive: true });
  while (!exists(done)) {
    try {
      mkdirSync(lock);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      // whoever held it longer than an installation may take is gone
      if (Date.now() - (exists(lock)?.mtimeMs ?? Date.now()) > INSTALL_MS) rmSync(lock, { recursive: true, force: true });
      if (Date.now() > deadline) throw new Error(`waited in vain for another installation into ${folder}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
      continue;
    }
    try {
      if (exists(done)) return;
      const { code, text } = await install();
      if (code !== 0) throw new Error(`installing into ${folder} failed:\n${text}`);
      writeFileSync(done, '');
    } finally {
      rmdirSync(lock);
    }
  }
}

export interface Peer {
  readonly child: ChildProcess;
  /** The last of what it wrote on standard error. */
  readonly stderr: () => string;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a peer. Its standard input is a pipe of this process, and a peer ends itself when that closes: so it goes even where this process is killed.
 * @param onLine what is done with a line of standard output
 */
export function startPeer(program: string, args: readonly string[], env: NodeJS.ProcessEnv, onLine: (line: string) => void): Peer {
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  let rest = '';
  child.stdin.on('error', () => undefined);
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk).slice(-OUTPUT);
  });
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
    child.on('error', (error) => {
      stderr += String(error);
      resolve();
    });
  });
  return {
    child,
    stderr: () => stderr,
    ended,
    async stop() {
      child.stdin?.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(timer);
    },
  };
}
