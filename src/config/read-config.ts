import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ArgumentParser, SUPPRESS } from 'argparse';
import { shownUrl, webhookUrl } from '../kernel/addresses.ts';
import { FOREIGN_SETTINGS, type ForeignSetting, statusOf, storeOfAcapy } from './acapy.ts';
import { checkEndorsement } from './endorsement.ts';
import { AGENCY, MEDIATOR, mediatorPreset } from './mediator-preset.ts';
import { profilePreset } from './profile.ts';
import { type Config, eachSetting, longName, type Name, SETTINGS, type Setting } from './settings.ts';
import { ConfigError, checked, fromText, OFF } from './values.ts';

export interface Parsed {
  readonly config: Config;
  /** The settings that an operator may read: no secrets, under their flag names. */
  readonly shown: Record<string, unknown>;
  /** Flags of ACA-Py's that were given and have no effect here. */
  readonly ignored: readonly string[];
}

/**
 * Reads the configuration: the command line before the environment before the YAML file, as ACA-Py does.
 * @throws ConfigError
 */
export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>, command = 'start'): Parsed {
  const flags = quickly(command, argv) ?? (createParser(command).parse_args([...argv]) as Record<string, unknown>);
  const file = yamlFile((flags.argFile as string | undefined) ?? env.ACAPY_ARG_FILE);
  const given = (name: Name): unknown => flags[name] ?? fromText(SETTINGS[name], env[SETTINGS[name].env]) ?? file[longName(SETTINGS[name])];
  const preset = { ...profilePreset(given), ...(command === MEDIATOR || command === AGENCY ? mediatorPreset(given, command) : {}) };
  const config: Record<string, unknown> = {};
  const shown: Record<string, unknown> = {};
  for (const [name, setting] of eachSetting()) {
    const long = longName(setting);
    const raw = preset[name] ?? given(name) ?? setting.default ?? (setting.kind === 'list' ? [] : undefined);
    config[name] = checked(setting, raw);
    if (!setting.secret && config[name] !== undefined) shown[long] = withoutSecrets(config[name]);
  }
  const ignored: string[] = [];
  const foreign: Record<string, unknown> = {};
  for (const setting of FOREIGN_SETTINGS) {
    const [name] = setting.flags;
    const raw = flags[name] ?? textOf(setting, env[setting.env]) ?? file[longName(setting)];
    if (raw === undefined || raw === null || raw === false) continue;
    if (setting.refused && (setting.refusedValue ?? raw) === raw) throw new ConfigError(`${name}: ${setting.refused}`);
    if (!setting.done) ignored.push(name);
    foreign[longName(setting)] = foreignValue(setting, raw);
  }
  const complete = config as Config;
  config.webhookUrls = webhooksOf(complete.webhookUrls);
  if (complete.webhookSecret !== undefined && complete.webhookSecret.length < 16)
    throw new ConfigError('--webhook-secret must have 16 characters or more');
  checkEndorsement(complete);
  config.store ??= storeOf(complete);
  for (const url of complete.endpoints ?? [])
    if (!/^(https?|wss?):\/\//i.test(url) || !URL.canParse(url))
      throw new ConfigError(`--endpoint takes the URLs that peers write to, http(s) or ws(s), not ${url}`);
  return { config: complete, shown: { ...shown, ...statusOf({ ...shown, ...foreign }) }, ignored };
}

/** A setting as it is shown: of URLs neither what stands after `#` in a webhook's, nor a user's name and password. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  return typeof value === 'string' && value.includes('://') ? shownUrl(value) : value;
}

/** @throws ConfigError for a URL that no webhook can be sent to */
function webhooksOf(given: readonly string[]): string[] {
  try {
    return given.map(webhookUrl);
  } catch (error) {
    throw new ConfigError(`--webhook-url: ${(error as Error).message}`);
  }
}
function storeOf(config: Config): string | undefined {
  const { walletStorageType: type, walletStorageConfig, walletStorageCreds: creds, walletName: name } = config;
  try {
    return storeOfAcapy({ type, config: walletStorageConfig, creds, name });
  } catch (error) {
    // the parser's own text would quote what stands around the fault: a password, perhaps
    const text = error instanceof SyntaxError ? '--wallet-storage-config or --wallet-storage-creds is not JSON' : (error as Error).message;
    throw new ConfigError(text);
  }
}

/** The value of a setting that has no effect: the parser makes a list of every value. */
const foreignValue = (setting: ForeignSetting, raw: unknown): unknown =>
  setting.takes === 0 ? true : setting.takes === 1 && Array.isArray(raw) ? raw.at(-1) : raw;

/** The variable's text of a setting that has no effect; undefined where it sets nothing. */
const textOf = (setting: ForeignSetting, text: string | undefined): string | undefined =>
  text === undefined || text === '' || (setting.takes === 0 && OFF.test(text)) ? undefined : text;
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  start: 'Runs the agent. Flags that ACA-Py has too have its names and its ACAPY_* variables.',
  [MEDIATOR]:
    'Runs a mediator: --open-mediation --auto-accept-requests, HTTP and WebSockets on port 3000 unless --inbound-transport is given. ' +
    'Prints an invitation for wallets, the same at each start, and its QR code. Needs --endpoint; takes all flags of start.',
  [AGENCY]:
    'Runs an agency: a mediator as start mediator runs it, with cloud agents for edge agents (--agency) and the endpoint of the 2018 Agent Protocol. ' +
    'It has keys of its own and none of its clients; give it a database of its own. Prints an invitation for edges. Needs --endpoint.',
  provision: 'Creates the database and, with --seed, the DID; then ends. Takes the flags of start.',
  export: 'Writes a backup; then ends. Takes the flags of start.',
  import: 'Reads a backup; then ends. Takes the flags of start.',
  'rotate-key': 'Puts a new wallet key in the place of the present one; then ends. Takes the flags of start.',
  upgrade: "Brings the database to this version's schema, and an SQLite file to its size of pages; then ends. Takes the flags of start.",
};

/**
 * What a parser of the flags that `argv` may mean makes of it: one of all flags takes ten times as long. Undefined where it is not content: its help and its
 * errors are those of all flags.
 */
function quickly(command: string, argv: readonly string[]): Record<string, unknown> | undefined {
  const named = argv.filter((arg) => arg.startsWith('-')).map((arg) => arg.split('=', 1)[0]!);
  if (named.some((arg) => '--help'.startsWith(arg) || arg.startsWith('-h'))) return undefined;
  // a flag may be cut short, and one of a single letter may have its value behind it
  const isMeant = (flag: string): boolean => named.some((arg) => flag.startsWith(arg) || flag === arg.slice(0, 2));
  try {
    const parser = createParser(command, (flags) => flags.some(isMeant), false);
    const [flags, rest] = parser.parse_known_args([...argv]) as [Record<string, unknown>, string[]];
    return rest.length === 0 ? flags : undefined;
  } catch {
    return undefined;
  }
}

/** @param wanted which settings it has, by their flags */
function createParser(command: string, wanted: (flags: readonly string[]) => boolean = () => true, exits = true): ArgumentParser {
  const unused = FOREIGN_SETTINGS.filter((one) => !one.refused && !one.done).map((one) => one.flags[0]);
  const parser = new ArgumentParser({
    prog: `flexid ${command}`,
    description: DESCRIPTIONS[command],
    usage: `flexid ${command} [flag ...]`,
    exit_on_error: exits,
    epilog: `Flags of ACA-Py that are taken and have no effect, so that its start scripts work as they are: ${unused.join(', ')}.`,
  });
  const groups = new Map<string, ReturnType<ArgumentParser['add_argument_group']>>();
  for (const [name, setting] of eachSetting()) {
    if (!wanted(setting.flags)) continue;
    const group = groups.get(setting.group) ?? parser.add_argument_group({ title: setting.group });
    groups.set(setting.group, group);
    const help = `${setting.help} [${setting.env}]`.replaceAll('%', '%%');
    const flags = setting.flags as [string, ...string[]];
    const [first, ...more] = flags;
    if (setting.kind === 'flag') group.add_argument(first, ...(more as []), { dest: name, action: 'store_const', const: true, help });
    else
      group.add_argument(first, ...(more as []), {
        dest: name,
        help,
        metavar: setting.metavar as string | undefined,
        ...(setting.words ? { nargs: setting.words } : {}),
        ...(setting.bare === undefined ? {} : { nargs: '?', const: setting.bare }),
        ...(setting.kind === 'words' && !setting.words ? { nargs: '+' } : {}),
        ...(setting.kind === 'list' ? { action: 'append' } : {}),
      });
  }
  for (const { flags, takes } of FOREIGN_SETTINGS) {
    if (!wanted(flags)) continue;
    const [first, ...more] = flags;
    const common = { dest: first, help: SUPPRESS };
    parser.add_argument(
      first,
      ...(more as []),
      takes === 0
        ? { ...common, action: 'store_const', const: true }
        : { ...common, action: 'append', ...(takes === 1 ? {} : { nargs: takes }) },
    );
  }
  return parser;
}
function yamlFile(path: string | undefined): Record<string, unknown> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`The file of --arg-file cannot be read: ${(error as Error).message}`);
  }
  const { parse } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  const value: unknown = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError('The file of --arg-file must hold settings by name');
  const known = new Set([...Object.values<Setting>(SETTINGS), ...FOREIGN_SETTINGS].map(longName));
  for (const name of Object.keys(value))
    if (!known.has(name)) throw new ConfigError(`The file of --arg-file has an unknown setting: ${name}`);
  return value as Record<string, unknown>;
}
