import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse as parseYaml, stringify } from 'yaml';
import { openContainer } from '../src/backup/container.ts';
import { type ExportOrder, exportContainer } from '../src/backup/export.ts';
import { writeWhole } from '../src/backup/file.ts';
import { importContainer, type Verified, verifyContainer } from '../src/backup/import.ts';
import { newWords, recoveryJwk, recoveryKeys } from '../src/backup/recovery.ts';
import { readConfig } from '../src/config/read-config.ts';
import { BASE, openDatabase } from '../src/database.ts';
import { filesOf } from './options.ts';

/**
 * Backups of a wallet in a folder. The device keeps the recovery public key and the place of the backups, so that each is made without a question; the words are on
 * paper, or at trustees, and come back only to restore.
 */

/** Generations that stay in the place of backups. */
const KEPT = 5;
const FILE = /^wallet-(\d{6,15})\.flexid-backup$/;
/** The settings of the wallet, which go with it: who takes its mail, which ledger it reads. */
const SETTINGS_FILE = 'settings.yaml';
const SETTINGS_BLOB = 'edge/settings.yaml';
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

/** The settings of backups in the folder of a wallet. */
export interface Setup {
  readonly recovery_key: string;
  /** A folder: another disk, a share, a folder that is synchronised. */
  readonly place?: string;
  /** Backups go to the agency too, under this `did:key` of the words. */
  readonly agency?: string;
}

/** Whether this wallet has backups, and where. @throws Error where the file is damaged */
export function setupOf(folder: string): Setup | undefined {
  const { backup: file } = filesOf(folder);
  if (!existsSync(file)) return undefined;
  const setup = JSON.parse(readFileSync(file, 'utf8')) as Setup;
  recoveryJwk(setup.recovery_key);
  return setup;
}

/**
 * Decides on backups of a wallet: makes words, or takes those that are there, and keeps their public keys. A place that has the same words stays beside this one.
 * @returns the words, to be shown once
 */
export async function setUp(folder: string, place: string, known = newWords()): Promise<string> {
  mkdirSync(place, { recursive: true, mode: 0o700 });
  await keepSetup(folder, known, { place });
  return known;
}

/** The same for backups at the agency. */
export const setUpAgency = (folder: string, words: string): Promise<void> =>
  keepSetup(folder, words, { agency: recoveryKeys(words).controller.did });

async function keepSetup(folder: string, words: string, places: Partial<Setup>): Promise<void> {
  const { publicKey } = recoveryKeys(words);
  const former = setupOf(folder);
  const setup: Setup = { ...(former?.recovery_key === publicKey ? former : {}), recovery_key: publicKey, ...places };
  await writeWhole(filesOf(folder).backup, [`${JSON.stringify(setup)}\n`]);
}

const configOf = (folder: string, walletKey: string | undefined) =>
  readConfig(['--store', `sqlite:${join(folder, 'wallet.db')}`, ...(walletKey === undefined ? [] : [`--wallet-key=${walletKey}`])], {})
    .config;

/** Backups in a place by their generation, the newest first. */
export const backupsIn = (place: string): { generation: number; file: string }[] =>
  readdirSync(place)
    .flatMap((name) => {
      const generation = FILE.exec(name)?.[1];
      return generation === undefined ? [] : [{ generation: Number(generation), file: join(place, name) }];
    })
    .sort((a, b) => b.generation - a.generation);

/**
 * Writes a backup of a wallet that is not in use, to the place of `setUp`; older generations than the last five go.
 * @returns its file. @throws Error where there is no set-up; what the store throws
 */
export async function backUp(folder: string, walletKey?: string): Promise<{ file: string; generation: number }> {
  const setup = setupOf(folder);
  if (setup?.place === undefined) throw new Error(`${folder} has no backups yet: choose a place for them`);
  const { place } = setup;
  if (!existsSync(join(folder, 'wallet.db'))) throw new Error(`there is no wallet in ${folder}`);
  const db = await openDatabase(configOf(folder, walletKey), SILENT);
  try {
    const { generation, text } = await exported(db, folder, setup, backupsIn(place)[0]?.generation);
    const file = join(place, `wallet-${String(generation).padStart(6, '0')}.flexid-backup`);
    await writeWhole(file, text);
    for (const old of backupsIn(place).slice(KEPT)) if (old.generation < generation) rmSync(old.file, { force: true });
    return { file, generation };
  } finally {
    await db.admin.close();
  }
}

/** A backup of a wallet, open or not, with the settings of its folder. @param after the highest generation that is known where it goes */
export async function exported(db: ExportOrder['db'], folder: string, { recovery_key: publicKey }: Setup, after: number | undefined) {
  const settings = join(folder, SETTINGS_FILE);
  if (existsSync(settings)) await db.blobs.put(BASE, SETTINGS_BLOB, readFileSync(settings));
  return await exportContainer({ db, base: BASE, publicKey, extent: 'copy', after });
}

export interface RestoreOrder {
  /** The folder of the wallet that is made. */
  readonly folder: string;
  /** A place with backups, or one of them. */
  readonly from: string;
  readonly words: string;
  /** The lowest generation that is taken. */
  readonly atLeast?: number;
  readonly walletKey?: string;
}

export interface Restored {
  readonly generation: number;
  /** For the owner of the wallet. */
  readonly warnings: string[];
}

/**
 * Makes a wallet from the newest backup of a place. Backups go on there, under the same words.
 * @returns its generation, and warnings for its owner
 * @throws Error where there is a wallet, or no backup; AppError for other words, damage, or a generation that is too low: nothing was written
 */
export async function restore({ folder, from, words, atLeast, walletKey }: RestoreOrder): Promise<Restored> {
  if (existsSync(join(folder, 'wallet.db'))) throw new Error(`there is a wallet in ${folder} already`);
  if (!existsSync(from)) throw new Error(`there is nothing at ${from}`);
  const isPlace = statSync(from).isDirectory();
  const found = isPlace ? backupsIn(from) : [];
  const file = isPlace ? found[0]?.file : from;
  if (file === undefined) throw new Error(`there is no backup in ${from}`);
  const { secret } = recoveryKeys(words);
  const open = () => openContainer(createReadStream(file), secret);
  const verified = await verifyContainer({ base: BASE, open, atLeast });
  const code = await write(folder, verified, walletKey);
  if (isPlace) await setUp(folder, from, words);
  const { generation, created } = verified.head;
  const warnings = warningsOf(generation, created, basename(file), found);
  if (code.length > 0) warnings.push(`The wallet had plug-ins, which a backup does not start: give them again, as ${code.join(' ')}.`);
  return { generation, warnings };
}

/** Settings as they are restored. Plug-ins are code, which whoever has the recovery key can name in a backup: they stay away. @returns them as flags */
function settingsIn(bytes: Uint8Array): { text: string; code: string[] } {
  const { plugin = [], ...settings } = (parseYaml(Buffer.from(bytes).toString()) ?? {}) as Record<string, unknown>;
  return { text: stringify(settings), code: [plugin].flat().map((one) => `--plugin ${String(one)}`) };
}

/** @returns the flags that were in its settings and are not written */
async function write(folder: string, verified: Verified, walletKey: string | undefined): Promise<string[]> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // under another name until it is whole: a restore that was cut short leaves no wallet
  const begun = join(folder, 'restoring');
  rmSync(begun, { recursive: true, force: true });
  mkdirSync(begun, { mode: 0o700 });
  const db = await openDatabase(configOf(begun, walletKey), SILENT);
  let code: string[] = [];
  try {
    await importContainer(db, verified);
    const bytes = await db.blobs.read(BASE, SETTINGS_BLOB);
    if (bytes) {
      const settings = settingsIn(bytes);
      writeFileSync(join(begun, SETTINGS_FILE), settings.text, { mode: 0o600 });
      code = settings.code;
    }
  } finally {
    await db.admin.close();
  }
  // the key first: a store without its key would be no wallet
  for (const name of [SETTINGS_FILE, 'wallet.db.key', 'wallet.db'])
    if (existsSync(join(begun, name))) renameSync(join(begun, name), join(folder, name));
  rmSync(begun, { recursive: true, force: true });
  return code;
}

/** A storage can hold back the newest backup, and a lost wallet cannot notice. */
function warningsOf(generation: number, created: string, name: string, found: readonly { generation: number }[]): string[] {
  const warnings = [`This is backup ${generation}, of ${created}. Its storage can hold back newer ones: is it the last that you know of?`];
  const named = Number(FILE.exec(name)?.[1] ?? generation);
  if (named !== generation) warnings.push(`The file is named as backup ${named}, and is ${generation}: somebody renamed it.`);
  const numbers = new Set(found.map((one) => one.generation));
  const lowest = Math.min(...numbers, generation);
  const missing = Array.from({ length: Math.max(0, generation - lowest) }, (_, at) => lowest + at).filter((one) => !numbers.has(one));
  if (found.length > 0 && missing.length > 0) warnings.push(`Backups are missing between these: ${missing.join(', ')}.`);
  return warnings;
}
