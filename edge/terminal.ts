import { createInterface, cursorTo, clearLine as eraseLine, type Interface } from 'node:readline';

/** The source and the target of lines: a person at a terminal, a pipe, or the file of --script. */
export interface Terminal {
  /** Whether lines come from the file of a script. */
  readonly scripted: boolean;
  readonly columns: number;
  print(text: string): void;
  /** The next line; undefined at the end of the input; `null` where the signal came first. */
  line(prompt: string, signal?: AbortSignal): Promise<string | undefined | null>;
  /** Whether a line is there that no call has read. */
  readonly waiting: boolean;
  /** Resolves when the output has this text, after the place of the last one that was waited for. */
  printed(text: string): Promise<void>;
  close(): void;
}

/** A second fence behind `plain`: nothing that is printed controls the terminal. */
const CONTROL = /[^\n\P{Cc}]/gu;
const NARROW = 40;
const USUAL = 80;
/** How much of the output is searched for a text that a script waits for. */
const REMEMBERED = 1 << 20;

/** The output, for scripts that wait for a text in it. */
function memory() {
  let all = '';
  const waiters = new Set<() => void>();
  return {
    add(text: string): void {
      all = `${all}${text}\n`.slice(-REMEMBERED);
      for (const look of [...waiters]) look();
    },
    printed: (text: string): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          const at = all.indexOf(text);
          if (at < 0) return;
          all = all.slice(at + text.length);
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      }),
  };
}

/** Lines of the input, and the call that waits for one. */
function lineQueue() {
  const lines: string[] = [];
  let ended = false;
  let taker: ((line: string | undefined | null) => void) | undefined;
  const give = (): void => {
    if (!taker || (lines.length === 0 && !ended)) return;
    const take = taker;
    taker = undefined;
    take(lines.shift());
  };
  return {
    add(line: string): void {
      lines.push(line);
      give();
    },
    end(): void {
      ended = true;
      give();
    },
    get waiting(): boolean {
      return lines.length > 0;
    },
    next: (signal?: AbortSignal): Promise<string | undefined | null> =>
      new Promise((resolve) => {
        if (signal?.aborted && lines.length === 0) return resolve(null);
        const stop = (): void => {
          if (taker === take) taker = undefined;
          resolve(null);
        };
        const take = (line: string | undefined | null): void => {
          signal?.removeEventListener('abort', stop);
          resolve(line);
        };
        signal?.addEventListener('abort', stop, { once: true });
        taker = take;
        give();
      }),
  };
}

/** A terminal whose lines are those of a script; each is printed before it runs. */
export function scripted(script: string): Terminal {
  const { add, printed } = memory();
  const lines = script.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  const print = (text: string): void => {
    const shown = text.replace(CONTROL, '\u{FFFD}');
    process.stdout.write(`${shown}\n`);
    add(shown);
  };
  return {
    scripted: true,
    columns: USUAL,
    print,
    printed,
    get waiting() {
      return lines.length > 0;
    },
    async line(prompt) {
      const line = lines.shift()?.trim();
      // not part of the output that `printed` searches: a script waits for the program's words alone
      if (line !== undefined) process.stdout.write(`${prompt}${line.replace(CONTROL, '\u{FFFD}')}\n`);
      return line;
    },
    close() {},
  };
}

/** The terminal of this process, or the pipe in its place. The first call of `line` begins to read: a verb without questions leaves its input alone. */
export function interactive(interrupted: () => void): Terminal {
  const { stdin: input, stdout: output } = process;
  const terminal = input.isTTY === true && output.isTTY === true;
  const queue = lineQueue();
  const { add, printed } = memory();
  let prompting = false;
  let reader: Interface | undefined;
  const opened = (): Interface => {
    if (reader) return reader;
    reader = createInterface({ input, output: terminal ? output : undefined, terminal, prompt: '' });
    reader.on('line', (line) => queue.add(line.trim()));
    reader.on('close', () => queue.end());
    reader.on('SIGINT', interrupted);
    return reader;
  };
  const blank = (): void => {
    cursorTo(output, 0);
    eraseLine(output, 0);
  };
  return {
    scripted: false,
    get columns() {
      return Math.max(NARROW, output.columns ?? USUAL);
    },
    get waiting() {
      return queue.waiting;
    },
    printed,
    print(text) {
      const shown = text.replace(CONTROL, '\u{FFFD}');
      if (terminal && prompting) blank();
      output.write(`${shown}\n`);
      add(shown);
      if (terminal && prompting) reader?.prompt(true);
    },
    async line(prompt, signal) {
      const lines = opened();
      prompting = true;
      lines.setPrompt(prompt);
      if (terminal) lines.prompt(true);
      const line = await queue.next(signal);
      prompting = false;
      // a line that was begun before a question is no answer to it
      if (line === null && terminal) {
        blank();
        lines.write(null, { ctrl: true, name: 'u' });
      }
      return line;
    },
    close: () => reader?.close(),
  };
}

/** Asks for a passphrase without showing it. @returns undefined without a terminal, and after Ctrl-C */
export async function hidden(prompt: string): Promise<string | undefined> {
  const { stdin: input, stderr } = process;
  if (input.isTTY !== true) return undefined;
  // before the prompt: nothing that is typed at it may show
  input.setRawMode(true);
  try {
    stderr.write(prompt);
    return await typed(input);
  } finally {
    input.setRawMode(false);
    input.pause();
    stderr.write('\n');
  }
}

/** The typed text up to Enter; undefined after Ctrl-C or Ctrl-D. */
function typed(input: NodeJS.ReadStream): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      for (const letter of chunk.toString('utf8')) {
        if (letter === '\r' || letter === '\n' || letter === '\u0003' || letter === '\u0004') {
          input.off('data', onData);
          resolve(letter === '\r' || letter === '\n' ? text : undefined);
          return;
        }
        text = letter === '\u007f' || letter === '\b' ? [...text].slice(0, -1).join('') : text + letter;
      }
    };
    input.on('data', onData);
    input.resume();
  });
}
