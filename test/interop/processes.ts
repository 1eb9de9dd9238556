import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export { bringPackages, installOnce, type Output, run } from '../../harness/packages.ts';

/** Support for live peers: what has to be installed once, and processes that never outlive the test that started them. */

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where this clone keeps what it has brought. */
export const CACHE = join(ROOT, '.flexid');
const OUTPUT = 20_000;

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
