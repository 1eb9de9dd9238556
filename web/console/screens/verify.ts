import { type Answer, call, may } from '../../lib/api.ts';
import { type Definition, definition, nameOf, ownDefinitions } from '../../lib/definitions.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { definitionOf } from '../../lib/held.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLive, useLoad } from '../../lib/live.ts';
import { type Asked, askedBy, type Outcome, outcomes, type Predicate, presentationIn, requestIn, requestOf } from '../../lib/proof.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { shortId, Theirs } from '../../lib/theirs.ts';
import {
  Button,
  Check,
  Chip,
  Confirm,
  Empty,
  Facts,
  Form,
  ForSupport,
  Heading,
  SelectField,
  Shown,
  State,
  Table,
  Tabs,
  TextField,
} from '../../lib/ui.ts';
import { Invitation } from './connections.ts';
import { activeConnections, Connection, DefinitionName } from './issue.ts';

export { presentationIn, requestIn };

const TOPICS = ['present_proof_v2_0'];
const PREDICATES = ['>=', '>', '<=', '<'] as const;

/** Verifying: what was asked for, a builder for the next request, and a result that begins with the verdict and the issuer. */
export const verify = screen({
  path: 'verify',
  title: 'verify.title',
  needs: ['get_present_proof_2_0_records'],
  view: ({ parts: [what, id], query }: Place) => {
    if (what === 'new')
      return h(New, { connection: query.get('to') ?? '', again: query.get('again') ?? '', issued: query.get('of') ?? '' });
    if (what === 'one' && id) return h(One, { id });
    return h(All, null);
  },
});

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('verify.title')),
    may('post_present_proof_2_0_send_request')
      ? h('p', { class: 'actions' }, h('a', { class: 'button main', href: to('verify', ['new']) }, t('verify.new')))
      : null,
    h(List, {
      caption: t('verify.title'),
      operation: 'get_present_proof_2_0_records',
      query: { role: 'verifier' },
      topics: TOPICS,
      id: (row) => row.pres_ex_id,
      empty: h(Empty, { text: t('verify.none') }),
      columns: [
        {
          title: t('verify.what'),
          cell: (row) =>
            h('a', { href: to('verify', ['one', row.pres_ex_id]) }, h(Theirs, { text: requestIn(row)?.name ?? shortId(row.pres_ex_id) })),
        },
        { title: t('verify.verdict'), cell: (row) => h(Verdict, { record: row }) },
        { title: t('verify.from'), cell: (row) => h(Connection, { id: row.connection_id }) },
        { title: t('column.changed'), cell: (row) => h('time', { dateTime: row.updated_at }, time(row.updated_at)) },
      ],
    }),
  );
}

function Verdict({ record: { verified, state } }: { record: Answer }): VNode {
  if (verified === 'true') return h(Chip, { mood: 'good' }, t('verify.verified'));
  if (verified === 'false') return h(Chip, { mood: 'bad' }, t('verify.not-verified'));
  return h(State, { state });
}

interface Ready {
  readonly definitions: Definition[];
  readonly connections: [string, string][];
  /** An earlier request, to begin with. */
  readonly former: Answer;
  /** The exchange of a credential that is asked for. */
  readonly issued: Answer;
}

function New({ connection, again, issued }: { connection: string; again: string; issued: string }): VNode {
  const loaded = useLoad(async () => ({
    definitions: may('get_anoncreds_credential_definitions') ? await ownDefinitions().catch(() => []) : [],
    connections: await activeConnections(),
    former: again && requestIn(await call('get_present_proof_2_0_records_pres_ex_id', { params: { pres_ex_id: again } })),
    issued: issued && (await call('get_issue_credential_2_0_records_cred_ex_id', { params: { cred_ex_id: issued } })),
  }));
  return h(
    Fragment,
    null,
    h(Heading, null, t('verify.new')),
    h(Shown<Ready>, { of: loaded, children: (ready) => h(Making, { ...ready, connection }) }),
  );
}

const NOTHING: Asked = { attributes: [], predicates: [], definition: '', stated: [], fresh: false };

/** An earlier request, about now where it was about its own time. */
const renewed = (request: Answer): Answer => {
  const now = Math.floor(Date.now() / 1000);
  return { ...request, ...(request.non_revoked && { non_revoked: { from: now, to: now } }) };
};

function Making({ definitions, connections, former, issued, connection }: Ready & { connection: string }): VNode {
  const again = former ? askedBy(former) : undefined;
  const own = (issued && definitions.find(({ id }) => id === definitionOf(issued))) || definitions.at(-1);
  const [asked, ask] = useState<Asked>(
    again ?? {
      ...NOTHING,
      definition: own?.id ?? '',
      fresh: own?.revocable ?? false,
      attributes: issued && own ? [...own.attributes] : [],
    },
  );
  const [name, setName] = useState(String(former?.name ?? ''));
  // a request that was answered by whoever scanned it is for whoever scans it again
  const holder: string | undefined = issued ? issued.cred_ex_record.connection_id : connections[0]?.[0];
  const [receiver, setReceiver] = useState(connection || (former ? '' : (holder ?? '')));
  const [tab, setTab] = useState(former && !again ? 'json' : 'form');
  const [json, setJson] = useState(former ? JSON.stringify(renewed(former), null, 2) : '');
  const [failed, fail] = useState('');
  const [made, make] = useState<Answer>();
  // somebody has answered
  useLive(TOPICS, (event) => {
    if (made && event?.payload.pres_ex_id === made.pres_ex_id && event?.payload.state !== 'request-sent')
      go('verify', ['one', made.pres_ex_id]);
  });
  const request = (): Answer => requestOf(asked, name || t('verify.default-name'), Math.floor(Date.now() / 1000));
  const choose = (next: string): void => {
    fail('');
    if (next === 'json') setJson(JSON.stringify(request(), null, 2));
    else {
      let given: Answer;
      try {
        given = JSON.parse(json);
      } catch {
        fail(t('receive.bad-json'));
        return;
      }
      const back = askedBy(given);
      if (!back) {
        fail(t('verify.json-only'));
        return;
      }
      ask(back);
      setName(String(given.name ?? ''));
    }
    setTab(next);
  };
  const submit = async (): Promise<void> => {
    const wanted = tab === 'json' ? JSON.parse(json) : request();
    if (Object.keys({ ...wanted.requested_attributes, ...wanted.requested_predicates }).length === 0) throw new Error(t('verify.nothing'));
    const body = { presentation_request: { anoncreds: wanted }, auto_verify: true, auto_remove: false };
    if (receiver) {
      const { pres_ex_id } = await call('post_present_proof_2_0_send_request', { body: { ...body, connection_id: receiver } });
      go('verify', ['one', pres_ex_id]);
      return;
    }
    const { pres_ex_id } = await call('post_present_proof_2_0_create_request', { body });
    const invitation = await call('post_out_of_band_create_invitation', {
      body: { attachments: [{ id: pres_ex_id, type: 'present-proof' }], goal_code: 'request-proof', goal: wanted.name },
    });
    make({ ...invitation, pres_ex_id });
  };
  if (made)
    return h(
      Invitation,
      { made, onAnother: () => make(undefined) },
      h('a', { class: 'button main', href: to('verify', ['one', made.pres_ex_id]) }, t('verify.follow')),
    );
  return h(
    Form,
    { onSubmit: submit, action: t('verify.send') },
    h(SelectField, { label: t('verify.from'), value: receiver, options: [...connections, ['', t('issue.to-qr')]], onChange: setReceiver }),
    h(
      Tabs,
      {
        label: t('verify.what'),
        tabs: [
          ['form', t('tab.form')],
          ['json', t('tab.json')],
        ],
        value: tab,
        onChange: choose,
      },
      failed ? h('p', { class: 'bad', role: 'alert' }, '✗ ', failed) : null,
      tab === 'form'
        ? h(Builder, { asked, ask, definitions, name, setName })
        : h(TextField, { label: t('tab.json'), value: json, onInput: setJson, rows: 18 }),
    ),
  );
}

interface BuilderProps {
  readonly asked: Asked;
  readonly ask: (asked: Asked) => void;
  readonly definitions: readonly Definition[];
  readonly name: string;
  readonly setName: (name: string) => void;
}

function Builder({ asked, ask, definitions, name, setName }: BuilderProps): VNode {
  const own = definitions.find(({ id }) => id === asked.definition);
  const [other, setOther] = useState('');
  const options = [
    ...definitions.map((one) => [one.id, nameOf(one)] as const),
    ...(own || !asked.definition ? [] : [[asked.definition, asked.definition] as const]),
    ['', t('verify.anyone')] as const,
  ];
  const names = [...new Set([...(own?.attributes ?? []), ...asked.attributes])];
  const toggle = (one: string, on: boolean): void =>
    ask({ ...asked, attributes: on ? [...asked.attributes, one] : asked.attributes.filter((each) => each !== one) });
  const change = (at: number, part: Partial<Predicate>): void =>
    ask({ ...asked, predicates: asked.predicates.map((one, i) => (i === at ? { ...one, ...part } : one)) });
  const add = (): void => {
    if (other.trim()) toggle(other.trim(), true);
    setOther('');
  };
  return h(
    'div',
    { class: 'fields' },
    h(TextField, { label: t('verify.name'), hint: t('verify.name.hint'), value: name, onInput: setName, max: 200 }),
    h(SelectField, { label: t('verify.issued-as'), value: asked.definition, options, onChange: (to) => ask({ ...asked, definition: to }) }),
    asked.definition === '' ? h('p', { class: 'bad' }, '✗ ', t('verify.anyone.warning')) : null,
    h(
      'fieldset',
      null,
      h('legend', null, t('verify.shown')),
      ...names.map((one) =>
        h(Check, { key: one, label: h(Theirs, { text: one }), checked: asked.attributes.includes(one), onChange: (on) => toggle(one, on) }),
      ),
      h(TextField, { label: t('verify.other'), value: other, onInput: setOther }),
      h(Button, { onClick: add }, t('verify.add')),
    ),
    h(
      'fieldset',
      null,
      h('legend', null, t('verify.proved')),
      h('small', null, t('verify.proved.hint')),
      ...asked.predicates.map((one, i) =>
        h(
          'div',
          { key: i, class: 'row' },
          h(TextField, { label: t('verify.attribute'), value: one.name, onInput: (of) => change(i, { name: of }), required: true }),
          h(SelectField, {
            label: t('verify.is'),
            value: one.type,
            options: PREDICATES.map((each) => [each, word('predicate', each)] as const),
            onChange: (type) => change(i, { type: type as Predicate['type'] }),
          }),
          h(TextField, {
            label: t('verify.number'),
            type: 'number',
            value: String(one.value),
            onInput: (value) => change(i, { value: Number(value) }),
            required: true,
          }),
          h(Button, { onClick: () => ask({ ...asked, predicates: asked.predicates.filter((_one, at) => at !== i) }) }, t('verify.remove')),
        ),
      ),
      h(
        Button,
        { onClick: () => ask({ ...asked, predicates: [...asked.predicates, { name: own?.attributes[0] ?? '', type: '>=', value: 0 }] }) },
        t('verify.add'),
      ),
    ),
    h(TextField, {
      label: t('verify.stated'),
      hint: t('verify.stated.hint'),
      value: asked.stated.join(', '),
      onInput: (text) =>
        ask({
          ...asked,
          stated: text
            .split(',')
            .map((one) => one.trim())
            .filter(Boolean),
        }),
    }),
    h(Check, {
      label: t('verify.fresh'),
      hint: t('verify.fresh.hint'),
      checked: asked.fresh,
      onChange: (fresh) => ask({ ...asked, fresh }),
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
      const request = requestIn(record);
      return h(
        Fragment,
        null,
        h(Heading, null, h(Theirs, { text: request?.name ?? t('verify.title') })),
        h(Result, { record }),
        h(
          'p',
          { class: 'actions' },
          record.state === 'presentation-received' && may('post_present_proof_2_0_records_pres_ex_id_verify_presentation')
            ? h(
                Button,
                {
                  kind: 'main',
                  onClick: () => call('post_present_proof_2_0_records_pres_ex_id_verify_presentation', { params }).then(loaded.reload),
                },
                t('verify.check'),
              )
            : null,
          may('post_present_proof_2_0_send_request')
            ? h(
                'a',
                {
                  class: 'button',
                  href: to('verify', ['new'], { again: id, ...(record.connection_id && { to: record.connection_id }) }),
                },
                t('verify.again'),
              )
            : null,
          record.connection_id ? h(TheirCredential, { record }) : null,
          may('delete_present_proof_2_0_records_pres_ex_id')
            ? h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('verify.delete'))
            : null,
        ),
        h(Facts, {
          of: [
            [t('verify.from'), h(Connection, { id: record.connection_id })],
            [t('column.made'), h('time', { dateTime: record.created_at }, time(record.created_at))],
            [t('column.changed'), h('time', { dateTime: record.updated_at }, time(record.updated_at))],
          ],
        }),
        h(ForSupport, { record }),
        deleting
          ? h(Confirm, {
              title: t('verify.delete'),
              text: t('verify.delete.text'),
              action: t('verify.delete'),
              onDo: () => call('delete_present_proof_2_0_records_pres_ex_id', { params }).then(() => go('verify')),
              onClose: () => setDeleting(false),
            })
          : null,
      );
    },
  });
}

/** A way to what was issued here to whoever has shown it: the newest of its kind. */
function TheirCredential({ record }: { record: Answer }): VNode | null {
  const shown = outcomes(requestIn(record), presentationIn(record)).map(({ definition: one }) => one);
  const { data } = useLoad(
    async () => {
      if (!may('get_issue_credential_2_0_records')) return undefined;
      const query = { role: 'issuer', connection_id: record.connection_id, descending: true, limit: 50 };
      const { results } = await call('get_issue_credential_2_0_records', { query });
      return results.find((one: Answer) => shown.includes(definitionOf(one)))?.cred_ex_record.cred_ex_id as string | undefined;
    },
    [],
    [record.pres_ex_id, record.state],
  );
  return data ? h('a', { class: 'button', href: to('issue', ['one', data]) }, t('verify.credential')) : null;
}

/** The verdict and the issuers first, then each thing that was asked for, then why a check failed. */
export function Result({ record }: { record: Answer }): VNode {
  const { verified, verified_msgs: notes = [], state, error_msg: error } = record;
  const request = requestIn(record);
  const rows = outcomes(request, presentationIn(record));
  const ids = [...new Set(rows.flatMap(({ definition: one }) => (one ? [one] : [])))];
  const good = verified === 'true';
  const done = good || verified === 'false';
  const anyone = rows.some((one) => one.anyone && one.kind !== 'stated');
  return h(
    Fragment,
    null,
    h(
      'div',
      { class: `verdict ${done ? (good ? 'good' : 'bad') : ''}`, role: 'status' },
      h('p', null, h('b', null, done ? (good ? `✓ ${t('verify.verified')}` : `✗ ${t('verify.not-verified')}`) : h(State, { state }))),
      ...(done ? ids.map((one) => h('p', { key: one }, h(Issuer, { id: one, good }))) : []),
      done && anyone ? h('p', { class: 'bad' }, '✗ ', t('verify.anyone.result')) : null,
      error ? h('p', { class: 'bad' }, h(Theirs, { text: error })) : null,
    ),
    done && notes.length > 0
      ? h(
          'ul',
          null,
          ...notes.map((note: string) =>
            h('li', { key: note }, word('check', note.split(/::?/)[0]!), ' ', h('small', null, h('code', null, h(Theirs, { text: note })))),
          ),
        )
      : null,
    rows.length === 0
      ? null
      : h(Table<Outcome>, {
          caption: t('verify.what'),
          rows,
          id: (row) => `${row.kind} ${row.name} ${row.value}`,
          columns: [
            { title: t('verify.attribute'), cell: (row) => h(Theirs, { text: row.name }) },
            { title: t('verify.came'), cell: (row) => h(Came, { row, done }) },
            {
              title: t('verify.by'),
              cell: (row) =>
                row.definition ? h(DefinitionName, { id: row.definition }) : row.kind === 'stated' ? t('verify.by-holder') : '',
            },
          ],
        }),
  );
}

function Came({ row: { kind, value = '' }, done }: { row: Outcome; done: boolean }): VNode {
  if (kind === 'shown' || kind === 'stated') return h('b', null, h(Theirs, { text: value }));
  if (kind === 'proved') return h('span', null, `✓ ${t('verify.holds', { what: value })}`);
  if (kind === 'hidden') return h('span', null, t('verify.hidden'));
  return h('span', null, done ? t('verify.missing') : value || t('verify.not-yet'));
}

function Issuer({ id, good }: { id: string; good: boolean }): VNode {
  const { data } = useLoad(() => definition(id).catch(() => undefined), [], [id]);
  return h(
    'span',
    null,
    good ? t('verify.issued-by') : t('verify.claimed-by'),
    ' ',
    h('code', null, data?.issuer ?? id),
    ' ',
    h(DefinitionName, { id }),
  );
}
