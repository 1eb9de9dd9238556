import { type Answer, call, currentSession, may } from '../../lib/api.ts';
import { type ComponentChildren, Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { type LiveEvent, useLive, useLoad } from '../../lib/live.ts';
import { pasted } from '../../lib/pasted.ts';
import { Qr } from '../../lib/qr.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { PeerName, Theirs } from '../../lib/theirs.ts';
import { tell } from '../../lib/toast.ts';
import { Button, Check, Confirm, CopyBox, Empty, Facts, Form, ForSupport, Heading, Shown, State, TextField } from '../../lib/ui.ts';
import { Messages } from './messages.ts';

const TOPICS = ['connections', 'out_of_band'];
const HANDSHAKES = ['https://didcomm.org/didexchange/1.1', 'https://didcomm.org/connections/1.0'];

/** Connections: those that there are, an invitation of our own, and the box for an invitation of somebody else's. */
export const connections = screen({
  path: 'connections',
  title: 'connections.title',
  needs: ['get_connections'],
  view: ({ parts: [what, id] }: Place) => {
    if (what === 'invite') return h(Invite, null);
    if (what === 'receive') return h(Receive, null);
    if (what === 'one' && id) return h(One, { id });
    return h(All, null);
  },
});

function All(): VNode {
  const [wanted, want] = useState('');
  const actions = h(
    'p',
    { class: 'actions' },
    may('post_out_of_band_create_invitation')
      ? h('a', { class: 'button main', href: to('connections', ['invite']) }, t('connections.invite'))
      : null,
    may('post_out_of_band_receive_invitation')
      ? h('a', { class: 'button', href: to('connections', ['receive']) }, t('connections.receive'))
      : null,
  );
  const search = wanted.trim().toLowerCase();
  const matches = ({ alias = '', their_label: label = '', connection_id: id }: Answer): boolean =>
    `${alias}\n${label}\n${id}`.toLowerCase().includes(search);
  return h(
    Fragment,
    null,
    h(Heading, null, t('connections.title')),
    actions,
    h(TextField, { label: t('list.filter'), type: 'search', value: wanted, onInput: want }),
    h(List, {
      caption: t('connections.title'),
      operation: 'get_connections',
      topics: TOPICS,
      only: search ? matches : undefined,
      id: (row) => row.connection_id,
      empty: h(Empty, { text: t('connections.none') }),
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
        { title: t('connections.they-are'), cell: ({ their_role: role }) => (role ? word('their-role', role) : '') },
        { title: t('column.changed'), cell: ({ updated_at: at }) => h('time', { dateTime: at }, time(at)) },
      ],
    }),
  );
}

function Invite(): VNode {
  const [alias, setAlias] = useState('');
  const [goal, setGoal] = useState('');
  const [multi, setMulti] = useState(false);
  const [auto, setAuto] = useState(true);
  const [made, make] = useState<Answer>();
  const submit = async (): Promise<void> => {
    make(
      await call('post_out_of_band_create_invitation', {
        query: { auto_accept: auto, multi_use: multi },
        body: { handshake_protocols: HANDSHAKES, ...(alias && { alias }), ...(goal && { goal, goal_code: 'connect' }) },
      }),
    );
  };
  if (made) return h(Invitation, { made, onAnother: () => make(undefined) });
  return h(
    Fragment,
    null,
    h(Heading, null, t('connections.invite')),
    h(
      Form,
      { onSubmit: submit, action: t('connections.invite.make') },
      h(TextField, { label: t('connections.alias'), hint: t('connections.alias.hint'), value: alias, onInput: setAlias, max: 200 }),
      h(TextField, { label: t('connections.goal'), hint: t('connections.goal.hint'), value: goal, onInput: setGoal, max: 200 }),
      h(Check, { label: t('connections.multi'), hint: t('connections.multi.hint'), checked: multi, onChange: setMulti }),
      h(Check, { label: t('connections.auto'), hint: t('connections.auto.hint'), checked: auto, onChange: setAuto }),
    ),
  );
}

/** An invitation as QR code and links, and who has answered it: live. */
export function Invitation({ made, onAnother, children }: { made: Answer; onAnother?: () => void; children?: ComponentChildren }): VNode {
  const [answered, answer] = useState<LiveEvent['payload'][]>([]);
  useLive(['connections'], (event) => {
    if (event?.payload.invitation_msg_id !== made.invi_msg_id || event?.payload.state === 'invitation') return;
    answer((before) => [...before.filter((one) => one.connection_id !== event!.payload.connection_id), event!.payload].slice(-20));
  });
  const link = made.short_url ?? made.invitation_url;
  const wallet = currentSession().web_wallet;
  return h(
    Fragment,
    null,
    h(Heading, null, t('invitation.title')),
    h('p', null, t('invitation.secret')),
    h(
      'div',
      { class: 'cards' },
      h('div', { class: 'card' }, h(Qr, { text: link, label: t('invitation.qr') })),
      h(
        'div',
        { class: 'card' },
        made.short_url ? h(CopyBox, { label: t('invitation.short'), text: made.short_url }) : null,
        h(CopyBox, { label: t('invitation.link'), text: made.invitation_url }),
        wallet
          ? h(
              'p',
              null,
              h(
                'a',
                { href: `${wallet}/#invitation=${encodeURIComponent(link)}`, target: '_blank', rel: 'noreferrer' },
                t('invitation.web-wallet'),
              ),
            )
          : null,
        h('h2', null, t('invitation.answers')),
        h(
          'ul',
          { class: 'timeline', 'aria-live': 'polite' },
          ...(answered.length === 0
            ? [h('li', null, t('invitation.waiting'))]
            : answered.map((one) =>
                h(
                  'li',
                  { key: one.connection_id },
                  h(
                    'a',
                    { href: to('connections', ['one', one.connection_id]) },
                    h(PeerName, { alias: one.alias, label: one.their_label, id: one.connection_id }),
                  ),
                  ' ',
                  h(State, { state: one.state }),
                ),
              )),
        ),
        children,
        h(
          'p',
          { class: 'actions' },
          onAnother ? h(Button, { onClick: onAnother }, t('invitation.another')) : null,
          h('a', { class: 'button', href: to('connections') }, t('connections.title')),
        ),
      ),
    ),
    h(ForSupport, { record: made }),
  );
}

function Receive(): VNode {
  const [text, setText] = useState('');
  const [alias, setAlias] = useState('');
  const submit = async (): Promise<void> => {
    const body = pasted(text);
    const record = await call('post_out_of_band_receive_invitation', { query: { auto_accept: true, ...(alias && { alias }) }, body });
    tell(t('receive.done'));
    // an offer or a request that came with it waits there
    const brings = [record.invitation?.['requests~attach'] ?? []].flat().length > 0;
    if (record.connection_id && !brings) go('connections', ['one', record.connection_id]);
    else go('credentials');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('connections.receive')),
    h(
      Form,
      { onSubmit: submit, action: t('receive.action') },
      h(TextField, { label: t('receive.label'), hint: t('receive.hint'), value: text, onInput: setText, rows: 6, required: true }),
      h(TextField, { label: t('connections.alias'), hint: t('connections.alias.hint'), value: alias, onInput: setAlias, max: 200 }),
    ),
  );
}

function One({ id }: { id: string }): VNode {
  const params = { conn_id: id };
  const loaded = useLoad(() => call('get_connections_conn_id', { params }), ['connections', 'ping'], [id]);
  const [deleting, setDeleting] = useState(false);
  const [answer, setAnswer] = useState('');
  const [events, setEvents] = useState<{ at: number; text: string }[]>([]);
  useLive(['connections', 'ping', 'basicmessages'], (event) => {
    if (event?.payload.connection_id !== id) return;
    const text = event!.topic === 'connections' ? word('state', event!.payload.state) : word('topic', event!.topic);
    setEvents((before) => [...before, { at: Date.now(), text }].slice(-50));
  });
  const ping = async (): Promise<void> => {
    await call('post_connections_conn_id_send_ping', { params, body: { comment: 'ping' } });
    setAnswer(t('connection.pinged'));
  };
  const remove = async (): Promise<void> => {
    await call('delete_connections_conn_id', { params });
    go('connections');
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (record) => {
      const active = record.state === 'active';
      return h(
        Fragment,
        null,
        h(Heading, null, h(PeerName, { alias: record.alias, label: record.their_label, id })),
        h(
          'p',
          null,
          h(State, { state: record.state }),
          record.error_msg ? h('span', { class: 'bad' }, ' ', h(Theirs, { text: record.error_msg })) : null,
        ),
        h(
          'p',
          { class: 'actions' },
          record.rfc23_state === 'request-received' && may('post_didexchange_conn_id_accept_request')
            ? h(Button, { kind: 'main', onClick: () => acceptRequest(record) }, t('connection.accept'))
            : null,
          record.rfc23_state === 'invitation-received' && may('post_didexchange_conn_id_accept_invitation')
            ? h(Button, { kind: 'main', onClick: () => acceptInvitation(record) }, t('connection.accept'))
            : null,
          active && may('post_issue_credential_2_0_send_offer')
            ? h('a', { class: 'button', href: to('issue', ['new'], { to: id }) }, t('connection.offer'))
            : null,
          active && may('post_present_proof_2_0_send_request')
            ? h('a', { class: 'button', href: to('verify', ['new'], { to: id }) }, t('connection.ask'))
            : null,
          active && may('post_connections_conn_id_send_ping') ? h(Button, { onClick: ping }, t('connection.ping')) : null,
          h('a', { class: 'button', href: to('records', ['get_connections', id]) }, t('connection.more')),
          may('delete_connections_conn_id')
            ? h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('connection.delete'))
            : null,
        ),
        answer ? h('p', { role: 'status' }, answer) : null,
        h(Facts, {
          of: [
            [
              t('connection.their-label'),
              record.their_label
                ? h(Fragment, null, h(Theirs, { text: record.their_label }), ' ', h('small', null, t('peer.unchecked')))
                : null,
            ],
            [t('connections.they-are'), record.their_role ? word('their-role', record.their_role) : null],
            [t('connection.my-did'), record.my_did && h('code', null, record.my_did)],
            [t('connection.their-did'), record.their_did && h('code', null, h(Theirs, { text: record.their_did }))],
            [t('connection.protocol'), record.connection_protocol && h('code', null, record.connection_protocol)],
            [t('column.made'), h('time', { dateTime: record.created_at }, time(record.created_at))],
            [t('column.changed'), h('time', { dateTime: record.updated_at }, time(record.updated_at))],
          ],
        }),
        h(Messages, { id, active }),
        h('h2', null, t('connection.events')),
        h(
          'ul',
          { class: 'timeline', 'aria-live': 'polite' },
          ...(events.length === 0
            ? [h('li', null, t('connection.no-events'))]
            : events.map(({ at, text }) =>
                h('li', { key: `${at}${text}` }, h('time', { dateTime: new Date(at).toISOString() }, time(at)), ' ', text),
              )),
        ),
        h(ForSupport, { record }),
        deleting
          ? h(Confirm, {
              title: t('connection.delete'),
              text: t('connection.delete.text'),
              action: t('connection.delete'),
              onDo: remove,
              onClose: () => setDeleting(false),
            })
          : null,
      );
    },
  });
}

const isOld = ({ connection_protocol: protocol }: Answer): boolean => String(protocol).startsWith('connections/');
const acceptRequest = ({ connection_id, ...record }: Answer): Promise<Answer> =>
  call(isOld(record) ? 'post_connections_conn_id_accept_request' : 'post_didexchange_conn_id_accept_request', {
    params: { conn_id: connection_id },
  });
const acceptInvitation = ({ connection_id, ...record }: Answer): Promise<Answer> =>
  call(isOld(record) ? 'post_connections_conn_id_accept_invitation' : 'post_didexchange_conn_id_accept_invitation', {
    params: { conn_id: connection_id },
  });
