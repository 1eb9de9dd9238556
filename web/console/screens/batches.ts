import { type Answer, call, may } from '../../lib/api.ts';
import { type Definition, nameOf, ownDefinitions } from '../../lib/definitions.ts';
import { download, FileField } from '../../lib/files.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { shortId, Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, Empty, Facts, Form, ForSupport, Heading, SelectField, Shown, State, Table, TextField } from '../../lib/ui.ts';
import { DefinitionName } from './issue.ts';

/** A batch itself has an event when its state changes; between those its rows have theirs. */
const TOPICS = ['credential_batch', 'issue_credential_v2_0'];

/** Credentials from a table: a file is checked, shown, and offered row by row; the agent goes on without this page. */
export const batches = screen({
  path: 'batches',
  title: 'batches.title',
  needs: ['get_credential_batches'],
  view: ({ parts: [what, id] }: Place) => {
    if (what === 'new') return h(New, null);
    if (what === 'one' && id) return h(One, { id });
    return h(All, null);
  },
});

const Progress = ({ of: { offered, failed, total } }: { of: Answer }): VNode =>
  h(
    'span',
    { class: 'progress' },
    h('progress', { max: total, value: offered + failed, 'aria-label': t('batches.progress') }),
    h('span', null, t('batches.count', { done: offered + failed, total })),
    failed > 0 ? h('span', { class: 'bad' }, `✗ ${t('batches.failed', { count: failed })}`) : null,
  );

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('batches.title')),
    may('post_credential_batches')
      ? h('p', { class: 'actions' }, h('a', { class: 'button main', href: to('batches', ['new']) }, t('batches.new')))
      : null,
    h(List, {
      caption: t('batches.title'),
      operation: 'get_credential_batches',
      topics: TOPICS,
      id: (row) => row.batch_id,
      empty: h(Empty, { text: t('batches.none') }),
      columns: [
        {
          title: t('batches.name'),
          cell: (row) => h('a', { href: to('batches', ['one', row.batch_id]) }, h(Theirs, { text: row.name || shortId(row.batch_id) })),
        },
        { title: t('issue.what'), cell: (row) => h(DefinitionName, { id: row.cred_def_id }) },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('batches.progress'), cell: (row) => h(Progress, { of: row }) },
        { title: t('column.made'), cell: (row) => h('time', { dateTime: row.created_at }, time(row.created_at)) },
      ],
    }),
  );
}

function New(): VNode {
  const loaded = useLoad(ownDefinitions);
  return h(
    Fragment,
    null,
    h(Heading, null, t('batches.new')),
    h(Shown<Definition[]>, {
      of: loaded,
      children: (definitions) =>
        definitions.length === 0
          ? h(
              Empty,
              { text: t('issue.no-definition') },
              h('a', { class: 'button main', href: to('definitions', ['new']) }, t('definitions.new')),
            )
          : h(Making, { definitions }),
    }),
  );
}

/** The header of a table for these attributes. */
const templateOf = ({ attributes }: Definition): string =>
  `${attributes.map((name) => (/[",;\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name)).join(',')}\r\n`;

function Making({ definitions }: { definitions: readonly Definition[] }): VNode {
  const [id, setId] = useState(definitions.at(-1)!.id);
  const [name, setName] = useState('');
  const [csv, setCsv] = useState('');
  const [found, find] = useState<Answer>();
  const own = definitions.find((one) => one.id === id)!;
  const change = (next: string): void => {
    setCsv(next);
    find(undefined);
  };
  const check = async (): Promise<void> => {
    const checked = await call('post_credential_batches', { body: { csv, cred_def_id: id, check: true } });
    // sent again, as after an answer that was lost, it is the same batch
    find({ ...checked, key: crypto.randomUUID() });
  };
  const offer = async (): Promise<void> => {
    const body = { csv, cred_def_id: id, ...(name && { name }) };
    const made = await call('post_credential_batches', { body, key: found.key });
    if (made.batch_id) go('batches', ['one', made.batch_id]);
    // a connection has gone meanwhile
    else find({ ...made, key: found.key });
  };
  return h(
    Fragment,
    null,
    h(
      Form,
      { onSubmit: check, action: t('batches.check'), kind: found?.valid ? 'ordinary' : 'main' },
      h(SelectField, {
        label: t('issue.what'),
        value: id,
        options: definitions.map((one) => [one.id, nameOf(one)] as const),
        onChange: (next) => {
          setId(next);
          find(undefined);
        },
      }),
      h(Button, { onClick: () => download('template.csv', templateOf(own)) }, t('batches.template')),
      h(TextField, { label: t('batches.name'), hint: t('batches.name.hint'), value: name, onInput: setName, max: 200 }),
      h(FileField, {
        label: t('batches.file'),
        hint: t('batches.file.hint'),
        accept: '.csv,.txt,text/csv,text/plain',
        onText: (text, file) => {
          change(text);
          if (!name) setName(file.replace(/\.[a-z]{1,4}$/i, '').slice(0, 200));
        },
      }),
      h(TextField, { label: t('batches.text'), value: csv, onInput: change, rows: 6, required: true }),
    ),
    found ? h(Found, { found, onOffer: offer }) : null,
  );
}

/** What a check found: all faults, else the first rows and the button that offers them. */
function Found({ found, onOffer }: { found: Answer; onOffer: () => Promise<void> }): VNode {
  const { valid, columns, total, preview, errors } = found;
  return h(
    'section',
    { 'aria-live': 'polite' },
    h('h2', null, valid ? t('batches.valid', { count: total }) : t('batches.faults', { count: errors.length })),
    valid
      ? h(Form, { onSubmit: onOffer, action: t('batches.offer', { count: total }) })
      : h(Table<Answer>, {
          caption: t('batches.faults', { count: errors.length }),
          rows: errors,
          id: (row) => `${row.row} ${row.column}`,
          columns: [
            { title: t('batches.row'), cell: ({ row }) => (row === undefined ? t('batches.header') : row.toLocaleString()) },
            { title: t('batches.column'), cell: ({ column }) => h(Theirs, { text: column }) },
            { title: t('batches.fault'), cell: ({ error }) => h('bdi', null, word('batch-fault', error)) },
          ],
        }),
    h('h2', null, t('batches.preview')),
    h(Table<{ at: number; cells: readonly string[] }>, {
      caption: t('batches.preview'),
      rows: (preview as string[][]).map((cells, at) => ({ at, cells })),
      id: ({ at }) => String(at),
      columns: [
        { title: t('batches.row'), cell: ({ at }) => at + 1 },
        ...(columns as string[]).map((title, i) => ({
          title,
          cell: ({ cells }: { cells: readonly string[] }) => h(Theirs, { text: cells[i] }),
        })),
      ],
    }),
  );
}

function One({ id }: { id: string }): VNode {
  const params = { batch_id: id };
  const loaded = useLoad(() => call('get_credential_batches_batch_id', { params }), TOPICS, [id]);
  const [asked, ask] = useState<'cancel' | 'delete'>();
  const act = (name: 'pause' | 'resume' | 'cancel') => (): Promise<unknown> =>
    call(`post_credential_batches_batch_id_${name}`, { params }).then(loaded.reload);
  const result = async (): Promise<void> =>
    download(`batch-${shortId(id)}.csv`, await call('get_credential_batches_batch_id_result', { params }));
  return h(Shown<Answer>, {
    of: loaded,
    children: (record) => {
      const { state } = record;
      const mayAct = may('post_credential_batches_batch_id_pause');
      return h(
        Fragment,
        null,
        h(Heading, null, h(Theirs, { text: record.name || t('batches.one', { id: shortId(id) }) })),
        h(
          'p',
          null,
          h(State, { state }),
          ' ',
          record.error_msg ? h('span', { class: 'bad' }, h(Theirs, { text: record.error_msg })) : null,
        ),
        h('p', null, h(Progress, { of: record })),
        state === 'running' ? h('p', null, t('batches.leave')) : null,
        h(
          'p',
          { class: 'actions' },
          h(Button, { kind: state === 'done' ? 'main' : undefined, onClick: result }, t('batches.result')),
          mayAct && state === 'running' ? h(Button, { onClick: act('pause') }, t('batches.pause')) : null,
          mayAct && state === 'paused' ? h(Button, { kind: 'main', onClick: act('resume') }, t('batches.resume')) : null,
          mayAct && (state === 'running' || state === 'paused')
            ? h(Button, { kind: 'danger', onClick: () => ask('cancel') }, t('batches.cancel'))
            : null,
          may('delete_credential_batches_batch_id') && state !== 'running'
            ? h(Button, { kind: 'danger', onClick: () => ask('delete') }, t('batches.delete'))
            : null,
        ),
        h('p', null, h('small', null, t('batches.result.hint'))),
        h(Facts, {
          of: [
            [t('issue.what'), h(DefinitionName, { id: record.cred_def_id })],
            [t('column.made'), h('time', { dateTime: record.created_at }, time(record.created_at))],
            [t('column.changed'), h('time', { dateTime: record.updated_at }, time(record.updated_at))],
          ],
        }),
        h(ForSupport, { record }),
        asked === undefined
          ? null
          : h(Confirm, {
              title: asked === 'cancel' ? t('batches.cancel') : t('batches.delete'),
              text: asked === 'cancel' ? t('batches.cancel.text') : t('batches.delete.text'),
              action: asked === 'cancel' ? t('batches.cancel') : t('batches.delete'),
              onDo: () =>
                asked === 'cancel' ? act('cancel')() : call('delete_credential_batches_batch_id', { params }).then(() => go('batches')),
              onClose: () => ask(undefined),
            }),
      );
    },
  });
}
