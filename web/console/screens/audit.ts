import { type Answer, call, operations } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { screen } from '../../lib/screen.ts';
import { shortId, Theirs } from '../../lib/theirs.ts';
import { Button, Empty, Heading, Named, Shown, Table } from '../../lib/ui.ts';

const PAGE = 200;

/** The audit trail: who called what in this wallet, by calls of controllers and of this console. */
export const audit = screen({ path: 'audit', title: 'audit.title', needs: ['get_audit'], view: () => h(Trail, null) });

function Trail(): VNode {
  const [after, go] = useState('');
  const known = useLoad(operations);
  const summaryOf = (id: string): string => known.data?.find((one: Answer) => one.id === id)?.summary ?? id;
  const loaded = useLoad(() => call('get_audit', { query: { limit: PAGE, after: after || undefined } }), [], [after]);
  return h(
    Fragment,
    null,
    h(Heading, null, t('audit.title')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ results, next }) =>
        h(
          Fragment,
          null,
          h(
            'p',
            { class: 'actions' },
            after ? h(Button, { onClick: () => go('') }, t('audit.first')) : null,
            next && results.length === PAGE ? h(Button, { onClick: () => go(next) }, t('audit.next')) : null,
            h(Button, { onClick: loaded.reload }, t('action.refresh')),
          ),
          results.length === 0
            ? h(Empty, { text: t('audit.none') })
            : h(Table<Answer>, {
                caption: t('audit.title'),
                rows: results,
                id: (row) => row.audit_id ?? `${row.time} ${row.operation_id}`,
                columns: [
                  { title: t('events.time'), cell: (row) => time(row.time) },
                  { title: t('audit.operation'), cell: (row) => h(Named, { name: row.operation_id, text: summaryOf(row.operation_id) }) },
                  {
                    title: t('audit.who'),
                    cell: ({ who }) =>
                      h(Theirs, {
                        text: [word('who', who?.kind ?? ''), who?.sub, who?.token && shortId(who.token)].filter(Boolean).join(' '),
                      }),
                  },
                  { title: t('audit.outcome'), cell: (row) => `${word('outcome', row.outcome ?? '')} ${row.status ?? ''}` },
                ],
              }),
        ),
    }),
  );
}
