import { Fragment, h, type VNode } from './h.ts';
import { t } from './i18n.ts';
import { visible } from './visible.ts';

/** Texts that others chose: labels, goals, messages, names and values. They are text nodes, kept apart from the text around them, and never links. */

/** A text of a peer's, in `<bdi>`: at most 200 characters, what cannot be seen made visible. */
export function Theirs({ text, longest }: { text: unknown; longest?: number }): VNode {
  const given = typeof text === 'string' ? text : text === undefined || text === null ? '' : JSON.stringify(text);
  const parts = visible(given, longest).map((part) => (part.hidden ? h('span', { class: 'hidden-mark' }, part.text) : part.text));
  return h('bdi', { class: 'theirs' }, ...parts);
}

/** The end of an id, which tells it from others: they begin with the time of their making. */
export const shortId = (id: string): string => id.slice(-8);
export const ShortId = ({ id }: { id: string }): VNode => h('code', null, shortId(id));

/** The names of a connection: ours, and the one that the peer gave itself, which nobody has checked. Without one of ours its id tells it from others, behind that. */
export function PeerName({ alias, label, id }: { alias?: string | null; label?: string | null; id: string }): VNode {
  const own = alias ? h('b', null, h(Theirs, { text: alias })) : null;
  if (!label) return own ?? h(ShortId, { id });
  return h(
    Fragment,
    null,
    own,
    own ? ' ' : null,
    h('span', { class: 'unchecked' }, h(Theirs, { text: label }), ' ', h('small', null, t('peer.unchecked'))),
    own ? null : [' ', h('small', null, h(ShortId, { id }))],
  );
}
