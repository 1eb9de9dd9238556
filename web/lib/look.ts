import { type Answer, call, may } from './api.ts';
import { definition, nameOf } from './definitions.ts';
import { type ComponentChildren, h, useEffect, useState, type VNode } from './h.ts';
import { currentLanguage, t } from './i18n.ts';
import { labelOf } from './labels.ts';
import { onLive, useLoad } from './live.ts';
import { Theirs } from './theirs.ts';
import { Facts } from './ui.ts';

/** Looks that issuers give their credentials: names and labels by language, two colours, a logo. The agent has bounded them; texts are text here, as any other of a peer's. */
export interface Look {
  readonly names: Readonly<Record<string, { readonly name?: string; readonly description?: string; readonly issuer?: string }>>;
  readonly labels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly primary_background_color?: string;
  readonly secondary_background_color?: string;
  readonly logo?: string;
  readonly primary_attribute?: string;
  readonly secondary_attribute?: string;
}

const TOPIC = 'oca_bundle';
const kept = new Map<string, Promise<Look | undefined>>();
// one that came, went or changed is read again; so are all after a gap
onLive((event) => {
  if (!event) kept.clear();
  else if (event.topic === TOPIC) kept.delete(event.payload?.cred_def_id);
});

/** The look of a definition's credentials, read once until it changes. */
function lookFor(id: string): Promise<Look | undefined> {
  const known = kept.get(id) ?? call('get_oca_bundles', { query: { cred_def_id: id, limit: 1 } }).then(({ results }) => results[0]?.look);
  kept.set(id, known);
  known.catch(() => kept.delete(id));
  return known;
}

export function useLook(id: string | undefined): Look | undefined {
  const read = async (): Promise<Look | undefined> =>
    id !== undefined && may('get_oca_bundles') ? await lookFor(id).catch(() => undefined) : undefined;
  return useLoad(read, [TOPIC], [id]).data;
}

/** The text in the page's language, of whatever country; else in English, else in the first one. */
export function spoken<T>(by: Readonly<Record<string, T>> | undefined): T | undefined {
  const languages = Object.keys(by ?? {});
  const of = (name: string): string | undefined =>
    languages.find((one) => one.toLowerCase() === name) ?? languages.find((one) => one.toLowerCase().startsWith(`${name}-`));
  const found = of(currentLanguage()) ?? of('en') ?? languages[0];
  return found === undefined ? undefined : by?.[found];
}

const COLOUR = /^#[0-9a-f]{6}$/;
const HUES = 8;
/** Cards of one definition look alike, and most others do not. */
const hueOf = (id: string): string => `look-${[...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 1_000_003, 7) % HUES}`;

/** Black or white, whichever is seen better on a colour: at least 4.58:1 on any (WCAG 2.2, relative luminance). */
function inkOn(colour: string): string {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? '#000000' : '#ffffff';
}

/** A picture of bytes that are here: no address is loaded. */
function Logo({ data }: { data: string | undefined }): VNode | null {
  const [url, show] = useState<string>();
  useEffect(() => {
    const [, type, text] = /^data:(image\/(?:png|jpeg));base64,([A-Za-z0-9+/=]+)$/.exec(data ?? '') ?? [];
    if (type === undefined || text === undefined) return show(undefined);
    const made = URL.createObjectURL(new Blob([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))], { type }));
    show(made);
    return () => URL.revokeObjectURL(made);
  }, [data]);
  return url === undefined ? null : h('img', { class: 'logo', src: url, alt: '', width: 48, height: 48 } as Answer);
}

/** A definition's name, once it was read: the one that its issuer gives its cards, else that of its schema. */
export function DefinitionName({ id }: { id: string | undefined }): VNode | null {
  const { data } = useLoad(async () => (id === undefined ? undefined : await definition(id).catch(() => undefined)), [], [id]);
  const name = spoken(useLook(id)?.names)?.name;
  if (id === undefined) return null;
  if (name !== undefined) return h(Theirs, { text: name });
  return data ? h(Theirs, { text: nameOf(data) }) : h('code', null, id.slice(-16));
}

/** What a definition's cards are for, in their issuer's words. */
export function Description({ id }: { id: string | undefined }): VNode | null {
  const text = spoken(useLook(id)?.names)?.description;
  return text === undefined ? null : h('p', null, h(Theirs, { text, longest: 500 }));
}

/** The name of an attribute: its label in the page's language, and the name itself beside it where that is asked for. */
export function AttributeName({ of, name, both }: { of: Look | undefined; name: string; both?: boolean }): VNode {
  const label = labelOf(spoken(of?.labels), name);
  if (label === undefined) return h(Theirs, { text: name });
  return h(
    'span',
    null,
    h(Theirs, { text: label }),
    both && label.toLowerCase() !== name.toLowerCase() ? [' ', h('small', null, h('code', null, h(Theirs, { text: name })))] : null,
  );
}

/** The same where its definition is known. */
export function AttributeOf({ id, name }: { id: string | undefined; name: string }): VNode {
  return h(AttributeName, { of: useLook(id), name });
}

interface AttributesProps {
  readonly of: readonly { name: string; value: unknown }[];
  /** The definition, in whose order they are shown. */
  readonly by?: string;
  readonly most?: number;
}

/** A credential as its holder sees it. */
export function Attributes({ of, by, most }: AttributesProps): VNode {
  const { data } = useLoad(async () => (by === undefined ? undefined : await definition(by).catch(() => undefined)), [], [by]);
  const look = useLook(by);
  const first = [look?.primary_attribute, look?.secondary_attribute].filter((one) => one !== undefined);
  const order = [...first, ...(data?.attributes ?? []).filter((one) => !first.includes(one))];
  const all = [...of].sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name)).slice(0, most);
  return h(Facts, { of: all.map(({ name, value }) => [h(AttributeName, { of: look, name }), h(Theirs, { text: value })] as const) });
}

interface CardProps {
  /** The definition. */
  readonly id: string | undefined;
  /** Its heading, where the page has none of it. */
  readonly heading?: VNode;
  readonly attributes: readonly { name: string; value: unknown }[];
  readonly most?: number;
}

/** A card: its issuer's colours, logo and names where there are some, else a colour of its own. */
export function CardFace({ id, heading, attributes, most }: CardProps): VNode {
  const look = useLook(id);
  const primary = look?.primary_background_color;
  const colour = primary !== undefined && COLOUR.test(primary) ? primary : undefined;
  const { secondary_background_color: second } = look ?? {};
  const { issuer } = spoken(look?.names) ?? {};
  const inside: ComponentChildren = h(Attributes, { of: attributes, by: id, most });
  const band = heading || issuer || look?.logo;
  const style =
    colour === undefined
      ? undefined
      : { '--band': colour, '--ink': inkOn(colour), '--edge-band': second !== undefined && COLOUR.test(second) ? second : colour };
  return h(
    'article',
    { class: `card face ${colour === undefined ? (id === undefined ? '' : hueOf(id)) : 'branded'}`, style: style as Answer },
    band || colour
      ? h(
          'div',
          { class: 'band' },
          h(Logo, { data: look?.logo }),
          h('div', null, heading, issuer ? h('p', null, h(Theirs, { text: issuer }), ' ', h('small', null, t('peer.unchecked'))) : null),
        )
      : null,
    inside,
  );
}
