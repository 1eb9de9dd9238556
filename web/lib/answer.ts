/** What a proof request asks of a holder, and the answer that the holder has chosen. */

// biome-ignore lint/suspicious/noExplicitAny: a proof request and the credentials for it, as free as JSON
type Json = any;

/** One thing that is asked for. */
export interface Ask {
  readonly referent: string;
  readonly names: readonly string[];
  /** As in `>= 2020`: only whether it holds is shown. */
  readonly bound?: { readonly type: string; readonly value: number };
  /** The credentials that have it. */
  readonly having: readonly Json[];
  /** No credential has it, and none is wanted: the holder may say it. */
  readonly stated: boolean;
}

/** @param found - credentials as the agent lists them for a request */
export function asksOf(request: Json, found: readonly Json[]): Ask[] {
  const one = (referent: string, part: Json, bound?: Ask['bound']): Ask => {
    const having = found.filter((each) => each.presentation_referents.includes(referent));
    const names = (part.names ?? [part.name]) as string[];
    return { referent, names, bound, having, stated: !bound && having.length === 0 && !part.restrictions?.length && !part.names };
  };
  return [
    ...Object.entries((request?.requested_attributes ?? {}) as Json).map(([referent, part]) => one(referent, part)),
    ...Object.entries((request?.requested_predicates ?? {}) as Json).map(([referent, part]: [string, Json]) =>
      one(referent, part, { type: part.p_type, value: part.p_value }),
    ),
  ];
}

const idOf = (credential: Json): string => credential.cred_info.referent;

/** The credential for each thing that is asked for, as few different ones as can be: the one that has most comes first. */
export function smallestChoice(asks: readonly Ask[]): Record<string, string> {
  const counts = new Map<string, number>();
  for (const { having } of asks) for (const one of having) counts.set(idOf(one), (counts.get(idOf(one)) ?? 0) + 1);
  const best = ({ having }: Ask): Json | undefined => [...having].sort((a, b) => counts.get(idOf(b))! - counts.get(idOf(a))!)[0];
  return Object.fromEntries(asks.flatMap((ask) => (ask.having.length > 0 ? [[ask.referent, idOf(best(ask))]] : [])));
}

/** The presentation that a choice means, as `send-presentation` takes it. */
export function answerOf(asks: readonly Ask[], chosen: Readonly<Record<string, string>>, said: Readonly<Record<string, string>>): object {
  const own = asks.filter(({ referent }) => chosen[referent] !== undefined);
  return {
    requested_attributes: Object.fromEntries(
      own.filter(({ bound }) => !bound).map(({ referent }) => [referent, { cred_id: chosen[referent], revealed: true }]),
    ),
    requested_predicates: Object.fromEntries(
      own.filter(({ bound }) => bound).map(({ referent }) => [referent, { cred_id: chosen[referent] }]),
    ),
    self_attested_attributes: Object.fromEntries(
      asks.filter(({ stated }) => stated).map(({ referent }) => [referent, said[referent] ?? '']),
    ),
  };
}

/** Attributes of the chosen credentials that are not shown. */
export function unshown(asks: readonly Ask[], chosen: Readonly<Record<string, string>>): string[] {
  const used = new Map<string, Json>();
  for (const { referent, having } of asks)
    for (const one of having) if (chosen[referent] === idOf(one)) used.set(idOf(one), one.cred_info.attrs);
  const shown = new Set(asks.filter(({ bound }) => !bound).flatMap(({ names }) => names.map((name) => name.toLowerCase())));
  const all = new Set([...used.values()].flatMap((attrs) => Object.keys(attrs)));
  return [...all].filter((name) => !shown.has(name.toLowerCase())).sort();
}
