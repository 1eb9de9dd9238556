import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { checkedWords, newWords } from '../src/backup/recovery.ts';
import { backUp, restore, setUp, setupOf } from './backup.ts';
import { paperOf } from './paper.ts';
import { sharesOf, wordsOfShares } from './shares.ts';

const HELP = `Backups of a wallet (docs/Backup.md), which is not open meanwhile

  ./flexid edge backup                 write a backup in the place of the last one
  ./flexid edge backup PLACE           choose where backups go: a folder on another disk, or one that is synchronised. Makes 24 words and prints them once
      --words FILE                     take these words in place of new ones
      --paper FILE.pdf                 write them on a sheet instead, with a QR code and the steps of a restore
      --shares N                       print N shares too, for people that you trust; two are enough
  ./flexid edge restore PLACE          make the wallet again, of the newest backup there or of one file, by the words
      --words FILE                     the words; - for standard input, the default
      --shares FILE                    lines with shares, in place of the words
      --at-least N                     refuse a backup that is older than the one of this number
`;

export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  print(text: string): void;
}

const OPTIONS = {
  words: { type: 'string' },
  shares: { type: 'string' },
  paper: { type: 'string' },
  'at-least': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** The wallet of a device: its folder, and its key where none lies in the folder. */
export interface Device {
  readonly folder: string;
  readonly walletKey?: string;
}

/** The verbs `backup` and `restore`. @returns the exit code. @throws Error with one sentence for people */
export async function recoveryVerb(
  verb: 'backup' | 'restore',
  argv: readonly string[],
  { folder, walletKey }: Device,
  terminal: Terminal = { input: process.stdin, print: (line) => void process.stdout.write(`${line}\n`) },
): Promise<number> {
  const { values, positionals } = parsed(argv);
  if (values.help || positionals.length > 1) {
    terminal.print(HELP);
    return values.help ? 0 : 2;
  }
  const [place] = positionals;
  if (verb === 'backup') {
    if (place !== undefined) await begin(folder, resolve(place), values, terminal);
    else if (!setupOf(folder)) throw new Error('there are no backups yet: choose a place for them, as in backup /media/disk/wallet');
    const { file, generation } = await backUp(folder, walletKey);
    terminal.print(`Backup ${generation} is in ${file}.`);
    return 0;
  }
  if (place === undefined) throw new Error('restore takes the place of the backups, or one of them');
  const least = values['at-least'];
  if (least !== undefined && !/^\d{1,15}$/.test(least)) throw new Error(`--at-least takes a number, not ${least}`);
  const words = await givenWords(values, terminal);
  const order = { folder, from: resolve(place), words, walletKey };
  const { warnings } = await restore({ ...order, ...(least !== undefined && { atLeast: Number(least) }) });
  for (const warning of warnings) terminal.print(warning);
  terminal.print(`The wallet is in ${folder}.`);
  return 0;
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Error((error as Error).message.replace(/ To specify a positional.*$/s, ''));
  }
}

type Values = { readonly [name in keyof typeof OPTIONS]?: string | boolean };

/** Makes words, or takes them, and shows them this one time; only then they count. */
async function begin(folder: string, place: string, values: Values, terminal: Terminal): Promise<void> {
  if (!existsSync(join(folder, 'wallet.db'))) throw new Error(`there is no wallet in ${folder}`);
  if (`${place}/`.startsWith(`${resolve(folder)}/`)) throw new Error('a backup beside its wallet is lost with it: choose another place');
  const count = values.shares === undefined ? 0 : Number(values.shares);
  if (!Number.isInteger(count) || count < 0 || count === 1 || count > 16) throw new Error('--shares takes a number from 2 to 16');
  const isNew = typeof values.words !== 'string';
  const words = isNew ? newWords() : checkedWords(await textOf(values.words as string, terminal));
  if (typeof values.paper === 'string') {
    writeFileSync(values.paper, await paperOf(words), { mode: 0o600, flag: 'wx' });
    terminal.print(`The words are in ${values.paper}: print it, and delete the file.`);
  } else if (isNew) terminal.print(`Write these words down, in this order. They are stored nowhere else.\n\n${numbered(words)}\n`);
  if (count > 0) terminal.print(`${(await sharesOf(words, count)).join('\n')}\n`);
  await setUp(folder, place, words);
}

const numbered = (words: string): string =>
  words
    .split(' ')
    .map((word, at) => `${String(at + 1).padStart(2)} ${word}`.padEnd(14) + ((at + 1) % 4 === 0 ? '\n' : ''))
    .join('')
    .replace(/ +$/gm, '')
    .trimEnd();

async function givenWords({ words, shares }: Values, terminal: Terminal): Promise<string> {
  if (typeof shares === 'string')
    return await wordsOfShares((await textOf(shares, terminal)).split('\n').filter((line) => line.trim() !== ''));
  return checkedWords(await textOf(typeof words === 'string' ? words : '-', terminal));
}

const textOf = async (name: string, { input }: Terminal): Promise<string> =>
  name === '-' ? await text(input) : readFileSync(name, 'utf8');
