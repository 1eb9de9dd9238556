import { type Answer, call } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { PeerName, Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, Empty, Form, ForSupport, Heading, Shown, State, TextField } from '../../lib/ui.ts';

const MESSAGES = 100;

/** Contacts, and messages with each. */
export const contacts = screen({
  path: 'connections',
  title: 'wallet.contacts',
  needs: ['get_connections'],
  view: ({ parts: [what, id] }: Place) => (what === 'one' && id ? h(One, { id }) : h(All, null)),
});

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.contacts')),
    h(List, {
      caption: t('wallet.contacts'),
      operation: 'get_connections',
      topics: ['connections'],
      id: (row) => row.connection_id,
      empty: h(Empty, { text: t('wallet.contacts.none') }, h('a', { class: 'button main', href: to('receive') }, t('wallet.receive'))),
      columns: [
        {
          title: t('connections.with'),
          cell: (row) =>
            h(
              'a',
              { href: to('connections', ['one', row.connection_id]) },
              h(PeerName, { alias: row.alias, label: row.their_label, id: row.connection_id }),
            ),
        },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('column.changed'), cell: ({ updated_at: at }) => h('time', { dateTime: at }, time(at)) },
      ],
    }),
  );
}

function One({ id }: { id: string }): VNode {
  const params = { conn_id: id };
  const loaded = useLoad(() => call('get_connections_conn_id', { params }), ['connections'], [id]);
  const [deleting, setDeleting] = useState(false);
  return h(Shown<Answer>, {
    of: loaded,
    children: (record) =>
      h(
        Fragment,
        null,
        h(Heading, null, h(PeerName, { alias: record.alias, label: record.their_label, id })),
        h('p', null, h(State, { state: record.state })),
        record.error_msg ? h('p', { class: 'bad' }, h(Theirs, { text: record.error_msg })) : null,
        record.state === 'active' ? h(Messages, { id }) : null,
        h('p', { class: 'actions' }, h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('wallet.contact.delete'))),
        h('p', null, h('a', { href: to('connections') }, t('wallet.contacts'))),
        h(ForSupport, { record }),
        deleting
          ? h(Confirm, {
              title: t('wallet.contact.delete'),
              text: t('connection.delete.text'),
              action: t('wallet.contact.delete'),
              onDo: () => call('delete_connections_conn_id', { params }).then(() => go('connections')),
              onClose: () => setDeleting(false),
            })
          : null,
      ),
  });
}

function Messages({ id }: { id: string }): VNode {
  const [text, setText] = useState('');
  const loaded = useLoad(
    async () => (await call('get_basicmessages', { query: { connection_id: id, limit: MESSAGES, descending: true } })).results.reverse(),
    ['basicmessages'],
    [id],
  );
  const send = async (): Promise<void> => {
    await call('post_connections_conn_id_send_message', { params: { conn_id: id }, body: { content: text } });
    setText('');
    await loaded.reload();
  };
  return h(
    Fragment,
    null,
    h('h2', null, t('messages.title')),
    h(Shown<Answer[]>, {
      of: loaded,
      children: (all) =>
        h(
          'ul',
          { class: 'timeline', 'aria-live': 'polite' },
          ...all.map((one) =>
            h(
              'li',
              { key: one.message_id },
              h('small', null, one.state === 'sent' || one.role === 'sender' ? t('messages.own') : t('messages.theirs')),
              ' ',
              h(Theirs, { text: one.content, longest: 4000 }),
            ),
          ),
        ),
    }),
    h(
      Form,
      { onSubmit: send, action: t('messages.send') },
      h(TextField, { label: t('messages.text'), value: text, onInput: setText, required: true, max: 4000 }),
    ),
  );
}
