import { compact } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import { type Config, eachSetting, longName, type Name } from './settings.ts';
import { ConfigError, checked } from './values.ts';

/** Settings that a tenant may have of its own, by ACA-Py's name. */
const LIVE = eachSetting().flatMap(([name, one]) =>
  one.tenant === 'live' && one.acapy ? [{ name, acapy: one.acapy, flag: longName(one), one }] : [],
);

/** Settings of a tenant that its wallet record keeps, and that change nothing here: their flags, and what is left of their variables. */
const KEPT: Readonly<Record<string, string>> = {
  'invite-public': 'debug.invite_public',
  'log-level': 'log.level',
  'enable-auto-revocation-recovery': 'anoncreds.revocation.auto_recovery_enabled',
};

/** Names of tenants' settings whose flags have another name. */
const VARIABLES: Readonly<Record<string, string>> = {
  'create-revocation-transactions': 'endorser.auto_create_rev_reg',
  'endorser-role': 'endorser.protocol_role',
};

/** ACA-Py's name of a setting that a tenant may have, by its flag, and by itself: what `GET /settings` shows can be put back. */
const TENANT_NAMES = new Map([
  ...LIVE.flatMap(({ flag, acapy }) => [flag, acapy].map((name) => [name, acapy] as const)),
  ...Object.entries({ ...KEPT, ...VARIABLES }),
]);

/** A tenant's `extra_settings`, given by flag names, `ACAPY_*` variables or the names that `GET /settings` shows, under the names of ACA-Py's records; unknown ones are passed over, as there. */
export function acapySettings(given: Readonly<Record<string, unknown>>): Record<string, string | number | boolean> {
  const out: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(given)) {
    const flag = name.startsWith('ACAPY_') ? name.slice('ACAPY_'.length).toLowerCase().replaceAll('_', '-') : name;
    const setting = TENANT_NAMES.get(flag);
    if (setting && (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')) out[setting] = value;
  }
  return out;
}

/**
 * Settings by ACA-Py's names as configuration; those that set nothing here are passed over.
 * @throws ConfigError for a value that a setting cannot have
 */
export function liveConfig(given: Readonly<Record<string, unknown>>): Partial<Config> {
  const changes: Partial<Record<Name, boolean | string>> = {};
  for (const { name, acapy, one } of LIVE) {
    if (given[acapy] === undefined) continue;
    if (one.kind === 'text') {
      changes[name] = checked(one, String(given[acapy])) as string;
      continue;
    }
    const text = String(given[acapy]).toLowerCase();
    if (text !== 'true' && text !== 'false') throw new ConfigError(`${acapy} is true or false`);
    changes[name] = text === 'true';
  }
  return changes as Partial<Config>;
}

/** The answer of `GET /settings`, under ACA-Py's names. */
export const shownSettings = (config: Config): JsonObject =>
  compact({
    ...Object.fromEntries(eachSetting().flatMap(([name, { tenant, acapy }]) => (tenant && acapy ? [[acapy, config[name]]] : []))),
    default_endpoint: config.endpoints?.[0],
  });
