import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { pino } from 'pino';
import type { ExportOrder } from '../src/backup/export.ts';
import { type Api, openApi } from './api.ts';
import {
  AGENT_SETTINGS,
  filesOf,
  keepSettings,
  keptSettings,
  type MAILBOXES,
  Mistake,
  makeFolder,
  mergedSettings,
  type Options,
  type Values,
} from './options.ts';
import type { Mailbox } from './session.ts';
import { hidden } from './terminal.ts';

/** The agent of a wallet, in this process. It has no port for messages; the key of its admin port on loopback never leaves the process. */

export interface Wallet {
  readonly api: Api;
  /** The kind of place where its mail waits, if it has one. */
  readonly mailbox: Mailbox | undefined;
  readonly folder: string;
  /** For backups. */
  readonly db: ExportOrder['db'];
  close(): Promise<void>;
}

/** Flags of every wallet. No flag decides in the person's place; the steps after a decision need no further one. */
const ALWAYS = [
  ...['--no-transport', '--auto-store-credential', '--auto-respond-credential-request', '--auto-verify-presentation'],
  ...['--preserve-exchange-records', '--legacy-require-signed-response', '--drain-time', '0'],
];
const DEFAULTS: Values = { label: 'A FlexID wallet', 'anoncreds-workers': '1', 'log-level': 'warn' };

const flagsOf = (values: Values): string[] =>
  Object.entries(values).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return value ? [`--${name}`] : [];
    return [value].flat().map((one) => `--${name}=${one}`);
  });

/** The variables of the settings that a wallet has. */
const envOf = (env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> =>
  Object.fromEntries([...AGENT_SETTINGS.values()].map(({ env: name }) => [name, env[name]]));

/**
 * Opens the wallet in the folder, or makes one.
 * @param backsUp its end writes backups, where it has places for them
 * @throws Mistake, or an error of the agent's start
 */
export async function openWallet(options: Options, env: Readonly<Record<string, string | undefined>>, backsUp = true): Promise<Wallet> {
  const { folder, given } = options;
  const files = filesOf(folder);
  const values = mergedSettings(keptSettings(folder), given);
  const taken = envOf(env);
  const [{ readConfig }, { startAgent }] = await Promise.all([import('../src/config/read-config.ts'), import('../src/app.ts')]);
  const isSet = (name: string): boolean => Boolean(taken[AGENT_SETTINGS.get(name)?.env ?? '']);
  const settings: Values = { ...Object.fromEntries(Object.entries(DEFAULTS).filter(([name]) => !isSet(name))), ...values };
  const has = (name: (typeof MAILBOXES)[number]): boolean => settings[name] !== undefined || isSet(name);
  const key = await walletKey(options, taken.ACAPY_WALLET_KEY);
  const apiKey = randomBytes(32).toString('hex');
  const { 'wallet-key': _key, ...open } = settings;
  const { config, shown } = readConfig(
    [
      ...['--admin', '127.0.0.1', '0', '--admin-api-key', apiKey, '--store', `sqlite:${files.store}`, '--data-dir', folder],
      ...ALWAYS,
      ...flagsOf(open),
    ],
    { ...taken, ACAPY_WALLET_KEY: key },
  );
  makeFolder(folder);
  const log = pino(
    { level: config.logLevel, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: files.log, mode: 0o600, sync: true }),
  );
  const agent = await startAgent(config, shown, log).catch((error: Error & { code?: string }) => {
    if (error.code === 'store-locked')
      throw new Mistake(`the wallet in ${folder} is open in another ./flexid edge: use that one, or end it, or give another --folder`);
    if (error.code === 'wrong-master-key') throw new Mistake(`the passphrase or key does not open the wallet in ${folder}`);
    throw error;
  });
  try {
    keepSettings(folder, values);
    const api = await openApi(agent.adminPort!, apiKey);
    const mailbox = has('agency-invitation') ? 'agency' : has('mediator-invitation') ? 'mediator' : undefined;
    const opened = { api, mailbox, folder, db: agent.kernel.db } as const;
    return {
      ...opened,
      async close() {
        const toAgency = async () => (await import('./agency-backup.ts')).backUpToAgency(opened);
        const toPlace = async () => (await import('./backup.ts')).backUp(folder, key);
        if (backsUp) await backUpAtEnd(folder, 'agency', toAgency);
        api.close();
        await agent.close();
        if (backsUp) await backUpAtEnd(folder, 'place', toPlace);
      },
    };
  } catch (error) {
    await agent.close();
    throw error;
  }
}

/** The key that opens the wallet; undefined where a file beside the wallet has it, or will have it. @throws Mistake */
export async function walletKey({ folder, given, passphrase }: Options, variable: string | undefined): Promise<string | undefined> {
  const key = (given['wallet-key'] as string | undefined) ?? variable;
  if (key !== undefined && !passphrase) return key;
  const { store, key: file } = filesOf(folder);
  const isNew = !existsSync(store);
  if (existsSync(file) && !passphrase) return undefined;
  if (isNew && !passphrase) return undefined;
  const first = await hidden(isNew ? 'A passphrase for the new wallet: ' : 'Passphrase of the wallet: ');
  if (first === undefined || first === '')
    throw new Mistake(
      `no passphrase was given for the wallet in ${folder}: type it at a terminal, or give --wallet-key or ACAPY_WALLET_KEY`,
    );
  if (isNew && (await hidden('The same again: ')) !== first) throw new Mistake('the two passphrases differ');
  return first;
}

/** Writes a backup where the wallet has a place for it. One that fails is reported, and does not keep the wallet from its end. */
async function backUpAtEnd(folder: string, where: 'agency' | 'place', write: () => Promise<unknown>): Promise<void> {
  if (!existsSync(filesOf(folder).backup)) return;
  try {
    const { setupOf } = await import('./backup.ts');
    if (setupOf(folder)?.[where] !== undefined) await write();
  } catch (error) {
    process.stderr.write(`flexid edge: no backup was written: ${(error as Error).message}\n`);
  }
}
