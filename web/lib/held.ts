import { type Answer, call } from './api.ts';
import { definition, nameOf } from './definitions.ts';
import { h, type VNode } from './h.ts';
import { t } from './i18n.ts';
import { useLoad } from './live.ts';
import { to } from './router.ts';
import { PeerName, Theirs } from './theirs.ts';
import { Facts } from './ui.ts';

/** What exchanges and credentials are of, in names. */

/** The definition that an exchange is of, by whichever of its messages names it. */
export const definitionOf = ({ cred_ex_record: { by_format: formats = {} } }: Answer): string | undefined =>
  Object.values(formats as Record<string, Answer>)
    .flatMap((one) => Object.values(one) as Answer[])
    .find((one) => one?.cred_def_id)?.cred_def_id;

/** A definition's name, once it was read. */
export function DefinitionName({ id }: { id: string | undefined }): VNode | null {
  const { data } = useLoad(async () => (id === undefined ? undefined : await definition(id).catch(() => undefined)), [], [id]);
  if (id === undefined) return null;
  return data ? h(Theirs, { text: nameOf(data) }) : h('code', null, id.slice(-16));
}

/** A connection by its names, as a link to it. */
export function Connection({ id }: { id: string | undefined }): VNode {
  const { data } = useLoad(
    async () => (id === undefined ? undefined : await call('get_connections_conn_id', { params: { conn_id: id } }).catch(() => undefined)),
    [],
    [id],
  );
  if (id === undefined) return h('span', null, t('issue.nobody'));
  return h('a', { href: to('connections', ['one', id]) }, h(PeerName, { id, alias: data?.alias, label: data?.their_label }));
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
  const place = (name: string): number => data?.attributes.indexOf(name) ?? 0;
  const all = [...of].sort((one, other) => place(one.name) - place(other.name)).slice(0, most);
  return h(Facts, { of: all.map(({ name, value }) => [h(Theirs, { text: name }), h(Theirs, { text: value })] as const) });
}

const LOOKS = 8;
/** Cards of one definition look alike, and most others do not. */
export const lookOf = (definition: string | undefined): string =>
  definition === undefined ? '' : ` look-${[...definition].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 1_000_003, 7) % LOOKS}`;
