import { readFileSync } from 'node:fs';
import { openWallet, type Wallet } from './agent.ts';
import type { Kind } from './cards.ts';
import { Mistake, type Options, optionsOf } from './options.ts';
import { decisionOf, topicsOf } from './questions.ts';
import { createSession, type Session } from './session.ts';
import { interactive, scripted, type Terminal } from './terminal.ts';
import { plain } from './text.ts';
import { VERBS, type Verb } from './verbs/table.ts';

const verbLines = (): string => VERBS.map(({ name, takes, does }) => `  ${`${name} ${takes}`.padEnd(34)} ${does}`).join('\n');

const HELP = `./flexid edge [flag ...] [verb ...]: a wallet in a terminal. Without a verb it stays, asks what others ask, and takes verbs

${verbLines()}
  ${'help'.padEnd(34)} this list
  ${'quit'.padEnd(34)} end; Ctrl-C does the same, and nothing is lost by it

  --agency URL                where mail waits while this is off: the invitation that ./flexid start agency prints. Kept
  --mediator-invitation URL   the same for a mediator that is no agency, as ./flexid start mediator
  --folder DIR                where the wallet lies (default: flexid/edge in $XDG_DATA_HOME, or in ~/.local/share)
  --label NAME                what others see as your name. Kept
  --passphrase                ask for a passphrase, which opens the wallet, in place of a key in a file
  --wallet-key KEY            the same from ACAPY_WALLET_KEY or the command line
  --script FILE               take lines from a file: verbs, yes, no, later, until TEXT (docs/Edge.md)

Flags of ./flexid start for the ledger, for endorsement and for peers count here too (--algod-url, --algorand-app-id, --egress-allow ...), and their
variables; settings.yaml of the folder keeps them, but for --wallet-key and --sponsor-mnemonic.
`;

/** `./flexid edge`. @returns the exit code: 0, 1 for a failure, 2 for an unknown command or flag, 130 after Ctrl-C */
export async function main(argv: readonly string[]): Promise<number> {
  let options: Options;
  let script: string | undefined;
  try {
    options = optionsOf(argv, process.env);
    if (options.help || options.verb === 'help') {
      process.stdout.write(HELP);
      return 0;
    }
    if (options.verb !== undefined) verbOf(options.verb);
    if (options.script !== undefined && options.verb !== undefined) throw new Mistake('--script has its own verbs: leave the verb out');
    script = options.script === undefined ? undefined : scriptOf(options.script);
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    process.stderr.write(`flexid edge: ${error.message}; ./flexid edge --help shows what there is\n`);
    return 2;
  }
  process.umask(0o077);
  const alone = VERBS.find(({ name, alone }) => alone && name === options.verb);
  const interruption = Promise.withResolvers<number>();
  let times = 0;
  const interrupt = (): void => {
    if (++times > 1) process.exit(130);
    interruption.resolve(130);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  // the reader of the output may leave first, as head does
  process.stdout.on('error', () => interrupt());
  let opened: Opened | undefined;
  try {
    const run = alone
      ? alone.alone!(options, options.args)
      : open(options, script, interrupt, (one) => {
          opened = one;
        }).then((one) => perform(one.session, options));
    return await Promise.race([run, interruption.promise]);
  } catch (error) {
    process.stderr.write(`flexid edge: ${expected(error) ? plain((error as Error).message, 2000) : (error as Error).stack}\n`);
    return 1;
  } finally {
    opened?.terminal.close();
    await opened?.wallet.close();
    for (const signal of signals) process.off(signal, interrupt);
    // neither a wallet that is half open nor a verb that waits delays the end
    if (times > 0) process.exit(130);
  }
}

interface Opened {
  readonly wallet: Wallet;
  readonly terminal: Terminal;
  readonly session: Session;
}

async function open(
  options: Options,
  script: string | undefined,
  interrupt: () => void,
  isOpen: (opened: Opened) => void,
): Promise<Opened> {
  const wallet = await openWallet(options, process.env);
  const terminal = script === undefined ? interactive(interrupt) : scripted(script);
  const session = createSession(wallet.api, terminal, { mailbox: wallet.mailbox, stays: options.verb === undefined });
  const opened = { wallet, terminal, session };
  isOpen(opened);
  return opened;
}

/** A mistake or a refusal is shown as a sentence; a defect with its place in the code. */
const expected = (error: unknown): boolean =>
  !(error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError || error instanceof SyntaxError);

function scriptOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Mistake(`--script: ${(error as Error).message}`);
  }
}

/** @throws Mistake for an unknown verb */
function verbOf(name: string): Verb {
  const verb = VERBS.find((one) => one.name === name);
  if (!verb) throw new Mistake(`no verb ${plain(name, 40)}`);
  return verb;
}

/** One verb, a script, or a conversation. @returns the exit code */
async function perform(session: Session, { verb, args, script }: Options): Promise<number> {
  if (verb !== undefined) await verbOf(verb).run!(session, args);
  else if (script !== undefined) await follow(session);
  else await converse(session);
  return 0;
}

const wordsOf = (line: string): [string, string[]] => {
  const [word = '', ...args] = line.split(/\s+/);
  return [word, args];
};

async function runLine(session: Session, word: string, args: readonly string[]): Promise<void> {
  if (word === 'help' || word === '?') session.terminal.print(`${verbLines()}\n  quit`);
  else if (decisionOf(word)) session.terminal.print('Nothing is asked now.');
  else {
    const { run, name } = verbOf(word);
    if (!run) throw new Error(`${name} is for the command line, while no wallet is open`);
    await run(session, args);
  }
}

/** Runs the lines of a script; the first failure ends it. */
async function follow(session: Session): Promise<void> {
  const { terminal, questions } = session;
  for (;;) {
    const line = await terminal.line('> ');
    if (typeof line !== 'string' || line === 'quit') return;
    const [word, args] = wordsOf(line);
    const decision = decisionOf(word);
    if (word === 'until') await terminal.printed(line.slice('until'.length).trim());
    else if (decision) await questions.ask(await questions.come(kindOf(args[0])), decision);
    else await runLine(session, word, args);
  }
}

function kindOf(word: string | undefined): Kind | undefined {
  if (word === undefined || word === 'offer' || word === 'request') return word;
  throw new Error(`a decision is about an offer or a request, not about ${plain(word, 40)}`);
}

/** Takes verbs, and shows questions as they come, but never between lines that are typed ahead. */
async function converse(session: Session): Promise<void> {
  const { api, terminal, questions } = session;
  const topics = topicsOf();
  let wake = new AbortController();
  api.on((topic) => {
    if (topic === undefined || topics.includes(topic))
      questions.next().then(
        (question) => question && wake.abort(),
        () => {},
      );
  });
  terminal.print('Your wallet is open. help shows what you can do; quit ends it.');
  for (;;) {
    wake = new AbortController();
    try {
      const question = terminal.waiting ? undefined : await questions.next();
      if (question) {
        if ((await questions.ask(question)) === undefined) return;
        continue;
      }
      const line = await terminal.line('> ', wake.signal);
      if (line === undefined || line === 'quit') return;
      if (line === null || line === '') continue;
      await runLine(session, ...wordsOf(line));
    } catch (error) {
      if (!expected(error)) throw error;
      terminal.print(`${plain((error as Error).message, 1000)}.`);
    }
  }
}
