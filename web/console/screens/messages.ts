import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time } from '../../lib/i18n.ts';
import { useLive, useLoad } from '../../lib/live.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, Form, Shown, TextField } from '../../lib/ui.ts';

const PAGE = 50;
const MOST_FRESH = 200;

interface Said {
  readonly key: string;
  readonly text: string;
  readonly own: boolean;
  readonly at: string | number;
}

const kept = (row: Answer): Said => ({ key: row.thread_id, text: row.content, own: row.state === 'sent', at: row.created_at });

/** Messages with a peer: those that the agent keeps, those since the page was opened, and a line to write. */
export function Messages({ id, active }: { id: string; active: boolean }): VNode {
  const [text, setText] = useState('');
  const [limit, more] = useState(PAGE);
  const [fresh, add] = useState<readonly Said[]>([]);
  const [removing, remove] = useState(false);
  const reads = may('get_basicmessages');
  const read = (): Promise<Answer> =>
    reads
      ? call('get_basicmessages', { query: { connection_id: id, limit, descending: true } })
      : Promise.resolve({ results: [], total: 0 });
  const loaded = useLoad(read, [], [id, limit]);
  const put = (one: Omit<Said, 'at'>): void => add((before) => [...before, { ...one, at: Date.now() }].slice(-MOST_FRESH));
  useLive(['basicmessages'], (event) => {
    if (!event) loaded.reload();
    else if (event.payload.connection_id === id) put({ key: event.payload.message_id, text: event.payload.content, own: false });
  });
  const send = async (): Promise<void> => {
    await call('post_connections_conn_id_send_message', { params: { conn_id: id }, body: { content: text } });
    put({ key: crypto.randomUUID(), text, own: true });
    setText('');
  };
  const forget = async (rows: readonly Answer[]): Promise<void> => {
    for (const { message_id } of rows) await call('delete_basicmessages_message_id', { params: { message_id } });
    add([]);
    await loaded.reload();
  };
  return h(
    Fragment,
    null,
    h('h2', null, t('messages.title')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ results, total }) => {
        const old = results.map(kept).reverse() as Said[];
        const known = new Set(old.map(({ key }) => key));
        return h(
          Fragment,
          null,
          total > results.length ? h(Button, { onClick: () => more(limit + PAGE) }, t('messages.older')) : null,
          h(
            'ul',
            { class: 'timeline', 'aria-live': 'polite' },
            ...[...old, ...fresh.filter(({ key }) => !known.has(key))].map((one) =>
              h(
                'li',
                { key: one.key },
                h('small', null, one.own ? t('messages.own') : t('messages.theirs'), ' ', time(one.at)),
                ' ',
                h(Theirs, { text: one.text, longest: 4000 }),
              ),
            ),
          ),
          results.length > 0 && may('delete_basicmessages_message_id')
            ? h(Button, { kind: 'danger', onClick: () => remove(true) }, t('messages.forget', { count: results.length }))
            : null,
          removing
            ? h(Confirm, {
                title: t('messages.forget', { count: results.length }),
                text: t('messages.forget.text'),
                action: t('messages.forget', { count: results.length }),
                onDo: () => forget(results),
                onClose: () => remove(false),
              })
            : null,
        );
      },
    }),
    active && may('post_connections_conn_id_send_message')
      ? h(
          Form,
          { onSubmit: send, action: t('messages.send') },
          h(TextField, { label: t('messages.text'), value: text, onInput: setText, required: true, max: 4000 }),
        )
      : null,
  );
}
