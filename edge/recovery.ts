import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { checkedWords, newWords, recoveryKeys } from '../src/backup/recovery.ts';
import { backUpToAgency, foundAtAgency, guestOf, openAtAgency } from './agency-backup.ts';
import type { Wallet } from './agent.ts';
import { backUp, type Restored, type RestoreOrder, restore, setUp, setUpAgency, setupOf } from './backup.ts';
import { paperOf } from './paper.ts';
import { sharesOf, wordsOfShares } from './shares.ts';

const HELP = `Backups of a wallet (docs/Backup.md), which is not open meanwhile

  ./flexid edge backup                 write a backup where the last one went
  ./flexid edge backup PLACE           choose where backups go: a folder on another disk, or one that is synchronised. Makes 24 words and prints them once
  ./flexid edge backup --to-agency     the same at the agency that takes the mail, which cannot read them; with PLACE, at both
      --words FILE                     take these words in place of new ones
      --paper FILE.pdf                 write them on a sheet instead, with a QR code and the steps of a restore
      --shares N                       print N shares too, for people that you trust; two are enough
  ./flexid edge restore PLACE          make the wallet again, of the newest backup there or of one file, by the words
  ./flexid edge restore --from-agency URL
                                       the same of the newest one at an agency: its invitation, as ./flexid start agency prints it
      --words FILE                     the words; - for standard input, the default
      --shares FILE                    lines with shares, in place of the words
      --at-least N                     refuse a backup that is older than the one of this number

Flags of ./flexid edge stand before the verb: ./flexid edge --folder DIR restore ...
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
  'to-agency': { type: 'boolean' },
  'from-agency': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** The wallet of a device: its folder, and its key where none lies in the folder. */
export interface Device {
  readonly folder: string;
  readonly walletKey?: string;
  /** Opens the wallet, whose end writes no backup. */
  open?(): Promise<Wallet>;
  /** Opens a wallet that is nobody's, connected with an agency by its invitation, in a folder of its own. */
  openGuest?(folder: string, invitation: string): Promise<Wallet>;
}

/** The verbs `backup` and `restore`. @returns the exit code. @throws Error with one sentence for people */
export async function recoveryVerb(
  verb: 'backup' | 'restore',
  argv: readonly string[],
  device: Device,
  terminal: Terminal = { input: process.stdin, print: (line) => void process.stdout.write(`${line}\n`) },
): Promise<number> {
  const { values, positionals } = parsed(argv);
  if (values.help || positionals.length > 1) {
    terminal.print(HELP);
    return values.help ? 0 : 2;
  }
  const [place] = positionals;
  if (verb === 'backup') await backUpTo(place, values, device, terminal);
  else await restoreFrom(place, values, device, terminal);
  return 0;
}

/** Chooses places of backups, where some are named, and writes a backup to each. */
async function backUpTo(place: string | undefined, values: Values, device: Device, terminal: Terminal): Promise<void> {
  const { folder, walletKey } = device;
  if (values['from-agency'] !== undefined) throw new Error('--from-agency is for restore');
  if (place !== undefined || values['to-agency']) await begin(place === undefined ? undefined : resolve(place), values, device, terminal);
  const setup = setupOf(folder);
  if (!setup) throw new Error('there are no backups yet: choose a place for them, as in backup /media/disk/wallet, or backup --to-agency');
  if (setup.agency !== undefined) {
    const generation = await opened(device, (wallet) => backUpToAgency(wallet));
    terminal.print(`Backup ${generation} is at the agency.`);
  }
  if (setup.place === undefined) return;
  const { file, generation } = await backUp(folder, walletKey);
  terminal.print(`Backup ${generation} is in ${file}.`);
}

async function restoreFrom(place: string | undefined, values: Values, device: Device, terminal: Terminal): Promise<void> {
  const { folder, walletKey } = device;
  const agency = values['from-agency'];
  if ((place === undefined) === (agency === undefined))
    throw new Error('restore takes the place of the backups, or one of them, or --from-agency URL');
  const least = values['at-least'];
  if (least !== undefined && !/^\d{1,15}$/.test(String(least))) throw new Error(`--at-least takes a number, not ${least}`);
  const words = await givenWords(values, terminal);
  const order = { folder, words, walletKey, ...(least !== undefined && { atLeast: Number(least) }) };
  const { warnings } =
    place === undefined ? await restoreFromAgency(order, device, String(agency)) : await restore({ ...order, from: resolve(place) });
  for (const warning of warnings) terminal.print(warning);
  terminal.print(`The wallet is in ${folder}.`);
}

/** Fetches the newest backup at an agency that opens, and makes the wallet of it. Backups go on there, under the same words. */
async function restoreFromAgency(order: Omit<RestoreOrder, 'from'>, { openGuest }: Device, invitation: string): Promise<Restored> {
  const { folder, words } = order;
  if (existsSync(join(folder, 'wallet.db'))) throw new Error(`there is a wallet in ${folder} already`);
  const place = mkdtempSync(join(tmpdir(), 'flexid-restore-'));
  const warnings: string[] = [];
  const guest = await openGuest!(join(place, 'guest'), invitation);
  try {
    const { backups, fetch } = await foundAtAgency(await guestOf(guest), recoveryKeys(words));
    for (const backup of backups) {
      const from = join(place, 'backup');
      try {
        writeFileSync(from, await fetch(backup), { mode: 0o600 });
        const restored = await restore({ ...order, from });
        await setUpAgency(folder, words);
        return { ...restored, warnings: [...warnings, ...restored.warnings] };
      } catch (error) {
        if (existsSync(join(folder, 'wallet.db'))) throw error;
        warnings.push(`Backup ${backup.generation} at the agency was passed over: ${(error as Error).message}.`);
      }
    }
    throw new Error(['the agency has no backup that these words open', ...warnings].join('. '));
  } finally {
    await guest.close();
    rmSync(place, { recursive: true, force: true });
  }
}

/** Runs something with the open wallet. */
async function opened<T>({ folder, open }: Device, run: (wallet: Wallet) => Promise<T>): Promise<T> {
  if (!existsSync(join(folder, 'wallet.db'))) throw new Error(`there is no wallet in ${folder}`);
  const wallet = await open!();
  try {
    return await run(wallet);
  } finally {
    await wallet.close();
  }
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
async function begin(place: string | undefined, values: Values, device: Device, terminal: Terminal): Promise<void> {
  const { folder } = device;
  if (!existsSync(join(folder, 'wallet.db'))) throw new Error(`there is no wallet in ${folder}`);
  if (place !== undefined && `${place}/`.startsWith(`${resolve(folder)}/`))
    throw new Error('a backup beside its wallet is lost with it: choose another place');
  const count = values.shares === undefined ? 0 : Number(values.shares);
  if (!Number.isInteger(count) || count < 0 || count === 1 || count > 16) throw new Error('--shares takes a number from 2 to 16');
  const isNew = typeof values.words !== 'string';
  const words = isNew ? newWords() : checkedWords(await textOf(values.words as string, terminal));
  if (typeof values.paper === 'string') {
    writeFileSync(values.paper, await paperOf(words), { mode: 0o600, flag: 'wx' });
    terminal.print(`The words are in ${values.paper}: print it, and delete the file.`);
  } else if (isNew) terminal.print(`Write these words down, in this order. They are stored nowhere else.\n\n${numbered(words)}\n`);
  if (count > 0) terminal.print(`${(await sharesOf(words, count)).join('\n')}\n`);
  if (place !== undefined) await setUp(folder, place, words);
  if (!values['to-agency']) return;
  await opened(device, (wallet) => openAtAgency(wallet, recoveryKeys(words)));
  await setUpAgency(folder, words);
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
