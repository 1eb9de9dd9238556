import type { EncodedValue, PredicateType, PresentationRequest } from '../ports/anoncreds.ts';
import { canonicalName } from './anoncreds-values.ts';
import { isUnrestricted, meets, type Subject } from './wql.ts';

/** A credential in the holder's wallet, with what restrictions ask about it. */
export interface HeldCredential {
  id: string;
  /** As `subjectOf` gives it; its values may be left empty, they are taken from `values`. */
  subject: Omit<Subject, 'values' | 'attributes'>;
  values: Readonly<Record<string, EncodedValue>>;
}

/** The ids of the credentials that can answer each referent, in the order in which they were given. */
export interface Matches {
  attributes: Record<string, string[]>;
  predicates: Record<string, string[]>;
}

/**
 * Which of a holder's credentials can answer which referent of a request: all names are there, the predicate holds, the restrictions are met.
 * @throws WqlUnsupported
 */
export function matchCredentials(request: PresentationRequest, held: readonly HeldCredential[]): Matches {
  const subjects = held.map((credential) => {
    const values = new Map(Object.entries(credential.values).map(([name, { raw }]) => [canonicalName(name), raw]));
    const subject: Subject = { ...credential.subject, values, attributes: new Set(values.keys()) };
    return { id: credential.id, subject };
  });
  const matching = (fits: (subject: Subject) => boolean): string[] => subjects.filter(({ subject }) => fits(subject)).map(({ id }) => id);
  const matches: Matches = { attributes: {}, predicates: {} };
  for (const [referent, { name, names, restrictions }] of Object.entries(request.requested_attributes)) {
    const wanted = (names ?? [name ?? '']).map(canonicalName);
    matches.attributes[referent] = matching(
      (subject) => wanted.every((one) => subject.attributes.has(one)) && meets(restrictions, subject),
    );
  }
  for (const [referent, { name, p_type: type, p_value: bound, restrictions }] of Object.entries(request.requested_predicates)) {
    matches.predicates[referent] = matching(
      (subject) => holds(subject.values.get(canonicalName(name)), type, bound) && meets(restrictions, subject),
    );
  }
  return matches;
}

/** What a holder will present: by credential id, the referents it answers. */
export interface Selection {
  credentials: { id: string; attributes: { referent: string; reveal: boolean }[]; predicates: string[] }[];
  /** Unrestricted attributes that no credential has: the holder may state them without proof. */
  selfAttestable: string[];
  /** Referents that nothing answers. */
  missing: string[];
}

/** Takes the first match for every referent, preferring credentials that are taken already: fewer credentials say less about their holder. */
export function selectCredentials(request: PresentationRequest, matches: Matches): Selection {
  const chosen = new Map<string, Selection['credentials'][number]>();
  const selection: Selection = { credentials: [], selfAttestable: [], missing: [] };
  const take = (ids: readonly string[]): Selection['credentials'][number] | undefined => {
    const id = ids.find((one) => chosen.has(one)) ?? ids[0];
    if (id === undefined) return undefined;
    const entry = chosen.get(id) ?? { id, attributes: [], predicates: [] };
    chosen.set(id, entry);
    return entry;
  };
  // Predicates first: they match fewer credentials.
  for (const referent of Object.keys(request.requested_predicates)) {
    const entry = take(matches.predicates[referent] ?? []);
    if (entry) entry.predicates.push(referent);
    else selection.missing.push(referent);
  }
  for (const [referent, { names, restrictions }] of Object.entries(request.requested_attributes)) {
    const entry = take(matches.attributes[referent] ?? []);
    if (entry) entry.attributes.push({ referent, reveal: true });
    else if (!names && isUnrestricted(restrictions)) selection.selfAttestable.push(referent);
    else selection.missing.push(referent);
  }
  selection.credentials.push(...chosen.values());
  return selection;
}

/** Predicates are over 32-bit integers: any other value satisfies none. */
function holds(raw: string | undefined, type: PredicateType, bound: number): boolean {
  if (raw === undefined || !/^[+-]?[0-9]{1,10}$/.test(raw)) return false;
  const value = Number(raw);
  if (value < -(2 ** 31) || value >= 2 ** 31) return false;
  if (type === '>=') return value >= bound;
  if (type === '>') return value > bound;
  return type === '<=' ? value <= bound : value < bound;
}
