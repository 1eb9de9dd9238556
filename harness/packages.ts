import { type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What has to be installed once: packages of folders that have a lock file of their own. */

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

/** Installs what the package in a folder depends on where it is not yet; again where its lock file has changed. */
export const bringPackages = (folder: string): Promise<void> => {
  const lock = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex')
    .slice(0, 16);
  return installOnce(join(folder, 'node_modules'), `.installed-${lock}`, () =>
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder }),
  );
};
