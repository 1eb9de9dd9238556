import { word } from './i18n.ts';

/** Proof requests of AnonCreds as a form has them, and back; and what a presentation shows. */

export interface Asked {
  readonly attributes: readonly string[];
  readonly predicates: readonly Predicate[];
  /** The definition that all of it must come from; empty: any issuer's. */
  readonly definition: string;
  /** Attributes that the holder may state without a credential. */
  readonly stated: readonly string[];
  /** Not revoked now. */
  readonly fresh: boolean;
}

export interface Predicate {
  readonly name: string;
  readonly type: '>=' | '>' | '<=' | '<';
  readonly value: number;
}

// biome-ignore lint/suspicious/noExplicitAny: a proof request or a presentation, as free as JSON
type Json = any;

/** The request of an exchange, of whichever format. */
export const requestIn = ({ by_format: formats = {} }: Json): Json => Object.values(formats.pres_request ?? {})[0];
export const presentationIn = ({ by_format: formats = {} }: Json): Json => Object.values(formats.pres ?? {})[0];

/** The request of a form. Attributes are one group, so that they come from one credential. @param now seconds since 1970 */
export function requestOf({ attributes, predicates, definition, stated, fresh }: Asked, name: string, now: number): Json {
  const restrictions = definition ? [{ cred_def_id: definition }] : [];
  return {
    name,
    version: '1.0',
    requested_attributes: {
      ...(attributes.length > 0 && { shown: { names: attributes, restrictions } }),
      ...Object.fromEntries(stated.map((one, i) => [`stated${i}`, { name: one }])),
    },
    requested_predicates: Object.fromEntries(
      predicates.map(({ name: of, type, value }, i) => [`proved${i}`, { name: of, p_type: type, p_value: value, restrictions }]),
    ),
    ...(fresh && { non_revoked: { from: now, to: now } }),
  };
}

/** The form of a request; undefined for one that asks for more than the form can show. */
export function askedBy(request: Json): Asked | undefined {
  const attributes: string[] = [];
  const stated: string[] = [];
  const definitions = new Set<string>();
  const restricted = (restrictions: Json): boolean => {
    if (!Array.isArray(restrictions) || restrictions.length === 0) {
      definitions.add('');
      return true;
    }
    const [only, ...more] = restrictions;
    if (more.length > 0 || Object.keys(only).join() !== 'cred_def_id') return false;
    definitions.add(only.cred_def_id);
    return true;
  };
  let groups = 0;
  for (const one of Object.values((request?.requested_attributes ?? {}) as Record<string, Json>)) {
    if (Array.isArray(one.names)) {
      if (groups++ > 0 || one.non_revoked || !restricted(one.restrictions)) return undefined;
      attributes.push(...one.names);
    } else if (one.name && one.restrictions === undefined && !one.non_revoked) stated.push(one.name);
    else return undefined;
  }
  const predicates: Predicate[] = [];
  for (const one of Object.values((request?.requested_predicates ?? {}) as Record<string, Json>)) {
    if (one.non_revoked || !restricted(one.restrictions)) return undefined;
    predicates.push({ name: one.name, type: one.p_type, value: one.p_value });
  }
  if (definitions.size > 1) return undefined;
  return { attributes, predicates, stated, definition: [...definitions][0] ?? '', fresh: request.non_revoked !== undefined };
}

/** One thing that was asked for, and what came. */
export interface Outcome {
  readonly name: string;
  readonly kind: 'shown' | 'hidden' | 'stated' | 'proved' | 'missing';
  readonly value?: string;
  /** The definition of the credential that it came from. */
  readonly definition?: string;
  /** Whether any issuer would have done. */
  readonly anyone: boolean;
}

/** What a presentation shows of a request, in the request's order. */
export function outcomes(request: Json, presentation: Json): Outcome[] {
  const proof = presentation?.requested_proof ?? {};
  const ids: Json[] = presentation?.identifiers ?? [];
  const from = (part: Json): string | undefined => ids[part?.sub_proof_index]?.cred_def_id;
  const out: Outcome[] = [];
  for (const [referent, one] of Object.entries((request?.requested_attributes ?? {}) as Record<string, Json>)) {
    const anyone = !one.restrictions?.length;
    const group = proof.revealed_attr_groups?.[referent];
    for (const name of (one.names ?? [one.name]) as string[]) {
      const shown = group ? { sub_proof_index: group.sub_proof_index, raw: group.values?.[name]?.raw } : proof.revealed_attrs?.[referent];
      const stated = proof.self_attested_attrs?.[referent];
      const hidden = proof.unrevealed_attrs?.[referent];
      if (shown) out.push({ name, kind: 'shown', value: shown.raw, definition: from(shown), anyone });
      else if (stated !== undefined) out.push({ name, kind: 'stated', value: stated, anyone });
      else out.push({ name, kind: hidden ? 'hidden' : 'missing', definition: from(hidden), anyone });
    }
  }
  for (const [referent, one] of Object.entries((request?.requested_predicates ?? {}) as Record<string, Json>)) {
    const proved = proof.predicates?.[referent];
    const anyone = !one.restrictions?.length;
    out.push({
      name: one.name,
      kind: proved ? 'proved' : 'missing',
      value: `${word('predicate', one.p_type)} ${one.p_value}`,
      definition: from(proved),
      anyone,
    });
  }
  return out;
}
