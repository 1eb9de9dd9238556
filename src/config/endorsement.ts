import type { EndorsementSettings } from '../kernel/endorsement.ts';
import { type Config, longName, SETTINGS } from './settings.ts';
import { ConfigError } from './values.ts';

const AUTHORS = [
  'endorserInvitation',
  'endorserPublicDid',
  'endorserAlias',
  'autoRequestEndorsement',
  'autoWriteTransactions',
  'autoCreateRevocationTransactions',
  'autoPromoteAuthorDid',
] as const;
const ENDORSERS = ['endorserEndorseWithDid', 'autoEndorseTransactions'] as const;

/** Rounds that Algorand lets a transaction be valid for. */
const MAX_VALIDITY = 1000;

/** @throws ConfigError where a setting is that of the other role, or an invitation has not what it needs */
export function checkEndorsement(config: Config): void {
  const { endorserProtocolRole: role, endorserValidity: validity } = config;
  for (const [names, of] of [
    [AUTHORS, 'author'],
    [ENDORSERS, 'endorser'],
  ] as const) {
    const given = names.find((name) => config[name] !== undefined && config[name] !== false);
    if (given !== undefined && role !== of)
      throw new ConfigError(`--${longName(SETTINGS[given])} is for --endorser-protocol-role ${of}, and the role is ${role}`);
  }
  if (config.endorserInvitation !== undefined && config.endorserPublicDid === undefined)
    throw new ConfigError('--endorser-invitation needs --endorser-public-did');
  if (config.endorserInvitation !== undefined && config.endorserAlias === undefined)
    throw new ConfigError('--endorser-invitation needs --endorser-alias');
  if (!Number.isInteger(validity) || validity < 10 || validity > MAX_VALIDITY)
    throw new ConfigError(`--endorser-validity is a number of rounds from 10 to ${MAX_VALIDITY}, not ${validity}`);
}

/** A tenant has no role of the base wallet's: without one of its own the sponsor of the instance pays. */
export const NO_ENDORSEMENT: Partial<Config> = {
  endorserProtocolRole: 'none',
  ...Object.fromEntries([...AUTHORS, ...ENDORSERS].map((name) => [name, SETTINGS[name].kind === 'flag' ? false : undefined])),
};

/** The settings of endorsement for steps. Only the base wallet endorses: a tenant has no sponsor. */
export const endorsementSettings = (config: Config, isBase: boolean): EndorsementSettings =>
  Object.freeze({
    role: config.endorserProtocolRole as EndorsementSettings['role'],
    alias: config.endorserAlias,
    invitation: config.endorserInvitation,
    publicDid: config.endorserPublicDid,
    autoRequest: config.autoRequestEndorsement,
    autoWrite: config.autoWriteTransactions,
    autoCreateRevocation: config.autoCreateRevocationTransactions,
    autoPromote: config.autoPromoteAuthorDid,
    autoEndorse: config.autoEndorseTransactions,
    endorseWith: config.endorserEndorseWithDid,
    pays: isBase,
    validity: config.endorserValidity,
    writesPerDay: config.endorserWritesPerDay,
    algoPerDay: config.endorserAlgoPerDay,
  });
