import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, CopyBox, Empty, Heading, State, TextField } from '../../lib/ui.ts';

/** Wishes for wallets: anyone may make one, the operator answers it. */
export const reservations = screen({
  path: 'reservations',
  title: 'reservations.title',
  needs: ['get_multitenancy_reservations'],
  view: () => h(Reservations, null),
});

function Reservations(): VNode {
  const [turn, again] = useState(0);
  const [answering, answer] = useState<{ row: Answer; how: 'approve' | 'deny' }>();
  const [approved, approve] = useState<Answer>();
  const [note, setNote] = useState('');
  const act = async (): Promise<void> => {
    const { row, how } = answering!;
    const params = { reservation_id: row.reservation_id };
    const made = await call(`post_multitenancy_reservations_reservation_id_${how}`, { params, body: note ? { note } : {} });
    approve(how === 'approve' ? made : undefined);
    setNote('');
    again(turn + 1);
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('reservations.title')),
    h('p', null, t('reservations.text')),
    approved
      ? h(
          'div',
          { class: 'card', role: 'status' },
          h('p', null, t('reservations.once', { until: time(approved.expires_at) })),
          h(CopyBox, { label: t('reservations.id'), text: approved.reservation_id }),
          h(CopyBox, { label: t('reservations.password'), text: approved.reservation_pwd }),
        )
      : null,
    h(List, {
      key: turn,
      caption: t('reservations.title'),
      operation: 'get_multitenancy_reservations',
      order: false,
      topics: [],
      id: (row) => row.reservation_id,
      empty: h(Empty, { text: t('reservations.none') }),
      columns: [
        { title: t('tenants.name'), cell: (row) => h(Theirs, { text: row.wallet_name }) },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('reservations.contact'), cell: (row) => h(Theirs, { text: row.contact }) },
        { title: t('reservations.reason'), cell: (row) => h(Theirs, { text: row.reason }) },
        { title: t('column.made'), cell: (row) => h('time', { dateTime: row.created_at }, time(row.created_at)) },
        {
          title: t('column.do'),
          cell: (row) => h(Actions, { row, onAnswer: (how) => answer({ row, how }) }),
        },
      ],
    }),
    answering
      ? h(
          Confirm,
          {
            title: answering.how === 'approve' ? t('reservations.approve') : t('reservations.deny'),
            text: answering.how === 'approve' ? t('reservations.approve.text') : t('reservations.deny.text'),
            action: answering.how === 'approve' ? t('reservations.approve') : t('reservations.deny'),
            onDo: act,
            onClose: () => answer(undefined),
          },
          h('p', null, h(Theirs, { text: answering.row.wallet_name })),
          h(TextField, { label: t('reservations.note'), hint: t('reservations.note.hint'), value: note, onInput: setNote, max: 1000 }),
        )
      : null,
  );
}

function Actions({ row: { state, wallet_id: wallet }, onAnswer }: { row: Answer; onAnswer: (how: 'approve' | 'deny') => void }): VNode {
  if (wallet) return h('a', { href: to('tenants', ['one', wallet]) }, t('tenants.open'));
  const open = (state === 'requested' || state === 'approved') && may('post_multitenancy_reservations_reservation_id_approve');
  return h(
    'div',
    { class: 'actions' },
    open
      ? h(Button, { onClick: () => onAnswer('approve') }, state === 'approved' ? t('reservations.again') : t('reservations.approve'))
      : null,
    open ? h(Button, { kind: 'danger', onClick: () => onAnswer('deny') }, t('reservations.deny')) : null,
  );
}
