import type { EncodedValue, PredicateType, PresentationRequest } from '../ports/anoncreds.ts';
import { canonicalName } from './anoncreds-values.ts';
import { isUnrestricted, type Wish } from './proof-request.ts';
import { meets, type Subject } from './wql.ts';

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

/** Why a credential does not answer a referent. */
type Lack = 'name' | 'predicate' | 'restriction';

/** The requirement of a referent on one credential. */
interface Asked {
  readonly referent: string;
  /** Canonical. */
  readonly names: readonly string[];
  readonly restrictions: unknown;
  readonly predicate?: { readonly type: PredicateType; readonly bound: number };
}

const attributesOf = (request: PresentationRequest): Asked[] =>
  Object.entries(request.requested_attributes).map(([referent, { name, names, restrictions }]) => ({
    referent,
    names: (names ?? [name ?? '']).map(canonicalName),
    restrictions,
  }));

const predicatesOf = (request: PresentationRequest): Asked[] =>
  Object.entries(request.requested_predicates).map(([referent, { name, p_type: type, p_value: bound, restrictions }]) => ({
    referent,
    names: [canonicalName(name)],
    restrictions,
    predicate: { type, bound },
  }));

/** A credential under its canonical names: what people read, and the numbers that were signed. */
interface Read {
  readonly id: string;
  readonly subject: Subject;
  readonly encoded: ReadonlyMap<string, string>;
}

function read({ id, subject, values }: HeldCredential): Read {
  const named = Object.entries(values).map(([name, value]) => [canonicalName(name), value] as const);
  const raw = new Map(named.map(([name, value]) => [name, value.raw]));
  return {
    id,
    subject: { ...subject, values: raw, attributes: new Set(raw.keys()) },
    encoded: new Map(named.map(([name, value]) => [name, value.encoded])),
  };
}

function lackOf({ names, predicate, restrictions }: Asked, { subject, encoded }: Read): Lack | undefined {
  if (!names.every((name) => subject.attributes.has(name))) return 'name';
  if (predicate && !holds(encoded.get(names[0]!), predicate.type, predicate.bound)) return 'predicate';
  return meets(restrictions, subject) ? undefined : 'restriction';
}

/**
 * Which of a holder's credentials can answer which referent of a request: all names are there, the predicate holds, the restrictions are met.
 * @throws WqlUnsupported
 */
export function matchCredentials(request: PresentationRequest, held: readonly HeldCredential[]): Matches {
  const credentials = held.map(read);
  const among = (asked: Asked[]): Record<string, string[]> =>
    Object.fromEntries(asked.map((one) => [one.referent, credentials.filter((of) => lackOf(one, of) === undefined).map(({ id }) => id)]));
  return { attributes: among(attributesOf(request)), predicates: among(predicatesOf(request)) };
}

/** Why a credential that a controller chose for a referent does not answer it, in words; undefined where it does. @throws WqlUnsupported */
export function whyNot(
  request: PresentationRequest,
  kind: 'attribute' | 'predicate',
  referent: string,
  held: HeldCredential,
): string | undefined {
  const asked = (kind === 'attribute' ? attributesOf(request) : predicatesOf(request)).find((one) => one.referent === referent);
  const lack = asked && lackOf(asked, read(held));
  if (!lack) return undefined;
  const words = {
    name: 'it has no such attribute',
    predicate: 'the predicate does not hold for its value',
    restriction: 'it does not meet the restrictions',
  };
  return `The credential ${held.id} does not answer the requested ${kind} ${referent}: ${words[lack]}`;
}

/** The credentials of a presentation: by credential id, the referents that it answers. */
export interface Selection {
  credentials: { id: string; attributes: { referent: string; reveal: boolean }[]; predicates: string[] }[];
  /** The values that the holder had proposed to state without proof. */
  selfAttested: Record<string, string>;
  /** Unrestricted attributes that no credential has: the holder may state them without proof. */
  selfAttestable: string[];
  /** Referents that nothing answers. */
  missing: string[];
}

/**
 * The same, as it can be proven: within one sub-proof an attribute is revealed or has a predicate, never both (AnonCreds specification, "Generate Presentation"). A
 * credential that is to do both is presented twice.
 */
export function provenApart(request: PresentationRequest, credentials: Selection['credentials']): Selection['credentials'] {
  const names = (asked: readonly Asked[]): Map<string, readonly string[]> => new Map(asked.map((one) => [one.referent, one.names]));
  const [attributes, predicates] = [names(attributesOf(request)), names(predicatesOf(request))];
  return credentials.flatMap((one) => {
    const revealed = new Set(one.attributes.flatMap(({ referent, reveal }) => (reveal ? (attributes.get(referent) ?? []) : [])));
    const clashing = one.predicates.filter((referent) => predicates.get(referent)?.some((name) => revealed.has(name)));
    if (clashing.length === 0) return [one];
    return [
      { ...one, predicates: one.predicates.filter((referent) => !clashing.includes(referent)) },
      { id: one.id, attributes: [], predicates: clashing },
    ];
  });
}

/** Credentials that are tried, and sets of them that are judged; beyond, the best that was found. */
const MAX_STEPS = 20_000;
const MAX_JUDGED = 200;

/**
 * The credentials that answer a request: as few as can be, and of those the ones that come first in `held` (give the newest first), since fewer credentials reveal
 * less about their holder, and the attributes of one credential belong together. The holder's own proposal in this thread comes before anything else. A choice
 * whose restrictions the verifier can see to be met from what is revealed goes before one where it cannot. The search is bounded; where it ends early the choice
 * may be larger than it need be.
 * @throws WqlUnsupported
 */
export function selectCredentials(
  request: PresentationRequest,
  matches: Matches,
  held: readonly HeldCredential[] = [],
  wishes: readonly Wish[] = [],
): Selection {
  const selection: Selection = { credentials: [], selfAttested: {}, selfAttestable: [], missing: [] };
  const wished = wisher(held, wishes);
  const open: (Asked & { answers: readonly string[] })[] = [];
  for (const asked of [...predicatesOf(request), ...attributesOf(request)]) {
    const all = (asked.predicate ? matches.predicates : matches.attributes)[asked.referent] ?? [];
    const { referent } = asked;
    const attestable = !asked.predicate && !request.requested_attributes[referent]?.names && isUnrestricted(asked.restrictions);
    const { answers, stated } = wished(asked, all, attestable);
    if (answers.length > 0) open.push({ ...asked, answers });
    else if (stated !== undefined) selection.selfAttested[referent] = stated;
    else if (attestable) selection.selfAttestable.push(referent);
    else selection.missing.push(referent);
  }
  if (open.length === 0) return selection;
  const read = new Map(held.map((one) => [one.id, one]));
  for (const [id, referents] of cover(open, held, (assigned) => provable(assigned, read))) {
    const entry: Selection['credentials'][number] = { id, attributes: [], predicates: [] };
    for (const { referent, predicate } of referents) {
      if (predicate) entry.predicates.push(referent);
      else entry.attributes.push({ referent, reveal: true });
    }
    selection.credentials.push(entry);
  }
  return selection;
}

/**
 * Of the credentials that could answer a referent, those that the holder proposed; all, where it proposed nothing about it or nothing that fits: whether that is
 * the verifier judges the proposal. Values that it proposed to state without proof it states so, where the request permits that.
 */
function wisher(
  held: readonly HeldCredential[],
  wishes: readonly Wish[],
): (asked: Asked, answers: readonly string[], attestable: boolean) => { answers: readonly string[]; stated?: string } {
  if (wishes.length === 0) return (_asked, answers) => ({ answers });
  const credentials = new Map(held.map((one) => [one.id, one]));
  const about = (name: string): Wish[] => wishes.filter(({ names }) => names.some((one) => canonicalName(one) === name));
  return ({ names, predicate }, answers, attestable) => {
    const relevant = names.map(about);
    const fitting = answers.filter((id) => {
      const one = credentials.get(id);
      const { subject } = one ? read(one) : { subject: undefined };
      return subject && relevant.every((some) => some.length === 0 || some.some(({ restrictions }) => meets(restrictions, subject)));
    });
    if (fitting.length > 0) return { answers: fitting };
    const stated = predicate ? undefined : relevant.flat().find((wish) => wish.stated !== undefined)?.stated;
    return attestable && stated !== undefined ? { answers: [], stated } : { answers };
  };
}

type Assigned = ReadonlyMap<string, readonly Asked[]>;

/** Whether the verifier, who sees of a credential only what is revealed of it, finds all restrictions met. */
function provable(assigned: Assigned, held: ReadonlyMap<string, HeldCredential>): boolean {
  for (const [id, referents] of assigned) {
    const one = held.get(id);
    if (!one) continue;
    const { subject } = read(one);
    const revealed = new Set(referents.flatMap(({ names, predicate }) => (predicate ? [] : names)));
    const seen: Subject = { ...subject, values: new Map([...subject.values].filter(([name]) => revealed.has(name))) };
    if (!referents.every(({ restrictions }) => meets(restrictions, seen))) return false;
  }
  return true;
}

type Bits = Uint32Array;
const has = (bits: Bits, index: number): boolean => ((bits[index >> 5]! >>> (index & 31)) & 1) === 1;
const put = (bits: Bits, index: number): void => {
  bits[index >> 5]! |= 1 << (index & 31);
};
const join = (bits: Bits, more: Bits): Bits => {
  for (let i = 0; i < bits.length; i++) bits[i]! |= more[i]!;
  return bits;
};
function countNew(bits: Bits, covered: Bits): number {
  let count = 0;
  for (let i = 0; i < bits.length; i++) for (let word = bits[i]! & ~covered[i]!; word !== 0; word &= word - 1) count++;
  return count;
}

/** A credential and what it answers. */
type Candidate = readonly [id: string, answers: Bits];

/** The smallest set of credentials in which each referent has one that answers it, and which answers which. */
function cover(
  open: readonly (Asked & { answers: readonly string[] })[],
  held: readonly HeldCredential[],
  good: (assigned: Assigned) => boolean,
): Assigned {
  const words = (open.length + 31) >> 5;
  // credentials that answer the same referents are alike: the first stands for them
  const sets = new Map<string, Bits>();
  for (const { id } of held) sets.set(id, new Uint32Array(words));
  for (const [index, { answers }] of open.entries()) {
    for (const id of answers) {
      const bits = sets.get(id) ?? new Uint32Array(words);
      put(bits, index);
      sets.set(id, bits);
    }
  }
  const seen = new Set<string>();
  const candidates = [...sets].filter(([, bits]) => {
    const key = Buffer.from(bits.buffer).toString('latin1');
    if (seen.has(key) || bits.every((word) => word === 0)) return false;
    seen.add(key);
    return true;
  });
  const answering = open.map((_one, index) => candidates.filter(([, bits]) => has(bits, index)));
  // referents that few credentials answer come first
  const order = open.map((_one, index) => index).sort((a, b) => answering[a]!.length - answering[b]!.length);
  const assign = (chosen: readonly Candidate[]): Map<string, Asked[]> => {
    const out = new Map(chosen.map(([id]): [string, Asked[]] => [id, []]));
    for (const [index, one] of open.entries()) out.get(chosen.find(([, bits]) => has(bits, index))![0])!.push(one);
    for (const [id, referents] of out) if (referents.length === 0) out.delete(id);
    return out;
  };

  const first = (covered: Bits): number | undefined => order.find((index) => !has(covered, index));
  // the credential that answers most of the rest, again and again: no smaller than the best choice, and never far from it
  const greedy: Candidate[] = [];
  const covered = new Uint32Array(words);
  for (let index = first(covered); index !== undefined; index = first(covered)) {
    let best: Candidate | undefined;
    let most = 0;
    for (const candidate of answering[index]!) {
      const more = countNew(candidate[1], covered);
      if (more > most) [best, most] = [candidate, more];
    }
    greedy.push(best!);
    join(covered, best![1]);
  }

  let steps = 0;
  let judged = 0;
  let fallback: Assigned | undefined;
  const search = (chosen: readonly Candidate[], before: Bits, room: number): Assigned | undefined => {
    const index = first(before);
    if (index === undefined) {
      for (const tried of [chosen, chosen.toReversed()]) {
        if (++judged > MAX_JUDGED) return undefined;
        const assigned = assign(tried);
        if (good(assigned)) return assigned;
        fallback ??= assigned;
      }
      return undefined;
    }
    if (room === 0) return undefined;
    for (const candidate of answering[index]!) {
      if (++steps > MAX_STEPS || judged > MAX_JUDGED) return undefined;
      const found = search([...chosen, candidate], join(before.slice(), candidate[1]), room - 1);
      if (found) return found;
    }
    return undefined;
  };
  for (let size = 1; size <= greedy.length && steps <= MAX_STEPS && judged <= MAX_JUDGED; size++) {
    const found = search([], new Uint32Array(words), size);
    if (found) return found;
  }
  return fallback ?? assign(greedy);
}

/** Predicates are over 32-bit integers: any other number that was signed satisfies none. */
function holds(encoded: string | undefined, type: PredicateType, bound: number): boolean {
  if (encoded === undefined || !/^-?[0-9]{1,10}$/.test(encoded)) return false;
  const value = Number(encoded);
  if (value < -(2 ** 31) || value >= 2 ** 31) return false;
  if (type === '>=') return value >= bound;
  if (type === '>') return value > bound;
  return type === '<=' ? value <= bound : value < bound;
}
