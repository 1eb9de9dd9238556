import { type Answer, call } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { useLive, useLoad } from '../../lib/live.ts';
import { screen } from '../../lib/screen.ts';
import { Button, Empty, ForSupport, Heading, Shown, State, Table, TextField } from '../../lib/ui.ts';

const MOST = 500;

/** Events: those of the last days, and the next ones as they happen. */
export const events = screen({ path: 'events', title: 'events.title', needs: ['get_events'], view: () => h(Events, null) });

function Events(): VNode {
  const [wanted, want] = useState('');
  const [held, hold] = useState(false);
  const [fresh, add] = useState<Answer[]>([]);
  const loaded = useLoad(async () => {
    const { results } = await call('get_events', { query: { limit: MOST } });
    return results as Answer[];
  });
  useLive('all', (event) => {
    if (event && !held) add((before) => [...before, { ...event, time: Date.now() }].slice(-MOST));
  });
  const search = wanted.trim().toLowerCase();
  return h(
    Fragment,
    null,
    h(Heading, null, t('events.title')),
    h('p', { class: 'actions' }, h(Button, { onClick: () => hold(!held) }, held ? t('events.go-on') : t('events.hold'))),
    h(TextField, { label: t('list.filter'), type: 'search', value: wanted, onInput: want }),
    h(Shown<Answer[]>, {
      of: loaded,
      children: (old) => {
        const known = new Set(old.map((one) => one.event_id));
        const all = [...old, ...fresh.filter((one) => !known.has(one.event_id))].reverse().slice(0, MOST);
        const rows = search ? all.filter((one) => JSON.stringify(one).toLowerCase().includes(search)) : all;
        return rows.length === 0
          ? h(Empty, { text: t('events.none') })
          : h(Table<Answer>, {
              caption: t('events.title'),
              rows,
              id: (row) => row.event_id,
              columns: [
                { title: t('events.time'), cell: (row) => h('time', { dateTime: new Date(row.time).toISOString() }, time(row.time)) },
                { title: t('events.topic'), cell: (row) => word('topic', row.topic) },
                { title: t('column.state'), cell: ({ payload }) => (payload?.state ? h(State, { state: payload.state }) : '') },
                { title: t('events.content'), cell: (row) => h(ForSupport, { record: row.payload }) },
              ],
            });
      },
    }),
  );
}
