import { type Answer, operations as allOperations, call } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { ShortId, Theirs } from '../../lib/theirs.ts';
import { Button, type Column, Confirm, Empty, Facts, ForSupport, Heading, Named, Shown, State } from '../../lib/ui.ts';
import { Connection } from './issue.ts';

/** Records of every kind, those of plug-ins too: which there are, and what can be done with one, follows from the operations. */
export const records = screen({
  path: 'records',
  title: 'records.title',
  needs: [],
  view: ({ parts: [list, id] }: Place) => h(Known, { list, id }),
});

/** A kind of records: the operations that list them and read one, and the name of the id in the path of the latter. */
interface Kind {
  readonly name: string;
  readonly list: Answer;
  readonly one?: Answer;
  readonly field?: string;
  /** Operations on one record. */
  readonly own: readonly Answer[];
}

/** Every list of records has this summary, whose word is the record's own. */
const LISTS = /^List (\w+) records/;

function kindsIn(operations: readonly Answer[]): Kind[] {
  const kinds = operations.flatMap((list) => {
    const [, name] = list.method === 'GET' ? (LISTS.exec(list.summary) ?? []) : [];
    if (name === undefined) return [];
    const one = operations.find(({ method, path }) => method === 'GET' && new RegExp(`^${list.path}/\\{[a-z_]+\\}$`).test(path));
    return [{ name, list, one, field: one && /\{([a-z_]+)\}$/.exec(one.path)![1] }];
  });
  return kinds
    .map((kind): Kind => {
      const { one, field } = kind;
      // another kind may have the same name for its ids
      const foreign = kinds.flatMap((other) => (other.one && other.one !== one && other.field === field ? [other.one.path] : []));
      const isOwn = (op: Answer): boolean =>
        op !== one && op.path.includes(`{${field}}`) && !foreign.some((path) => op.path === path || op.path.startsWith(`${path}/`));
      return { ...kind, own: one ? operations.filter(isOwn) : [] };
    })
    .sort((x, y) => word('kind', x.name).localeCompare(word('kind', y.name)));
}

function Known({ list, id }: { list: string | undefined; id: string | undefined }): VNode {
  const loaded = useLoad(() => allOperations().then(kindsIn));
  return h(Shown<Kind[]>, {
    of: loaded,
    children: (kinds) => {
      const kind = kinds.find((one) => one.list.id === list);
      if (kind?.one && id) return h(One, { kind, id });
      return kind ? h(All, { kind }) : h(Kinds, { kinds });
    },
  });
}

const Kinds = ({ kinds }: { kinds: readonly Kind[] }): VNode =>
  h(
    Fragment,
    null,
    h(Heading, null, t('records.title')),
    h('p', null, t('records.text')),
    kinds.length === 0
      ? h(Empty, { text: t('records.no-kinds') })
      : h(
          'ul',
          null,
          ...kinds.map(({ name, list }) =>
            h('li', { key: list.id }, h('a', { href: to('records', [list.id]) }, h(Named, { name, text: word('kind', name) }))),
          ),
        ),
  );

/** The id of a row: its member of the path's name, else the first one that is called an id. */
const idIn = (row: Answer, field: string | undefined): string => {
  const inner = row.cred_ex_record ?? row;
  return String(inner[field ?? ''] ?? Object.entries(inner).find(([name]) => name.endsWith('_id'))?.[1] ?? '');
};

function All({ kind: { name, list, one, field } }: { kind: Kind }): VNode {
  const inner = (row: Answer): Answer => row.cred_ex_record ?? row;
  const columns: Column<Answer>[] = [
    {
      title: t('column.id'),
      cell: (row) => {
        const id = idIn(row, field);
        const short = h(ShortId, { id });
        return one ? h('a', { href: to('records', [list.id, id]) }, short) : short;
      },
    },
    { title: t('column.state'), cell: (row) => (inner(row).state ? h(State, { state: inner(row).state }) : '') },
    {
      title: t('connections.with'),
      cell: (row) => (inner(row).connection_id ? h(Connection, { id: inner(row).connection_id }) : ''),
    },
    { title: t('column.changed'), cell: (row) => time(inner(row).updated_at ?? inner(row).created_at) },
    { title: t('events.content'), cell: (row) => h(ForSupport, { record: row }) },
  ];
  return h(
    Fragment,
    null,
    h(Heading, null, h(Named, { name, text: word('kind', name) })),
    h(List, {
      caption: word('kind', name),
      operation: list.id,
      topics: [],
      id: (row) => idIn(row, field),
      empty: h(Empty, { text: t('records.none') }),
      columns,
    }),
    h('p', null, h('a', { href: to('records') }, t('records.title'))),
  );
}

function One({ kind, id }: { kind: Kind; id: string }): VNode {
  const { name, list, one, field = '', own } = kind;
  const params = { [field]: id };
  const loaded = useLoad(() => call(one.id, { params }), [], [one.id, id]);
  const [deleting, setDeleting] = useState(false);
  const remove = own.find(({ method, path }) => method === 'DELETE' && path === one.path);
  return h(Shown<Answer>, {
    of: loaded,
    children: (found) => {
      const record = found.cred_ex_record ?? found;
      const plain = Object.entries(record).filter(([, value]) => typeof value !== 'object') as [string, unknown][];
      return h(
        Fragment,
        null,
        h(Heading, null, word('kind', name), ' ', h(ShortId, { id })),
        h(Facts, {
          of: plain.map(([key, value]) => [h(Named, { name: key, text: word('field', key) }), h(Theirs, { text: String(value) })] as const),
        }),
        remove ? h('p', { class: 'actions' }, h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('records.delete'))) : null,
        own.length === 0
          ? null
          : h(
              Fragment,
              null,
              h('h2', null, t('records.do')),
              h(
                'ul',
                null,
                ...own
                  .filter((op) => op !== remove)
                  .map((op) => h('li', { key: op.id }, h('a', { href: to('operations', [op.id], params) }, op.summary))),
              ),
            ),
        h(ForSupport, { record: found }),
        h('p', null, h('a', { href: to('records', [list.id]) }, word('kind', name))),
        deleting && remove
          ? h(Confirm, {
              title: t('records.delete'),
              text: t('records.delete.text'),
              action: t('records.delete'),
              onDo: () => call(remove.id, { params }).then(() => go('records', [list.id])),
              onClose: () => setDeleting(false),
            })
          : null,
      );
    },
  });
}
