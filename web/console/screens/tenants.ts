import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { ShortId, shortId, Theirs } from '../../lib/theirs.ts';
import {
  Button,
  Check,
  Chip,
  Confirm,
  CopyBox,
  Empty,
  Facts,
  Form,
  ForSupport,
  Heading,
  SelectField,
  Shown,
  Table,
  TextField,
} from '../../lib/ui.ts';
import { Usage } from './quota.ts';

/** Wallets of tenants: made, given tokens, locked and removed. */
export const tenants = screen({
  path: 'tenants',
  title: 'tenants.title',
  needs: ['get_multitenancy_wallets'],
  view: ({ parts: [what, id] }: Place) => {
    if (what === 'new') return h(New, null);
    if (what === 'one' && id) return h(One, { id });
    return h(All, null);
  },
});

const nameIn = ({ settings = {}, wallet_id: id }: Answer): string => settings['wallet.name'] ?? id;

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('tenants.title')),
    may('post_multitenancy_wallet')
      ? h('p', { class: 'actions' }, h('a', { class: 'button main', href: to('tenants', ['new']) }, t('tenants.new')))
      : null,
    h(List, {
      caption: t('tenants.title'),
      operation: 'get_multitenancy_wallets',
      topics: [],
      id: (row) => row.wallet_id,
      empty: h(Empty, { text: t('tenants.none') }),
      columns: [
        {
          title: t('tenants.name'),
          cell: (row) => h('a', { href: to('tenants', ['one', row.wallet_id]) }, h(Theirs, { text: nameIn(row) })),
        },
        { title: t('tenants.label'), cell: (row) => h(Theirs, { text: row.settings?.default_label }) },
        { title: t('tenants.keeps'), cell: (row) => word('key-management', row.key_management_mode) },
        { title: t('column.made'), cell: (row) => h('time', { dateTime: row.created_at }, time(row.created_at)) },
      ],
    }),
  );
}

/** A token, which is shown this once. */
const Token = ({ token }: { token: string }): VNode =>
  h(
    'div',
    { class: 'card', role: 'status' },
    h('p', null, t('tenants.token-once')),
    h(CopyBox, { label: t('tenants.token'), text: token }),
  );

function New(): VNode {
  const [name, setName] = useState('');
  const [label, setLabel] = useState('');
  const [webhook, setWebhook] = useState('');
  const [own, setOwn] = useState(false);
  const [key, setKey] = useState('');
  const [made, make] = useState<Answer>();
  const submit = async (): Promise<void> => {
    const body = {
      wallet_name: name,
      ...(label && { label }),
      ...(webhook && { wallet_webhook_urls: [webhook] }),
      ...(own && { key_management_mode: 'unmanaged', wallet_key: key }),
    };
    make(await call('post_multitenancy_wallet', { body }));
    setKey('');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('tenants.new')),
    made
      ? h(
          Fragment,
          null,
          h(Token, { token: made.token }),
          h(CopyBox, { label: t('tenants.id'), text: made.wallet_id }),
          h('p', { class: 'actions' }, h('a', { class: 'button', href: to('tenants', ['one', made.wallet_id]) }, t('tenants.open'))),
        )
      : h(
          Form,
          { onSubmit: submit, action: t('tenants.make') },
          h(TextField, { label: t('tenants.name'), value: name, onInput: setName, required: true, max: 200 }),
          h(TextField, { label: t('tenants.label'), hint: t('tenants.label.hint'), value: label, onInput: setLabel, max: 200 }),
          h(TextField, {
            label: t('tenants.webhook'),
            hint: t('tenants.webhook.hint'),
            type: 'url',
            value: webhook,
            onInput: setWebhook,
            max: 2000,
          }),
          h(Check, { label: t('tenants.own-key'), hint: t('tenants.own-key.hint'), checked: own, onChange: setOwn }),
          own
            ? h(TextField, {
                label: t('login.wallet-key'),
                type: 'password',
                autocomplete: 'new-password',
                value: key,
                onInput: setKey,
                required: true,
              })
            : null,
        ),
  );
}

const DAY = 24 * 3600;

function One({ id }: { id: string }): VNode {
  const params = { wallet_id: id };
  const loaded = useLoad(() => call('get_multitenancy_wallet_wallet_id', { params }), [], [id]);
  const [token, setToken] = useState('');
  const [removing, setRemoving] = useState(false);
  const [locking, setLocking] = useState(false);
  const [suspending, setSuspending] = useState(false);
  const [key, setKey] = useState('');
  return h(Shown<Answer>, {
    of: loaded,
    children: (record) => {
      const keeps = record.key_management_mode === 'unmanaged';
      return h(
        Fragment,
        null,
        h(Heading, null, h(Theirs, { text: nameIn(record) })),
        record.suspended ? h('p', null, h(Chip, { mood: 'bad' }, t('tenants.suspended'))) : null,
        h(Facts, {
          of: [
            [t('tenants.id'), h('code', null, id)],
            [t('tenants.label'), record.settings?.default_label && h(Theirs, { text: record.settings.default_label })],
            [t('tenants.keeps'), word('key-management', record.key_management_mode)],
            [
              t('tenants.webhook'),
              record.settings?.['wallet.webhook_urls']?.length > 0
                ? h(Theirs, { text: record.settings['wallet.webhook_urls'].join(', ') })
                : null,
            ],
            [t('column.made'), h('time', { dateTime: record.created_at }, time(record.created_at))],
          ],
        }),
        token ? h(Token, { token }) : null,
        may('post_multitenancy_wallet_wallet_id_token') ? h(NewToken, { id, keeps, onToken: setToken }) : null,
        may('get_multitenancy_wallet_wallet_id_tokens') ? h(Tokens, { id, key: token }) : null,
        may('get_multitenancy_wallet_wallet_id_usage') ? h(Usage, { id }) : null,
        h(
          'p',
          { class: 'actions' },
          record.suspended
            ? may('post_multitenancy_wallet_wallet_id_resume') &&
                h(
                  Button,
                  { onClick: () => call('post_multitenancy_wallet_wallet_id_resume', { params }).then(loaded.reload) },
                  t('tenants.resume'),
                )
            : may('post_multitenancy_wallet_wallet_id_suspend') && h(Button, { onClick: () => setSuspending(true) }, t('tenants.suspend')),
          keeps && may('post_multitenancy_wallet_wallet_id_lock')
            ? h(Button, { onClick: () => setLocking(true) }, t('tenants.lock'))
            : null,
          may('delete_multitenancy_wallet_wallet_id')
            ? h(Button, { kind: 'danger', onClick: () => setRemoving(true) }, t('tenants.remove'))
            : null,
        ),
        h(ForSupport, { record }),
        suspending
          ? h(Confirm, {
              title: t('tenants.suspend'),
              text: t('tenants.suspend.text'),
              action: t('tenants.suspend'),
              onDo: () => call('post_multitenancy_wallet_wallet_id_suspend', { params }).then(loaded.reload),
              onClose: () => setSuspending(false),
            })
          : null,
        locking
          ? h(Confirm, {
              title: t('tenants.lock'),
              text: t('tenants.lock.text'),
              action: t('tenants.lock'),
              onDo: () => call('post_multitenancy_wallet_wallet_id_lock', { params }),
              onClose: () => setLocking(false),
            })
          : null,
        removing
          ? h(
              Confirm,
              {
                title: t('tenants.remove'),
                text: t('tenants.remove.text'),
                action: t('tenants.remove'),
                typed: nameIn(record),
                onDo: () =>
                  call('delete_multitenancy_wallet_wallet_id', { params, body: keeps ? { wallet_key: key } : {} }).then(() =>
                    go('tenants'),
                  ),
                onClose: () => setRemoving(false),
              },
              keeps ? h(TextField, { label: t('login.wallet-key'), type: 'password', value: key, onInput: setKey }) : null,
            )
          : null,
      );
    },
  });
}

/** The tokens that are valid, each of which can be voided. */
function Tokens({ id }: { id: string }): VNode {
  const params = { wallet_id: id };
  const loaded = useLoad(() => call('get_multitenancy_wallet_wallet_id_tokens', { params }), [], [id]);
  const end = (token: string) => (): Promise<void> =>
    call('delete_multitenancy_wallet_wallet_id_tokens_token_id', { params: { ...params, token_id: token } }).then(loaded.reload);
  return h(
    Fragment,
    null,
    h('h2', null, t('tenants.tokens')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ results }) =>
        results.length === 0
          ? h('p', null, t('tenants.no-tokens'))
          : h(Table<Answer>, {
              caption: t('tenants.tokens'),
              rows: results,
              id: (row) => row.token_id,
              columns: [
                { title: t('column.id'), cell: (row) => h(ShortId, { id: row.token_id }) },
                { title: t('column.made'), cell: (row) => time(row.created_at) },
                { title: t('tenants.ends'), cell: (row) => (row.expires_at ? time(row.expires_at) : t('tenants.never')) },
                { title: t('tenants.used'), cell: (row) => (row.last_used ? time(row.last_used) : '') },
                { title: t('tenants.scope'), cell: (row) => (row.scope ? row.scope.join(', ') : t('tenants.scope.all')) },
                {
                  title: t('column.do'),
                  cell: (row) =>
                    may('delete_multitenancy_wallet_wallet_id_tokens_token_id')
                      ? h(
                          Button,
                          { kind: 'danger', onClick: end(row.token_id), label: t('tenants.void-what', { id: shortId(row.token_id) }) },
                          t('tenants.void'),
                        )
                      : null,
                },
              ],
            }),
    }),
  );
}

function NewToken({ id, keeps, onToken }: { id: string; keeps: boolean; onToken: (token: string) => void }): VNode {
  const [days, setDays] = useState('1');
  const [scope, setScope] = useState('all');
  const [others, setOthers] = useState(true);
  const [key, setKey] = useState('');
  const submit = async (): Promise<void> => {
    const body = {
      expires_in: Number(days) * DAY,
      keep_others: others,
      ...(scope === 'read' && { scope: ['read'] }),
      ...(keeps && { wallet_key: key }),
    };
    const { token } = await call('post_multitenancy_wallet_wallet_id_token', { params: { wallet_id: id }, body });
    setKey('');
    onToken(token);
  };
  return h(
    Fragment,
    null,
    h('h2', null, t('tenants.new-token')),
    h(
      Form,
      { onSubmit: submit, action: t('tenants.make-token') },
      h(TextField, { label: t('tenants.days'), type: 'number', value: days, onInput: setDays, required: true }),
      h(SelectField, {
        label: t('tenants.scope'),
        value: scope,
        options: [
          ['all', t('tenants.scope.all')],
          ['read', t('tenants.scope.read')],
        ],
        onChange: setScope,
      }),
      h(Check, { label: t('tenants.keep-others'), hint: t('tenants.keep-others.hint'), checked: others, onChange: setOthers }),
      keeps ? h(TextField, { label: t('login.wallet-key'), type: 'password', value: key, onInput: setKey, required: true }) : null,
    ),
  );
}
