import { type Answer, call } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { Connection } from '../../lib/held.ts';
import { t, time } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { AttributeOf, DefinitionName } from '../../lib/look.ts';
import { type Outcome, outcomes, presentationIn, requestIn } from '../../lib/proof.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, Empty, ForSupport, Heading, Shown, State, Table } from '../../lib/ui.ts';

const TOPICS = ['present_proof_v2_0'];

/** What was shown to whom, as it was on that day. */
export const history = screen({
  path: 'history',
  title: 'wallet.history',
  needs: ['get_present_proof_2_0_records'],
  view: ({ parts: [what, id] }: Place) => (what === 'one' && id ? h(One, { id }) : h(All, null)),
});

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.history')),
    h(List, {
      caption: t('wallet.history'),
      operation: 'get_present_proof_2_0_records',
      query: { role: 'prover' },
      topics: TOPICS,
      id: (row) => row.pres_ex_id,
      empty: h(Empty, { text: t('wallet.history.none') }),
      columns: [
        {
          title: t('wallet.what-for'),
          cell: (row) => h('a', { href: to('history', ['one', row.pres_ex_id]) }, h(Theirs, { text: requestIn(row)?.name })),
        },
        { title: t('wallet.to'), cell: (row) => h(Connection, { id: row.connection_id }) },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('column.changed'), cell: ({ updated_at: at }) => h('time', { dateTime: at }, time(at)) },
      ],
    }),
  );
}

function One({ id }: { id: string }): VNode {
  const params = { pres_ex_id: id };
  const loaded = useLoad(() => call('get_present_proof_2_0_records_pres_ex_id', { params }), TOPICS, [id]);
  const [deleting, setDeleting] = useState(false);
  return h(Shown<Answer>, {
    of: loaded,
    children: (record) => {
      const given = presentationIn(record);
      const rows = given ? outcomes(requestIn(record), given).filter(({ kind }) => kind !== 'missing') : [];
      return h(
        Fragment,
        null,
        h(Heading, null, h(Theirs, { text: requestIn(record)?.name })),
        h(
          'p',
          null,
          t('wallet.to'),
          ' ',
          h(Connection, { id: record.connection_id }),
          ' ',
          h(State, { state: record.state }),
          ' ',
          time(record.updated_at),
        ),
        rows.length === 0
          ? h('p', null, t('wallet.history.nothing'))
          : h(Table<Outcome>, {
              caption: t('wallet.history.shown'),
              rows,
              id: (row) => `${row.kind} ${row.name} ${row.value}`,
              columns: [
                { title: t('verify.attribute'), cell: (row) => h(AttributeOf, { id: row.definition, name: row.name }) },
                {
                  title: t('wallet.history.shown'),
                  cell: ({ kind, value = '' }) =>
                    kind === 'proved'
                      ? t('verify.holds', { what: value })
                      : kind === 'hidden'
                        ? t('verify.hidden')
                        : h('b', null, h(Theirs, { text: value })),
                },
                {
                  title: t('wallet.from-card'),
                  cell: (row) => (row.definition ? h(DefinitionName, { id: row.definition }) : t('wallet.said')),
                },
              ],
            }),
        h('p', { class: 'actions' }, h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('wallet.history.delete'))),
        h('p', null, h('a', { href: to('history') }, t('wallet.history'))),
        h(ForSupport, { record }),
        deleting
          ? h(Confirm, {
              title: t('wallet.history.delete'),
              text: t('wallet.history.delete.text'),
              action: t('wallet.history.delete'),
              onDo: () => call('delete_present_proof_2_0_records_pres_ex_id', { params }).then(() => go('history')),
              onClose: () => setDeleting(false),
            })
          : null,
      );
    },
  });
}
