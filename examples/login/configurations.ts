import { createHash, createHmac, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { parse } from 'yaml';

/** Configurations of logins, as acapy-vc-authn-oidc has them: which proof is asked for, and which claims follow from it. */

const name = Type.String({ minLength: 1, maxLength: 256 });
const Restrictions = Type.Array(Type.Object({}, { additionalProperties: Type.String({ maxLength: 2000 }) }), { maxItems: 20 });
const Value = Type.Union([Type.Integer(), Type.String({ maxLength: 64 })]);

const Schema = Type.Object({
  ver_config_id: Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$' }),
  subject_identifier: Type.String({ maxLength: 256 }),
  generate_consistent_identifier: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  include_v1_attributes: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  proof_request: Type.Object({
    name: Type.Optional(name),
    version: Type.String({ pattern: '^[0-9]+(\\.[0-9]+){0,3}$' }),
    non_revoked: Type.Optional(Value),
    requested_attributes: Type.Array(
      Type.Object({ names: Type.Array(name, { minItems: 1, maxItems: 50 }), label: Type.Optional(name), restrictions: Restrictions }),
      { maxItems: 20 },
    ),
    requested_predicates: Type.Array(
      Type.Object({
        name,
        label: Type.Optional(name),
        p_type: Type.Union([Type.Literal('<'), Type.Literal('<='), Type.Literal('>'), Type.Literal('>=')]),
        p_value: Value,
        restrictions: Restrictions,
      }),
      { maxItems: 20 },
    ),
  }),
  metadata: Type.Optional(Type.Object({})),
});

export type Configuration = Static<typeof Schema>;
const compiled = Compile(Schema);

/** @throws Error that names the first place which does not fit */
export function readConfiguration(value: unknown): Configuration {
  if (!compiled.Check(value)) {
    const [fault] = compiled.Errors(value);
    throw new Error(`${fault?.instancePath || 'a configuration'} ${fault?.message ?? 'is none'}`);
  }
  // names that nothing stands for are errors now, not at the first login
  proofRequest(value, new Date());
  return value;
}

/** The configurations of a folder, each a file of YAML or JSON. @throws Error that names the file */
export function readConfigurations(folder: string): Map<string, Configuration> {
  const all = new Map<string, Configuration>();
  for (const file of readdirSync(folder).sort()) {
    try {
      const one = readConfiguration(parse(readFileSync(join(folder, file), 'utf8')));
      all.set(one.ver_config_id, one);
    } catch (error) {
      throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
    }
  }
  return all;
}

const seconds = (now: Date): number => Math.floor(now.getTime() / 1000);
/** A date as a number that can be compared: YYYYMMDD. */
const dayOf = (date: Date): number => Number(date.toISOString().slice(0, 10).replaceAll('-', ''));

/** The value of a name such as `$threshold_years_18`. @throws Error for an unknown one */
function substitute(value: number | string, now: Date): number {
  if (typeof value === 'number') return value;
  const years = /^\$threshold_years_(\d{1,3})$/.exec(value)?.[1];
  if (years !== undefined) {
    const then = new Date(now);
    then.setUTCFullYear(then.getUTCFullYear() - Number(years));
    return dayOf(then);
  }
  if (value === '$now') return seconds(now);
  if (value === '$today_int') return dayOf(now);
  if (value === '$tomorrow_int') return dayOf(new Date(now.getTime() + 86_400_000));
  if (/^-?\d{1,10}$/.test(value)) return Number(value);
  throw new Error(`nothing is known by the name ${value}`);
}

/** The proof request of a configuration, in AnonCreds format. */
export function proofRequest({ proof_request: { name: title, version, non_revoked, ...asked } }: Configuration, now: Date): object {
  return {
    name: title ?? 'proof_requested',
    version,
    ...(non_revoked !== undefined && { non_revoked: { to: substitute(non_revoked, now) } }),
    requested_attributes: Object.fromEntries(
      asked.requested_attributes.map(({ label, ...one }, at) => [label ?? `req_attr_${at}`, { ...one }]),
    ),
    requested_predicates: Object.fromEntries(
      asked.requested_predicates.map(({ label, ...one }, at) => [
        label ?? `req_pred_${at}`,
        { ...one, p_value: substitute(one.p_value, now) },
      ]),
    ),
  };
}

/** The attributes of a presentation, by name, in the order of the configuration. @throws Error for one that is not revealed */
export function attributesOf(configuration: Configuration, presentation: Presentation): Record<string, string> {
  const groups = presentation.requested_proof.revealed_attr_groups ?? {};
  const found: Record<string, string> = Object.create(null);
  for (const [at, { names, label }] of configuration.proof_request.requested_attributes.entries())
    for (const one of names) {
      const raw = groups[label ?? `req_attr_${at}`]?.values[one]?.raw;
      if (raw === undefined) throw new Error(`${one} is not revealed`);
      found[one] = raw;
    }
  return found;
}

export interface Presentation {
  readonly requested_proof: {
    readonly revealed_attr_groups?: Readonly<Record<string, { readonly values: Readonly<Record<string, { readonly raw: string }>> }>>;
  };
}

/** The claims of acapy-vc-authn-oidc: attributes as one JSON text, and each by its name where the configuration wants that. */
export const claimsOf = (configuration: Configuration, attributes: Readonly<Record<string, string>>): Record<string, string> => ({
  ...(configuration.include_v1_attributes === true ? attributes : {}),
  pres_req_conf_id: configuration.ver_config_id,
  acr: 'vc_authn',
  vc_presented_attributes: JSON.stringify(attributes),
});

/**
 * Who somebody is, for all clients: the same for the same attribute, or for the same attributes in any order; otherwise another one at each login.
 * Nobody can find it from guessed attributes without the secret.
 */
export function personOf(configuration: Configuration, attributes: Readonly<Record<string, string>>, secret: string): string {
  const known = Object.hasOwn(attributes, configuration.subject_identifier) ? attributes[configuration.subject_identifier] : undefined;
  const of =
    known !== undefined
      ? { is: known }
      : configuration.generate_consistent_identifier === true
        ? { shows: attributes }
        : { at: randomUUID() };
  return keyed(secret, { configuration: configuration.ver_config_id, ...of });
}

/** A person's subject at one client, or at the clients of one sector: these cannot find that it is the same person elsewhere. */
export const subjectOf = (person: string, sector: string, secret: string): string => keyed(secret, { person, sector });

/** The subject as acapy-vc-authn-oidc makes it, readable or to be guessed: for who has accounts by it. */
export function formerSubjectOf(configuration: Configuration, attributes: Readonly<Record<string, string>>): string | undefined {
  const end = `@${configuration.ver_config_id}`;
  const known = Object.hasOwn(attributes, configuration.subject_identifier) ? attributes[configuration.subject_identifier] : undefined;
  if (known !== undefined) return `${known}${end}`;
  if (configuration.generate_consistent_identifier !== true) return undefined;
  // their canonical form is of a text, so it has the order of the configuration
  return createHash('sha256')
    .update(`${JSON.stringify(spaced(attributes))}${end}`)
    .digest('hex');
}

/** Python's way of writing JSON. */
const spaced = (attributes: Readonly<Record<string, string>>): string =>
  `{${Object.entries(attributes)
    .map(([key, value]) => `${ascii(key)}: ${ascii(value)}`)
    .join(', ')}}`;
const ascii = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

const keyed = (secret: string, value: object): string => createHmac('sha256', secret).update(canonicalize(value)!).digest('base64url');
