import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { jsonLog } from './adapters/telemetry/log.ts';
import { openContainer } from './backup/container.ts';
import { exportContainer } from './backup/export.ts';
import { writeWhole } from './backup/file.ts';
import { importContainer, type Verified, verifyContainer } from './backup/import.ts';
import { newWords, type RecoveryKeys, recoveryKeys } from './backup/recovery.ts';
import { readConfig } from './config/read-config.ts';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import { BASE, fileOf, openDatabase } from './database.ts';
import type { Database } from './ports/store.ts';
import { wallet, walletOwnerName } from './records/wallet.ts';

const HELP = `Backups of wallets, encrypted for 24 words (docs/Backup.md)

  ./flexid recovery-words                     make 24 words; prints them and their recovery key, and keeps neither
  ./flexid recovery-words --words FILE        the recovery key of words
  ./flexid export FILE --recovery-key KEY     write a copy of all wallets to a new file; only the words of the key open it
  ./flexid export FILE --words FILE --move    the same with all that waits in queues; reads it again, then erases the original
  ./flexid import FILE --words FILE           read a file into a store that is new
      --wallet ID                             of an instance with several wallets: this one, out of it or into it
      --managed                               with --wallet: the instance keeps the key of a wallet whose owner has kept it
      --at-least N                            refuse a backup of an older generation

The words are in a file, or come by standard input with --words -. Flags of ./flexid start say where the store is and which wallet key it has.
An SQLite store must not be in use. On PostgreSQL an export, and an import of one wallet, run beside the agent; --move and an import of all do not.
`;

export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  print(text: string): void;
}

/** Takes `name VALUE` or `name=VALUE` out of the arguments. @throws ConfigError where the value is missing */
function taken(argv: string[], name: string): string | undefined {
  const at = argv.findIndex((one) => one === name || one.startsWith(`${name}=`));
  if (at < 0) return undefined;
  const joined = argv[at]!.startsWith(`${name}=`);
  const [first, second] = argv.splice(at, joined ? 1 : 2);
  const value = joined ? first!.slice(name.length + 1) : second;
  if (value === undefined || value === '') throw new ConfigError(`${name}: a value is missing`);
  return value;
}

function takenFlag(argv: string[], name: string): boolean {
  const at = argv.indexOf(name);
  if (at >= 0) argv.splice(at, 1);
  return at >= 0;
}

function takenFile(argv: string[], command: string): string {
  const [file] = argv.splice(0, 1);
  if (file === undefined || file.startsWith('-')) throw new ConfigError(`${command}: the file comes first, as in ./flexid ${command} FILE`);
  return file;
}

/** The keys of the words in a file, or of standard input. @throws ConfigError, AppError `bad-request` for other words */
async function keysFrom(name: string, { input }: Terminal): Promise<RecoveryKeys> {
  if (name === '-') return recoveryKeys(await text(input));
  let words: string;
  try {
    words = readFileSync(name, 'utf8');
  } catch (error) {
    throw new ConfigError(`--words: ${(error as Error).message}`);
  }
  return recoveryKeys(words);
}

/** Runs `export`, `import` or `recovery-words`. @returns the exit code. @throws ConfigError, AppError */
export async function backupCommand(
  command: 'export' | 'import' | 'recovery-words',
  given: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  terminal: Terminal = { input: process.stdin, print: (line) => void process.stdout.write(`${line}\n`) },
): Promise<number> {
  const argv = [...given];
  if (argv.includes('--help') || argv.includes('-h')) {
    terminal.print(HELP);
    return 0;
  }
  if (command === 'export') await exported(argv, env, terminal);
  else if (command === 'import') await imported(argv, env, terminal);
  else await words(argv, terminal);
  return 0;
}

async function words(argv: string[], terminal: Terminal): Promise<void> {
  const file = taken(argv, '--words');
  if (argv.length > 0) throw new ConfigError(`recovery-words: ${argv[0]} is not known`);
  if (file !== undefined) {
    terminal.print((await keysFrom(file, terminal)).publicKey);
    return;
  }
  const fresh = newWords();
  terminal.print(`${fresh}\n\nrecovery key: ${recoveryKeys(fresh).publicKey}`);
}

const readStore = (argv: readonly string[], env: Readonly<Record<string, string | undefined>>, command: string) => {
  const { config } = readConfig(argv, env, command);
  return { config, log: jsonLog(config.logLevel) };
};

async function exported(argv: string[], env: Readonly<Record<string, string | undefined>>, terminal: Terminal): Promise<void> {
  const file = takenFile(argv, 'export');
  const [key, wordsFile, only] = ['--recovery-key', '--words', '--wallet'].map((name) => taken(argv, name));
  const move = takenFlag(argv, '--move');
  const { config, log } = readStore(argv, env, 'export');
  if ((key === undefined) === (wordsFile === undefined))
    throw new ConfigError('export takes --recovery-key KEY, or --words FILE, which --move needs');
  if (move && wordsFile === undefined) throw new ConfigError('--move reads the file again before it erases: give --words FILE');
  if (existsSync(file)) throw new ConfigError(`${file} is there already`);
  const store = fileOf(config);
  if (store !== undefined && !existsSync(store)) throw new ConfigError(`There is no database ${store}`);
  const keys = wordsFile === undefined ? undefined : await keysFrom(wordsFile, terminal);
  const db = await openDatabase(config, log, undefined, move);
  try {
    const progress = (id: string, rows: number): void => terminal.print(`wallet ${id}: ${rows} rows`);
    const order = {
      db,
      base: BASE,
      publicKey: key ?? keys!.publicKey,
      wallet: only,
      extent: move ? ('move' as const) : ('copy' as const),
      progress,
    };
    const { generation, text: lines } = await exportContainer(order);
    await writeWhole(file, lines);
    terminal.print(`generation ${generation} is in ${file}`);
    if (!move) return;
    const open = () => openContainer(createReadStream(file), keys!.secret);
    await verifyContainer({ base: BASE, open, wallet: only === BASE ? undefined : only });
    await erase(db, only);
    terminal.print('the file was read again and is whole; the original is erased');
  } finally {
    await db.admin.close();
  }
}

/** Erases the moved wallet, or all. */
async function erase(db: Database, only: string | undefined): Promise<void> {
  const ids = only === undefined ? await db.admin.tenants() : [only];
  for (const id of ids) await db.admin.eraseTenant(id);
  if (only !== undefined && only !== BASE) await forget(db, only);
  for (const id of ids) while ((await db.admin.sweepTenant(id)) > 0);
}

/** Removes the record of a wallet that is gone, and the name that it had. */
async function forget(db: Database, id: string): Promise<void> {
  const [[row] = []] = await db.store.load(BASE, [{ category: wallet.category, id }]);
  const name = row?.value.wallet_name as string | undefined;
  await db.store.commit(BASE, {
    deletes: row ? [{ category: wallet.category, id, expect: row.version }] : [],
    removedKeyOwners: name === undefined ? [] : [walletOwnerName(name)],
    invalidate: [id],
  });
}

async function imported(argv: string[], env: Readonly<Record<string, string | undefined>>, terminal: Terminal): Promise<void> {
  const file = takenFile(argv, 'import');
  const [wordsFile, only, least] = ['--words', '--wallet', '--at-least'].map((name) => taken(argv, name));
  const managed = takenFlag(argv, '--managed');
  if (managed && only === undefined) throw new ConfigError('--managed goes with --wallet ID');
  const { config, log } = readStore(argv, env, 'import');
  if (wordsFile === undefined) throw new ConfigError('import takes --words FILE');
  if (least !== undefined && !/^\d{1,15}$/.test(least)) throw new ConfigError(`--at-least takes a number, not ${least}`);
  if (!existsSync(file)) throw new ConfigError(`There is no file ${file}`);
  const { secret } = await keysFrom(wordsFile, terminal);
  const verified = await verifyContainer({
    ...{ base: BASE, open: () => openContainer(createReadStream(file), secret), wallet: only, managed },
    ...(least !== undefined && { atLeast: Number(least) }),
    progress: (id, rows) => terminal.print(`wallet ${id}: ${rows} rows`),
  });
  await intoStore(config, log, verified);
  const { generation, created } = verified.head;
  terminal.print(`generation ${generation} of ${created} is in the store`);
  terminal.print('a storage of backups can hold back newer ones: compare the generation with the last one that you know');
}

/** One wallet goes into a store that is there, all wallets into a new one. */
async function intoStore(config: Config, log: ReturnType<typeof jsonLog>, verified: Verified): Promise<void> {
  const { wallet: only } = verified;
  const file = fileOf(config);
  if (only !== undefined && file !== undefined && !existsSync(file)) throw new ConfigError(`There is no database ${file}`);
  const db = await openDatabase(config, log, undefined, only === undefined);
  try {
    await importContainer(db, verified);
  } finally {
    await db.admin.close();
  }
}
