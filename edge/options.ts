import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual, type ParseArgsConfig, parseArgs } from 'node:util';
import { parse as parseYaml, stringify } from 'yaml';
import { eachSetting, longName, type Setting } from '../src/config/settings.ts';

/** The command line of `./flexid edge`, the folder of a wallet, and the settings in it. */

/** Groups of settings that a wallet has as an agent has them. The names below are of other groups. */
const GROUPS: ReadonlySet<string> = new Set(['Ledger', 'Endorsement']);
const NAMED: ReadonlySet<string> = new Set([
  ...['label', 'image-url', 'wallet-key', 'mediator-invitation', 'mediator-pickup', 'mediator-check-interval', 'plugin', 'log-level'],
  ...['egress-allow', 'outbound-timeout', 'max-message-size', 'did-web-http', 'legacy', 'legacy-peer', 'anoncreds-workers'],
  ...['agency-invitation', 'relay-through-agency'],
]);
/** The agent's settings that a wallet has, by their long names. */
export const AGENT_SETTINGS: ReadonlyMap<string, Setting> = new Map(
  eachSetting()
    .map(([, setting]) => [longName(setting), setting] as const)
    .filter(([name, { group, kind }]) => kind !== 'words' && (GROUPS.has(group) || NAMED.has(name))),
);

/** The settings that name the place of the mail. An agency gives more than a mediator does. */
export const MAILBOXES = ['mediator-invitation', 'agency-invitation'] as const;
const AGENCY = MAILBOXES.findLast((name) => AGENT_SETTINGS.has(name))!;

export type Values = Readonly<Record<string, string | boolean | readonly string[]>>;

export interface Options {
  readonly folder: string;
  readonly script?: string;
  readonly passphrase: boolean;
  readonly help: boolean;
  /** The agent's settings on the command line, by their long names. */
  readonly given: Values;
  readonly verb?: string;
  readonly args: readonly string[];
}

/** A mistake of the person, in one sentence. */
export class Mistake extends Error {}

const OWN = {
  folder: { type: 'string' },
  agency: { type: 'string' },
  script: { type: 'string' },
  passphrase: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const optionOf = ({ kind }: Setting) => ({ type: kind === 'flag' ? ('boolean' as const) : ('string' as const), multiple: kind === 'list' });
const OPTIONS: NonNullable<ParseArgsConfig['options']> = {
  ...Object.fromEntries([...AGENT_SETTINGS].map(([name, setting]) => [name, optionOf(setting)])),
  ...OWN,
};

/** The place of the verb: the first word that is neither a flag nor the value of one. */
function verbAt(argv: readonly string[]): number {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (!word.startsWith('-')) return at;
    if (OPTIONS[word.replace(/^--?/, '')]?.type === 'string') at++;
  }
  return argv.length;
}

/** @throws Mistake */
export function optionsOf(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Options {
  const end = verbAt(argv);
  let values: Record<string, string | boolean | string[] | undefined>;
  try {
    ({ values } = parseArgs({ args: argv.slice(0, end), options: OPTIONS, strict: true }) as { values: typeof values });
  } catch (error) {
    throw new Mistake((error as Error).message.replace(/ To specify a positional.*$/s, ''));
  }
  const { folder, agency, script, passphrase = false, help = false, ...given } = values;
  const named = { ...given, ...(agency !== undefined && { [AGENCY]: agency }) };
  if (agency !== undefined && MAILBOXES.some((name) => given[name] !== undefined))
    throw new Mistake('--agency and --mediator-invitation both say where mail waits: give one of them');
  return {
    folder: resolve(typeof folder === 'string' ? folder : join(dataHome(env), 'flexid', 'edge')),
    script: script as string | undefined,
    passphrase: passphrase as boolean,
    help: help as boolean,
    given: named as Values,
    verb: argv[end],
    args: argv.slice(end + 1),
  };
}

/** The folder for data of a person's programs (XDG Base Directory Specification, which ignores relative paths). */
const dataHome = ({ XDG_DATA_HOME: home }: Readonly<Record<string, string | undefined>>): string =>
  home?.startsWith('/') ? home : join(homedir(), '.local', 'share');

/** The files of a wallet. */
export const filesOf = (folder: string) => ({
  store: join(folder, 'wallet.db'),
  key: join(folder, 'wallet.db.key'),
  settings: join(folder, 'settings.yaml'),
  log: join(folder, 'edge.log'),
  backup: join(folder, 'backup.json'),
});

/** The settings of earlier starts. @throws Mistake for a file that this program did not write */
export function keptSettings(folder: string): Values {
  const { settings } = filesOf(folder);
  if (!existsSync(settings)) return {};
  let kept: unknown;
  try {
    kept = parseYaml(readFileSync(settings, 'utf8'));
  } catch (error) {
    throw new Mistake(`${settings} cannot be read: ${(error as Error).message.split('\n')[0]}`);
  }
  if (kept === null) return {};
  if (typeof kept !== 'object' || Array.isArray(kept)) throw new Mistake(`${settings} must hold settings by name`);
  const unknown = Object.keys(kept).find((name) => !AGENT_SETTINGS.has(name));
  if (unknown !== undefined) throw new Mistake(`${settings} has an unknown setting: ${unknown}`);
  return kept as Values;
}

/** The settings of earlier starts with those of this one in their place. A new place of the mail removes the former one. */
export function mergedSettings(kept: Values, given: Values): Values {
  const moved = MAILBOXES.some((name) => given[name] !== undefined);
  return { ...Object.fromEntries(Object.entries(kept).filter(([name]) => !moved || !MAILBOXES.some((one) => one === name))), ...given };
}

/** The key of the wallet and the words of the account that pays stand in no file of settings. The token of a node does. */
const NEVER_KEPT: ReadonlySet<string> = new Set(['wallet-key', 'sponsor-mnemonic']);

/** Writes settings for the next start. */
export function keepSettings(folder: string, values: Values): void {
  const open = Object.fromEntries(Object.entries(values).filter(([name]) => !NEVER_KEPT.has(name)));
  if (isDeepStrictEqual(open, keptSettings(folder))) return;
  const { settings } = filesOf(folder);
  const file = openSync(`${settings}.new`, 'w', 0o600);
  writeSync(file, stringify(open));
  fsyncSync(file);
  closeSync(file);
  renameSync(`${settings}.new`, settings);
}

/** The folder of a wallet, for its owner alone. */
export const makeFolder = (folder: string): void => void mkdirSync(folder, { recursive: true, mode: 0o700 });
