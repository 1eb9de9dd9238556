import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Chip, Confirm, CopyBox, Shown, Table } from '../../lib/ui.ts';

/** Webhooks of a wallet: the secret that signs them, a test event, and the last deliveries. */
export function Webhooks(): VNode {
  return h(
    Fragment,
    null,
    h('h2', null, t('webhooks.title')),
    may('post_webhooks_secret') ? h(Secret, null) : null,
    may('get_webhooks_deliveries') ? h(Deliveries, null) : null,
  );
}

function Secret(): VNode {
  const [secret, show] = useState('');
  const [renewing, renew] = useState(false);
  const read = async (again: boolean): Promise<void> => show((await call('post_webhooks_secret', { body: { renew: again } })).secret);
  return h(
    Fragment,
    null,
    h('p', null, t('webhooks.secret.text')),
    secret ? h(CopyBox, { label: t('webhooks.secret'), text: secret }) : null,
    h(
      'p',
      { class: 'actions' },
      secret ? null : h(Button, { onClick: () => read(false) }, t('webhooks.show')),
      h(Button, { kind: 'danger', onClick: () => renew(true) }, t('webhooks.renew')),
    ),
    renewing
      ? h(Confirm, {
          title: t('webhooks.renew'),
          text: t('webhooks.renew.text'),
          action: t('webhooks.renew'),
          onDo: () => read(true),
          onClose: () => renew(false),
        })
      : null,
  );
}

/** Whether a receiver took an event. */
const Outcome = ({ status, error }: { status: number | null; error?: string }): VNode =>
  h(
    Fragment,
    null,
    h(Chip, { mood: error === undefined ? 'good' : 'bad' }, status ?? t('webhooks.no-answer')),
    error === undefined ? null : h(Fragment, null, ' ', h(Theirs, { text: error })),
  );

function Deliveries(): VNode {
  // every event is delivered, and a delivery itself is none
  const loaded = useLoad(() => call('get_webhooks_deliveries'), ['webhook_test']);
  const test = async (): Promise<string> => {
    await call('post_webhooks_test');
    await loaded.reload();
    return t('webhooks.tested');
  };
  return h(
    Fragment,
    null,
    h('h3', null, t('webhooks.deliveries')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ results }) =>
        results.length === 0
          ? h('p', null, t('webhooks.none'))
          : h(
              Fragment,
              null,
              h(
                'p',
                { class: 'actions' },
                may('post_webhooks_test') ? h(Button, { onClick: test }, t('webhooks.test')) : null,
                h(Button, { onClick: loaded.reload }, t('action.refresh')),
              ),
              ...results.map(({ webhook_id: id, url, tries }: Answer) =>
                h(
                  'section',
                  { key: id },
                  h('p', null, h('code', null, h(Theirs, { text: url }))),
                  tries.length === 0
                    ? h('p', null, t('webhooks.untried'))
                    : h(Table<Answer>, {
                        caption: t('webhooks.deliveries'),
                        rows: [...tries].reverse(),
                        id: (row) => `${row.event_id} ${row.attempt}`,
                        columns: [
                          { title: t('events.time'), cell: (row) => h('time', { dateTime: row.time }, time(row.time)) },
                          { title: t('events.topic'), cell: ({ topic }) => word('topic', topic) },
                          { title: t('webhooks.attempt'), cell: ({ attempt }) => attempt },
                          { title: t('webhooks.answer'), cell: (row) => h(Outcome, row) },
                        ],
                      }),
                ),
              ),
            ),
    }),
  );
}
