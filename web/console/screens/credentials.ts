import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { definitionOf } from '../../lib/held.ts';
import { t, time } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { CardFace, DefinitionName } from '../../lib/look.ts';
import { outcomes, presentationIn, requestIn } from '../../lib/proof.ts';
import { go, type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { shortId, Theirs } from '../../lib/theirs.ts';
import { tell } from '../../lib/toast.ts';
import { Button, Confirm, Empty, Facts, ForSupport, Heading, Shown, State } from '../../lib/ui.ts';
import { Connection } from './issue.ts';

const TOPICS = ['issue_credential_v2_0', 'present_proof_v2_0', 'credential'];
const PAGE = 100;

/** The holder's side: offers and requests that wait, credentials in the wallet, and what each shows. */
export const credentials = screen({
  path: 'credentials',
  title: 'credentials.title',
  needs: ['get_credentials'],
  view: ({ parts: [what, id] }: Place) => {
    if (what === 'one' && id) return h(One, { id });
    if (what === 'offer' && id) return h(Offer, { id });
    if (what === 'request' && id) return h(Request, { id });
    return h(All, null);
  },
});

function All(): VNode {
  const [shown, show] = useState(PAGE);
  const loaded = useLoad(
    async () => {
      const [held, offers, requests] = await Promise.all([
        call('get_credentials', { query: { limit: shown } }),
        call('get_issue_credential_2_0_records', { query: { role: 'holder', state: 'offer-received', descending: true } }),
        call('get_present_proof_2_0_records', { query: { role: 'prover', state: 'request-received', descending: true } }),
      ]);
      return { held: held.results, total: held.total ?? held.results.length, offers: offers.results, requests: requests.results };
    },
    TOPICS,
    [shown],
  );
  return h(
    Fragment,
    null,
    h(Heading, null, t('credentials.title')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ held, total, offers, requests }) =>
        h(
          Fragment,
          null,
          h('h2', null, t('credentials.decide')),
          offers.length + requests.length === 0
            ? h('p', null, t('home.nothing'))
            : h(
                'ul',
                null,
                ...offers.map(({ cred_ex_record: one }: Answer) =>
                  h(
                    'li',
                    { key: one.cred_ex_id },
                    h('a', { href: to('credentials', ['offer', one.cred_ex_id]) }, t('credentials.offer-from')),
                    ' ',
                    h(Connection, { id: one.connection_id }),
                    ' ',
                    time(one.created_at),
                  ),
                ),
                ...requests.map((one: Answer) =>
                  h(
                    'li',
                    { key: one.pres_ex_id },
                    h('a', { href: to('credentials', ['request', one.pres_ex_id]) }, t('credentials.request-from')),
                    ' ',
                    h(Connection, { id: one.connection_id }),
                    ' ',
                    h(Theirs, { text: requestIn(one)?.name }),
                  ),
                ),
              ),
          h('h2', null, t('credentials.held')),
          held.length === 0
            ? h(Empty, { text: t('credentials.none') })
            : h(
                'div',
                { class: 'cards' },
                ...held.map((one: Answer) =>
                  h(CardFace, {
                    key: one.referent,
                    id: one.cred_def_id,
                    heading: h(
                      'h3',
                      null,
                      h(
                        'a',
                        { href: to('credentials', ['one', one.referent]) },
                        one.cred_def_id ? h(DefinitionName, { id: one.cred_def_id }) : h(Theirs, { text: one.format ?? one.referent }),
                      ),
                    ),
                    attributes: Object.entries(one.attrs ?? {}).map(([name, value]) => ({ name, value })),
                    most: 4,
                  }),
                ),
              ),
          total > held.length ? h(Button, { onClick: () => show(shown + PAGE) }, t('list.more')) : null,
        ),
    }),
    h('h2', null, t('credentials.history')),
    h(List, {
      caption: t('credentials.history'),
      operation: 'get_present_proof_2_0_records',
      query: { role: 'prover' },
      topics: TOPICS,
      id: (row) => row.pres_ex_id,
      empty: h(Empty, { text: t('credentials.no-history') }),
      columns: [
        {
          title: t('verify.what'),
          cell: (row) =>
            h(
              'a',
              { href: to('credentials', ['request', row.pres_ex_id]) },
              h(Theirs, { text: requestIn(row)?.name ?? shortId(row.pres_ex_id) }),
            ),
        },
        { title: t('connections.with'), cell: (row) => h(Connection, { id: row.connection_id }) },
        { title: t('credentials.seen'), cell: (row) => h(Seen, { record: row }) },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('column.changed'), cell: (row) => h('time', { dateTime: row.updated_at }, time(row.updated_at)) },
      ],
    }),
  );
}

/** What a verifier has seen: the values that a presentation of ours shows. */
function Seen({ record }: { record: Answer }): VNode | null {
  const shown = outcomes(requestIn(record), presentationIn(record)).filter(({ kind }) => kind === 'shown' || kind === 'stated');
  if (!presentationIn(record)) return null;
  return h(Theirs, { text: shown.map(({ name, value }) => `${name}: ${value}`).join(', ') });
}

function One({ id }: { id: string }): VNode {
  const params = { credential_id: id };
  const loaded = useLoad(() => call('get_credential_credential_id', { params }), [], [id]);
  const [deleting, setDeleting] = useState(false);
  const [revoked, setRevoked] = useState('');
  const check = async (): Promise<void> => {
    const { revoked: is } = await call('get_credential_revoked_credential_id', { params });
    setRevoked(is ? t('credentials.is-revoked') : t('credentials.not-revoked'));
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (one) =>
      h(
        Fragment,
        null,
        h(Heading, null, one.cred_def_id ? h(DefinitionName, { id: one.cred_def_id }) : h(Theirs, { text: one.format ?? id })),
        h(CardFace, { id: one.cred_def_id, attributes: Object.entries(one.attrs ?? {}).map(([name, value]) => ({ name, value })) }),
        h(Facts, {
          of: [
            [t('credentials.definition'), one.cred_def_id && h('code', null, one.cred_def_id)],
            [t('revocation.registry'), one.rev_reg_id && h('code', null, one.rev_reg_id)],
          ],
        }),
        h(
          'p',
          { class: 'actions' },
          one.rev_reg_id ? h(Button, { onClick: check }, t('credentials.check')) : null,
          may('delete_credential_credential_id')
            ? h(Button, { kind: 'danger', onClick: () => setDeleting(true) }, t('credentials.delete'))
            : null,
        ),
        revoked ? h('p', { role: 'status' }, revoked) : null,
        h(ForSupport, { record: one }),
        deleting
          ? h(Confirm, {
              title: t('credentials.delete'),
              text: t('credentials.delete.text'),
              action: t('credentials.delete'),
              onDo: () => call('delete_credential_credential_id', { params }).then(() => go('credentials')),
              onClose: () => setDeleting(false),
            })
          : null,
      ),
  });
}

function Offer({ id }: { id: string }): VNode {
  const params = { cred_ex_id: id };
  const loaded = useLoad(() => call('get_issue_credential_2_0_records_cred_ex_id', { params }), TOPICS, [id]);
  const accept = async (): Promise<void> => {
    await call('post_issue_credential_2_0_records_cred_ex_id_send_request', { params, body: { auto_remove: false } });
    loaded.reload();
  };
  const decline = async (): Promise<void> => {
    await call('post_issue_credential_2_0_records_cred_ex_id_problem_report', { params, body: { description: 'declined' } });
    go('credentials');
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: ({ cred_ex_record: record }) =>
      h(
        Fragment,
        null,
        h(Heading, null, t('credentials.offer-from'), ' ', h(DefinitionName, { id: definitionOf({ cred_ex_record: record }) })),
        h('p', null, h(Connection, { id: record.connection_id }), ' ', h(State, { state: record.state })),
        h(CardFace, { id: definitionOf({ cred_ex_record: record }), attributes: record.cred_preview?.attributes ?? [] }),
        record.state === 'offer-received'
          ? h(
              'p',
              { class: 'actions' },
              may('post_issue_credential_2_0_records_cred_ex_id_send_request')
                ? h(Button, { kind: 'main', onClick: accept }, t('credentials.accept'))
                : null,
              may('post_issue_credential_2_0_records_cred_ex_id_problem_report')
                ? h(Button, { onClick: decline }, t('credentials.decline'))
                : null,
            )
          : null,
        record.state === 'credential-received' && may('post_issue_credential_2_0_records_cred_ex_id_store')
          ? h(
              Button,
              {
                kind: 'main',
                onClick: () => call('post_issue_credential_2_0_records_cred_ex_id_store', { params, body: {} }).then(loaded.reload),
              },
              t('credentials.store'),
            )
          : null,
        h('p', null, h('a', { href: to('credentials') }, t('credentials.title'))),
        h(ForSupport, { record }),
      ),
  });
}

/** For each thing that is asked for, the credentials that have it: one is chosen, and the button names what is sent. */
function Request({ id }: { id: string }): VNode {
  const params = { pres_ex_id: id };
  const [chosen, choose] = useState<Readonly<Record<string, string>>>({});
  const [stated, state] = useState<Readonly<Record<string, string>>>({});
  const loaded = useLoad(
    async () => {
      const record = await call('get_present_proof_2_0_records_pres_ex_id', { params });
      const found =
        record.state === 'request-received'
          ? await call('get_present_proof_2_0_records_pres_ex_id_credentials', { params, query: { limit: 1000 } })
          : [];
      return { record, found };
    },
    TOPICS,
    [id],
  );
  const decline = async (): Promise<void> => {
    await call('post_present_proof_2_0_records_pres_ex_id_problem_report', { params, body: { description: 'declined' } });
    go('credentials');
  };
  return h(Shown<{ record: Answer; found: Answer[] }>, {
    of: loaded,
    children: ({ record, found }) => {
      const request = requestIn(record);
      const format = Object.keys(record.by_format?.pres_request ?? {})[0] ?? 'anoncreds';
      const asks: [string, Answer, boolean][] = [
        ...Object.entries(request?.requested_attributes ?? {}).map(
          ([referent, one]) => [referent, one, false] as [string, Answer, boolean],
        ),
        ...Object.entries(request?.requested_predicates ?? {}).map(([referent, one]) => [referent, one, true] as [string, Answer, boolean]),
      ];
      const having = (referent: string): Answer[] => found.filter((one) => one.presentation_referents.includes(referent));
      const choiceOf = (referent: string): string | undefined => chosen[referent] ?? having(referent)[0]?.cred_info.referent;
      const isStated = (referent: string, one: Answer): boolean => having(referent).length === 0 && !one.restrictions?.length && !one.names;
      const missing = asks.filter(([referent, one]) => choiceOf(referent) === undefined && !(isStated(referent, one) && stated[referent]));
      const send = async (): Promise<void> => {
        const own = asks.filter(([referent]) => choiceOf(referent) !== undefined);
        const body = {
          auto_remove: false,
          [format]: {
            requested_attributes: Object.fromEntries(
              own.filter(([, , predicate]) => !predicate).map(([referent]) => [referent, { cred_id: choiceOf(referent), revealed: true }]),
            ),
            requested_predicates: Object.fromEntries(
              own.filter(([, , predicate]) => predicate).map(([referent]) => [referent, { cred_id: choiceOf(referent) }]),
            ),
            self_attested_attributes: Object.fromEntries(
              asks.flatMap(([referent, one]) => (isStated(referent, one) ? [[referent, stated[referent] ?? '']] : [])),
            ),
          },
        };
        await call('post_present_proof_2_0_records_pres_ex_id_send_presentation', { params, body });
        tell(t('credentials.shared'));
        go('credentials');
      };
      return h(
        Fragment,
        null,
        h(Heading, null, t('credentials.request-from')),
        h('p', null, h(Connection, { id: record.connection_id }), ' ', h(State, { state: record.state })),
        h('h2', null, h(Theirs, { text: request?.name })),
        record.state !== 'request-received'
          ? null
          : h(
              'div',
              { class: 'fields' },
              ...asks.map(([referent, one, predicate]) =>
                h(
                  'fieldset',
                  { key: referent },
                  h(
                    'legend',
                    null,
                    h(Theirs, { text: one.names?.join(', ') ?? one.name }),
                    predicate ? ` ${one.p_type} ${one.p_value}` : '',
                  ),
                  predicate ? h('small', null, t('credentials.only-whether')) : null,
                  ...having(referent).map((each) =>
                    h(
                      'label',
                      { class: 'row', key: each.cred_info.referent },
                      h('input', {
                        type: 'radio',
                        name: referent,
                        checked: choiceOf(referent) === each.cred_info.referent,
                        onChange: () => choose({ ...chosen, [referent]: each.cred_info.referent }),
                      }),
                      h(DefinitionName, { id: each.cred_info.cred_def_id }),
                      predicate
                        ? null
                        : h(Theirs, { text: ((one.names ?? [one.name]) as string[]).map((name) => each.cred_info.attrs[name]).join(', ') }),
                    ),
                  ),
                  isStated(referent, one)
                    ? h('input', {
                        type: 'text',
                        'aria-label': one.name,
                        value: stated[referent] ?? '',
                        onInput: (event: { currentTarget: { value: string } }) =>
                          state({ ...stated, [referent]: event.currentTarget.value }),
                      })
                    : having(referent).length === 0
                      ? h('p', { class: 'bad' }, '✗ ', t('credentials.not-here'))
                      : null,
                ),
              ),
              h('p', null, t('credentials.kept')),
              h(
                'p',
                { class: 'actions' },
                missing.length === 0 && may('post_present_proof_2_0_records_pres_ex_id_send_presentation')
                  ? h(Button, { kind: 'main', onClick: send }, t('credentials.share'))
                  : null,
                may('post_present_proof_2_0_records_pres_ex_id_problem_report')
                  ? h(Button, { onClick: decline }, t('credentials.do-not-share'))
                  : null,
              ),
            ),
        h('p', null, h('a', { href: to('credentials') }, t('credentials.title'))),
        h(ForSupport, { record }),
      );
    },
  });
}
