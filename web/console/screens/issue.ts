import { type Answer, call, may } from '../../lib/api.ts';
import { type Definition, nameOf, ownDefinitions } from '../../lib/definitions.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { Connection, definitionOf } from '../../lib/held.ts';
import { t, time } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLive, useLoad } from '../../lib/live.ts';
import { Attributes, DefinitionName } from '../../lib/look.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { ShortId, shortId, Theirs } from '../../lib/theirs.ts';
import { Button, Confirm, Empty, Facts, Form, ForSupport, Heading, SelectField, Shown, State, Tabs, TextField } from '../../lib/ui.ts';
import { Invitation } from './connections.ts';

export { Attributes, Connection, DefinitionName };

const TOPICS = ['issue_credential_v2_0'];
/** Whose holder can prove it, or be seen to have lost it. */
const PROVABLE = ['done', 'credential-revoked'];
const HANDSHAKES = ['https://didcomm.org/didexchange/1.1', 'https://didcomm.org/connections/1.0'];
export const PREVIEW = 'issue-credential/2.0/credential-preview';

/** Issuing: what was issued, and a form or JSON for the next credential, to a connection or to whoever scans it. */
export const issue = screen({
  path: 'issue',
  title: 'issue.title',
  needs: ['get_issue_credential_2_0_records'],
  view: ({ parts: [what, id], query }: Place) => {
    if (what === 'new')
      return h(New, { connection: query.get('to') ?? '', chosen: query.get('with') ?? '', again: query.get('again') ?? '' });
    if (what === 'one' && id) return h(One, { id });
    return h(All, null);
  },
});

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('issue.title')),
    may('post_issue_credential_2_0_send_offer')
      ? h(
          'p',
          { class: 'actions' },
          h('a', { class: 'button main', href: to('issue', ['new']) }, t('issue.new')),
          may('post_credential_batches') ? h('a', { class: 'button', href: to('batches', ['new']) }, t('batches.new')) : null,
        )
      : null,
    h(List, {
      caption: t('issue.title'),
      operation: 'get_issue_credential_2_0_records',
      query: { role: 'issuer' },
      topics: TOPICS,
      id: (row) => row.cred_ex_record.cred_ex_id,
      empty: h(Empty, { text: t('issue.none') }),
      columns: [
        {
          title: t('issue.what'),
          cell: (row) =>
            h(
              'a',
              { href: to('issue', ['one', row.cred_ex_record.cred_ex_id]) },
              h(DefinitionName, { id: definitionOf(row) }),
              ' ',
              h(ShortId, { id: row.cred_ex_record.cred_ex_id }),
            ),
        },
        { title: t('column.state'), cell: (row) => h(State, { state: row.cred_ex_record.state }) },
        { title: t('issue.to'), cell: (row) => h(Connection, { id: row.cred_ex_record.connection_id }) },
        {
          title: t('column.changed'),
          cell: (row) => h('time', { dateTime: row.cred_ex_record.updated_at }, time(row.cred_ex_record.updated_at)),
        },
      ],
    }),
  );
}

/** Active connections to choose from. */
export async function activeConnections(): Promise<[string, string][]> {
  const { results } = await call('get_connections', { query: { state: 'active', limit: 500, descending: true } });
  return results.map((one: Answer) => [
    one.connection_id,
    [one.alias, one.their_label].filter(Boolean).join(' – ') || shortId(one.connection_id),
  ]);
}

function New({ connection, chosen, again }: { connection: string; chosen: string; again: string }): VNode {
  const loaded = useLoad(async () => ({
    definitions: await ownDefinitions(),
    connections: await activeConnections(),
    former: again ? await call('get_issue_credential_2_0_records_cred_ex_id', { params: { cred_ex_id: again } }) : undefined,
  }));
  return h(
    Fragment,
    null,
    h(Heading, null, t('issue.new')),
    h(Shown<Omit<MakingProps, 'connection' | 'chosen'>>, {
      of: loaded,
      children: ({ definitions, connections, former }) =>
        definitions.length === 0
          ? h(
              Empty,
              { text: t('issue.no-definition') },
              h('a', { class: 'button main', href: to('definitions', ['new']) }, t('definitions.new')),
            )
          : h(Making, {
              ...{ definitions, connections, connection, former },
              chosen: (former && definitionOf(former)) || chosen,
            }),
    }),
  );
}

interface MakingProps {
  readonly definitions: Definition[];
  readonly connections: [string, string][];
  /** An earlier credential, whose values are there to begin with. */
  readonly former: Answer | undefined;
  readonly connection: string;
  readonly chosen: string;
}

/** The values of an exchange, by their names. */
const valuesOf = (found: Answer): Record<string, string> =>
  Object.fromEntries((found?.cred_ex_record.cred_preview?.attributes ?? []).map(({ name, value }: Answer) => [name, value]));

function Making({ definitions, connections, former, connection, chosen }: MakingProps): VNode {
  const [id, setId] = useState(definitions.find((one) => one.id === chosen)?.id ?? definitions.at(-1)!.id);
  const [receiver, setReceiver] = useState(connection || (connections[0]?.[0] ?? ''));
  const [values, setValues] = useState<Readonly<Record<string, string>>>(valuesOf(former));
  const [tab, setTab] = useState('form');
  const [json, setJson] = useState('');
  const [made, make] = useState<Answer>();
  // somebody has answered
  useLive(TOPICS, (event) => {
    if (made && event?.payload.cred_ex_id === made.cred_ex_id && event?.payload.state !== 'offer-sent')
      go('issue', ['one', made.cred_ex_id]);
  });
  const own = definitions.find((one) => one.id === id)!;
  const body = () => ({
    filter: { anoncreds: { cred_def_id: id } },
    credential_preview: { '@type': PREVIEW, attributes: own.attributes.map((name) => ({ name, value: values[name] ?? '' })) },
    auto_issue: true,
    // what was issued, and to whom, stays to be looked at
    auto_remove: false,
  });
  const choose = (next: string): void => {
    if (next === 'json') setJson(JSON.stringify(body(), null, 2));
    setTab(next);
  };
  const submit = async (): Promise<void> => {
    const given = tab === 'json' ? JSON.parse(json) : body();
    if (receiver) {
      const record = await call('post_issue_credential_2_0_send_offer', { body: { ...given, connection_id: receiver } });
      go('issue', ['one', record.cred_ex_id]);
      return;
    }
    const { cred_ex_id } = await call('post_issue_credential_2_0_create_offer', { body: given });
    make(
      await call('post_out_of_band_create_invitation', {
        query: { auto_accept: true },
        // whoever takes it stays connected: for a proof, a message, the news that it was revoked
        body: {
          handshake_protocols: HANDSHAKES,
          attachments: [{ id: cred_ex_id, type: 'credential-offer' }],
          goal_code: 'issue-vc',
          goal: nameOf(own),
        },
      }).then((invitation) => ({ ...invitation, cred_ex_id })),
    );
  };
  if (made)
    return h(
      Invitation,
      { made, onAnother: () => make(undefined) },
      h('a', { class: 'button main', href: to('issue', ['one', made.cred_ex_id]) }, t('issue.follow')),
    );
  return h(
    Form,
    { onSubmit: submit, action: t('issue.offer') },
    h(SelectField, {
      label: t('issue.what'),
      value: id,
      options: definitions.map((one) => [one.id, nameOf(one)] as const),
      onChange: setId,
    }),
    h(SelectField, { label: t('issue.to'), value: receiver, options: [...connections, ['', t('issue.to-qr')]], onChange: setReceiver }),
    h(
      Tabs,
      {
        label: t('issue.values'),
        tabs: [
          ['form', t('tab.form')],
          ['json', t('tab.json')],
        ],
        value: tab,
        onChange: choose,
      },
      tab === 'form'
        ? h(
            'div',
            { class: 'fields' },
            ...own.attributes.map((name) =>
              h(TextField, {
                key: name,
                label: name,
                value: values[name] ?? '',
                onInput: (value) => setValues((before) => ({ ...before, [name]: value })),
              }),
            ),
          )
        : h(TextField, { label: t('tab.json'), value: json, onInput: setJson, rows: 16 }),
    ),
  );
}

function One({ id }: { id: string }): VNode {
  const params = { cred_ex_id: id };
  const loaded = useLoad(() => call('get_issue_credential_2_0_records_cred_ex_id', { params }), TOPICS, [id]);
  const [deleting, setDeleting] = useState(false);
  const again =
    (operation: string, body: object = {}) =>
    (): Promise<unknown> =>
      call(operation, { params, body }).then(loaded.reload);
  return h(Shown<Answer>, {
    of: loaded,
    children: (found) => {
      const record = found.cred_ex_record;
      const revocation = found.anoncreds ?? found.indy;
      return h(
        Fragment,
        null,
        h(Heading, null, h(DefinitionName, { id: definitionOf(found) })),
        h(
          'p',
          null,
          h(State, { state: record.state }),
          record.error_msg ? h('span', { class: 'bad' }, ' ', h(Theirs, { text: record.error_msg })) : null,
        ),
        h(
          'p',
          { class: 'actions' },
          record.state === 'request-received' && may('post_issue_credential_2_0_records_cred_ex_id_issue')
            ? h(Button, { kind: 'main', onClick: again('post_issue_credential_2_0_records_cred_ex_id_issue') }, t('issue.now'))
            : null,
          revocation?.rev_reg_id && record.state === 'done' && may('post_anoncreds_revocation_revoke')
            ? h('a', { class: 'button danger', href: to('revocation', ['revoke'], { exchange: id }) }, t('revocation.revoke'))
            : null,
          PROVABLE.includes(record.state) && may('post_present_proof_2_0_send_request')
            ? h('a', { class: 'button', href: to('verify', ['new'], { of: id }) }, t('issue.prove'))
            : null,
          may('post_issue_credential_2_0_send_offer')
            ? h('a', { class: 'button', href: to('issue', ['new'], { again: id }) }, t('issue.again'))
            : null,
          may('delete_issue_credential_2_0_records_cred_ex_id')
            ? h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('issue.delete'))
            : null,
        ),
        h(Facts, {
          of: [
            [t('issue.to'), h(Connection, { id: record.connection_id })],
            [t('column.made'), h('time', { dateTime: record.created_at }, time(record.created_at))],
            [t('column.changed'), h('time', { dateTime: record.updated_at }, time(record.updated_at))],
            [t('revocation.registry'), revocation?.rev_reg_id && h('code', null, revocation.rev_reg_id)],
            [t('revocation.index'), revocation?.cred_rev_id],
          ],
        }),
        h('h2', null, t('issue.values')),
        h(Attributes, { of: record.cred_preview?.attributes ?? [] }),
        h(ForSupport, { record: found }),
        deleting
          ? h(Confirm, {
              title: t('issue.delete'),
              text: t('issue.delete.text'),
              action: t('issue.delete'),
              onDo: () => call('delete_issue_credential_2_0_records_cred_ex_id', { params }).then(() => go('issue')),
              onClose: () => setDeleting(false),
            })
          : null,
      );
    },
  });
}
