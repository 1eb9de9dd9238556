/** Longest type that is looked at; the grammar is tried on nothing longer. */
const MAX_LENGTH = 512;

/**
 * Types of the 2018 Agent Protocol: `urn:<nid>:<nss>:message_type:<domain>/<family>/<major>.<minor>/<name>`. The specification prints a space after the first slash,
 * which is tolerated; its reference implementation leaves family and version out.
 */
const GRAMMAR =
  /^urn:(?<nid>[a-z0-9][a-z0-9-]{0,31}):(?<nss>[A-Za-z0-9_.:-]+):message_type:(?<domain>[A-Za-z0-9.-]+)\/ ?(?:(?<family>[A-Za-z0-9_.-]+)\/(?<major>\d{1,4})\.(?<minor>\d{1,4})\/)?(?<name>[A-Za-z0-9_.-]+)$/;

/** A message type in its parts. */
export interface Agent2018Type {
  readonly nid: string;
  readonly nss: string;
  readonly domain: string;
  readonly family?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly name: string;
}

/** The parts of a type; undefined when it is none. Any organisation's types are read, not only those that are known. */
export function parseAgent2018Type(text: string): Agent2018Type | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const groups = GRAMMAR.exec(text)?.groups;
  if (!groups) return undefined;
  const { nid, nss, domain, family, major, minor, name } = groups as Record<string, string | undefined>;
  const parts = { nid: nid!, nss: nss!, domain: domain!, name: name! };
  return family === undefined ? parts : { ...parts, family, major: Number(major), minor: Number(minor) };
}

/** The nine messages of the specification, by the names that it gives them. */
export const NAMES = [
  'connection_offer',
  'connection_request',
  'connection_response',
  'connection_acknowledgement',
  'credential_offer',
  'credential_request',
  'credential',
  'proof_request',
  'proof',
] as const;
export type Name2018 = (typeof NAMES)[number];

/** How a peer writes: the specification's types, or those of an implementation of its time. The first that a connection sees is how it is answered. */
export type Profile2018 = 'spec' | 'indy-node' | 'quindy' | 'findy';

/** A known type. */
export interface CanonicalType {
  readonly name: Name2018;
  readonly profile: Profile2018;
  /** Above 0 there may be attributes that are to be ignored. */
  readonly minor: number;
}

type Aliases = Readonly<Record<string, Name2018>>;

const same = (names: readonly Name2018[]): Aliases => Object.fromEntries(names.map((name) => [name, name]));
const CONNECTION: Aliases = {
  offer: 'connection_offer',
  request: 'connection_request',
  response: 'connection_response',
  acknowledgement: 'connection_acknowledgement',
};
const INDY = 'indy:sov:agent';

/** Prefix, domain and family, and what the names in it are. The nine stand under `connection`, credentials and proofs too: so the specification has it. */
const FAMILIES: ReadonlyMap<string, { profile: Profile2018; names: Aliases }> = new Map([
  [`${INDY} sovrin.org connection`, { profile: 'spec', names: { ...same(NAMES), ...CONNECTION } }],
  [`${INDY} sovrin.org credential`, { profile: 'quindy', names: same(['credential_offer', 'credential_request', 'credential']) }],
  [`${INDY} sovrin.org proof`, { profile: 'quindy', names: same(['proof_request', 'proof']) }],
  [`${INDY} findy.fi connection`, { profile: 'findy', names: CONNECTION }],
  [
    `${INDY} findy.fi credential`,
    { profile: 'findy', names: { offer: 'credential_offer', request: 'credential_request', response: 'credential' } },
  ],
]);

/** Names without family and version, under `urn:sovrin:agent`. */
const INDY_NODE: Aliases = {
  ...same(NAMES.filter((name) => name !== 'connection_acknowledgement')),
  connection_acknowledge: 'connection_acknowledgement',
};

const lookup = (names: Aliases, name: string): Name2018 | undefined => (Object.hasOwn(names, name) ? names[name] : undefined);

/**
 * Which of the nine messages a type means, and in whose words. Undefined for a type that is not known; 'unsupported-version' where the family is known and its
 * major version, a breaking change, is not.
 */
export function canonicalAgent2018Type(type: Agent2018Type): CanonicalType | 'unsupported-version' | undefined {
  const prefix = `${type.nid}:${type.nss}`;
  if (type.family === undefined) {
    const name = prefix === 'sovrin:agent' && type.domain === 'sovrin.org' ? lookup(INDY_NODE, type.name) : undefined;
    return name && { name, profile: 'indy-node', minor: 0 };
  }
  const family = FAMILIES.get(`${prefix} ${type.domain} ${type.family}`);
  if (!family) return undefined;
  if (type.major !== 1) return 'unsupported-version';
  const name = lookup(family.names, type.name);
  return name && { name, profile: family.profile, minor: type.minor! };
}

/** The type in messages that this agent sends: the specification's, or that of the reference implementation of 2018. */
export function agent2018Type(name: Name2018, profile: 'spec' | 'indy-node' = 'spec'): string {
  if (profile === 'spec') return `urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/${name}`;
  return `urn:sovrin:agent:message_type:sovrin.org/${name === 'connection_acknowledgement' ? 'connection_acknowledge' : name}`;
}
