import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A program that answers commands, a JSON object per line (`serve.mjs` in examples/music-service). */
export interface Commanded {
  readonly pid: number;
  /** @throws CommandFailed */
  // biome-ignore lint/suspicious/noExplicitAny: a program's answer is as free as JSON
  ask(command: string, members?: object): Promise<any>;
  stop(): Promise<void>;
}

/** A program's error for a command. */
export class CommandFailed extends Error {
  /** The HTTP status of the cause, where there was one. */
  readonly status?: number;
  constructor(command: string, { name, message, status }: { name: string; message: string; status?: number }) {
    super(`${command}: ${message}`);
    this.name = name;
    this.status = status;
  }
}

/** Starts a program, which ends when its input does: so it goes even where this process is killed. */
export async function startCommanded(script: string): Promise<Commanded> {
  const child: ChildProcess = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = new Map<number, (line: { ok?: unknown; error?: { name: string; message: string; status?: number } }) => void>();
  const ready = Promise.withResolvers<void>();
  let words = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    words = (words + chunk).slice(-2000);
  });
  child.stdin!.on('error', () => {});
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { event, call, ...rest } = JSON.parse(line);
    if (event === 'ready') ready.resolve();
    waiting.get(call)?.(rest);
    waiting.delete(call);
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      const gone = { name: 'Error', message: `it has ended: ${words}` };
      for (const answer of waiting.values()) answer({ error: gone });
      waiting.clear();
      ready.reject(new Error(`${script} ${gone.message}`));
      resolve();
    });
  });
  await ready.promise;
  let asked = 0;
  return {
    pid: child.pid!,
    ask: (command, members = {}) =>
      new Promise((resolve, reject) => {
        const call = ++asked;
        waiting.set(call, ({ ok, error }) => (error ? reject(new CommandFailed(command, error)) : resolve(ok)));
        child.stdin!.write(`${JSON.stringify({ ...members, call, do: command })}\n`);
      }),
    async stop() {
      child.stdin!.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(timer);
    },
  };
}
