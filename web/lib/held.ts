import { type Answer, call } from './api.ts';
import { h, type VNode } from './h.ts';
import { t } from './i18n.ts';
import { useLoad } from './live.ts';
import { to } from './router.ts';
import { PeerName } from './theirs.ts';

/** What exchanges and credentials are of, in names. */

/** The definition that an exchange is of, by whichever of its messages names it. */
export const definitionOf = ({ cred_ex_record: { by_format: formats = {} } }: Answer): string | undefined =>
  Object.values(formats as Record<string, Answer>)
    .flatMap((one) => Object.values(one) as Answer[])
    .find((one) => one?.cred_def_id)?.cred_def_id;

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
