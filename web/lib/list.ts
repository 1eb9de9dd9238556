import { type Answer, call } from './api.ts';
import { h, useState, type VNode } from './h.ts';
import { t } from './i18n.ts';
import { useLoad } from './live.ts';
import { Button, type Column, Empty, Shown, Table } from './ui.ts';

/** How many rows a list begins with, and how many more each time. */
const PAGE = 50;
const MOST = 1000;

interface ListProps {
  readonly caption: string;
  /** The operationId of the list. */
  readonly operation: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Topics after whose events it is read again. */
  readonly topics: readonly string[];
  readonly columns: readonly Column<Answer>[];
  readonly id: (row: Answer) => string;
  readonly empty: VNode;
  /** Whether the operation can answer the newest first. */
  readonly order?: boolean;
  /** Rows that are shown of those that were read. */
  readonly only?: (row: Answer) => boolean;
}

/** A list of records, newest first, that follows the events. */
export function List({ caption, operation, query = {}, topics, columns, id, empty, only, order = true }: ListProps): VNode {
  const [limit, more] = useState(PAGE);
  const read = (): Promise<Answer> => call(operation, { query: { ...query, limit, ...(order && { descending: true }) } });
  const loaded = useLoad(read, topics, [operation, limit, JSON.stringify(query)]);
  return h(Shown<Answer>, {
    of: loaded,
    children: ({ results, total = results.length }) => {
      const rows = only ? results.filter(only) : results;
      if (rows.length === 0 && total <= results.length) return empty;
      return h(
        'div',
        null,
        h(Table<Answer>, { caption, rows, columns, id }),
        h(
          'p',
          { class: 'count' },
          t('list.count', { shown: rows.length, total }),
          ' ',
          total > results.length && limit < MOST ? h(Button, { onClick: () => more(limit + PAGE) }, t('list.more')) : null,
        ),
      );
    },
  });
}

export { Empty };
