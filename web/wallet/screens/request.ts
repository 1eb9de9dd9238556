import { type Ask, answerOf, asksOf, smallestChoice, unshown } from '../../lib/answer.ts';
import { type Answer, call } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { Connection } from '../../lib/held.ts';
import { comma, t, word } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { AttributeName, DefinitionName, useLook } from '../../lib/look.ts';
import { requestIn } from '../../lib/proof.ts';
import { go, to } from '../../lib/router.ts';
import { Theirs } from '../../lib/theirs.ts';
import { tell } from '../../lib/toast.ts';
import { Button, ForSupport, Heading, Shown, State, TextField } from '../../lib/ui.ts';

const TOPICS = ['present_proof_v2_0'];

/** A request for a proof: what would be shown, from which card, and what stays here. */
export function Request({ id }: { id: string }): VNode {
  const params = { pres_ex_id: id };
  const loaded = useLoad(
    async () => {
      const record = await call('get_present_proof_2_0_records_pres_ex_id', { params });
      const waits = record.state === 'request-received';
      const found = waits ? await call('get_present_proof_2_0_records_pres_ex_id_credentials', { params, query: { limit: 1000 } }) : [];
      return { record, asks: waits ? asksOf(requestIn(record), found) : [] };
    },
    TOPICS,
    [id],
  );
  return h(Shown<{ record: Answer; asks: Ask[] }>, {
    of: loaded,
    children: ({ record, asks }) =>
      h(
        Fragment,
        null,
        h(Heading, null, t('wallet.request'), ' ', h(Theirs, { text: requestIn(record)?.name })),
        h('p', null, t('wallet.from'), ' ', h(Connection, { id: record.connection_id }), ' ', h(State, { state: record.state })),
        record.state === 'request-received' ? h(Choice, { record, asks }) : null,
        h('p', null, h('a', { href: to('home') }, t('wallet.home'))),
        h(ForSupport, { record }),
      ),
  });
}

function Choice({ record, asks }: { record: Answer; asks: Ask[] }): VNode {
  const [picked, pick] = useState<Readonly<Record<string, string>>>({});
  const [said, say] = useState<Readonly<Record<string, string>>>({});
  const params = { pres_ex_id: record.pres_ex_id };
  const format = Object.keys(record.by_format?.pres_request ?? {})[0] ?? 'anoncreds';
  const chosen = { ...smallestChoice(asks), ...picked };
  const missing = asks.some(({ referent, stated }) => chosen[referent] === undefined && !stated);
  const [first, ...others] = new Set(
    asks.flatMap(({ referent, having }) =>
      having.flatMap(({ cred_info: { referent: card, cred_def_id: of } }) => (card === chosen[referent] ? [of as string] : [])),
    ),
  );
  const look = useLook(others.length === 0 ? first : undefined);
  const kept = unshown(asks, chosen);
  const share = async (): Promise<void> => {
    if (asks.some(({ referent, stated }) => stated && !said[referent]?.trim())) throw new Error(t('wallet.request.unsaid'));
    const body = { auto_remove: false, [format]: answerOf(asks, chosen, said) };
    await call('post_present_proof_2_0_records_pres_ex_id_send_presentation', { params, body });
    tell(t('credentials.shared'));
    go('history');
  };
  const decline = async (): Promise<void> => {
    await call('post_present_proof_2_0_records_pres_ex_id_problem_report', { params, body: { description: 'declined' } });
    tell(t('wallet.declined'));
    go('home');
  };
  return h(
    'div',
    { class: 'fields' },
    h('p', null, t('wallet.request.what')),
    ...asks.map((ask) =>
      h(One, {
        key: ask.referent,
        ask,
        chosen: chosen[ask.referent],
        said: said[ask.referent] ?? '',
        onPick: (card) => pick({ ...picked, [ask.referent]: card }),
        onSay: (text) => say({ ...said, [ask.referent]: text }),
      }),
    ),
    kept.length > 0
      ? h(
          'p',
          null,
          h('b', null, t('wallet.not-shared')),
          ' ',
          ...kept.flatMap((name, n) => [n > 0 ? comma() : '', h(AttributeName, { of: look, name })]),
        )
      : null,
    h('p', null, t('credentials.kept')),
    missing ? h('p', { class: 'bad' }, '✗ ', t('wallet.request.missing')) : null,
    h(
      'p',
      { class: 'actions' },
      missing ? null : h(Button, { kind: 'main', onClick: share }, t('credentials.share')),
      h(Button, { onClick: decline }, t('credentials.do-not-share')),
    ),
  );
}

interface OneProps {
  readonly ask: Ask;
  readonly chosen: string | undefined;
  readonly said: string;
  readonly onPick: (card: string) => void;
  readonly onSay: (text: string) => void;
}

/** One thing that is asked for, with the cards that have it. */
function One({ ask: { names, bound, having, stated, referent }, chosen, said, onPick, onSay }: OneProps): VNode {
  const picked = having.find((each) => each.cred_info.referent === chosen);
  const look = useLook(picked?.cred_info.cred_def_id);
  const valueIn = (attrs: Readonly<Record<string, string>>): string =>
    names.map((one) => Object.entries(attrs).find(([key]) => key.toLowerCase() === one.toLowerCase())?.[1] ?? '').join(', ');
  return h(
    'fieldset',
    null,
    h(
      'legend',
      null,
      ...names.flatMap((one, n) => [n > 0 ? comma() : '', h(AttributeName, { of: look, name: one, both: true })]),
      bound ? `: ${word('predicate', bound.type)} ${bound.value}` : '',
    ),
    bound ? h('p', null, h('small', null, t('credentials.only-whether'))) : null,
    ...having.map((each) =>
      h(
        'label',
        { class: 'row', key: each.cred_info.referent },
        h('input', {
          type: 'radio',
          name: referent,
          checked: chosen === each.cred_info.referent,
          onChange: () => onPick(each.cred_info.referent),
        }),
        h(
          'span',
          null,
          bound ? null : h('b', null, h(Theirs, { text: valueIn(each.cred_info.attrs) })),
          ' ',
          h('small', null, h(DefinitionName, { id: each.cred_info.cred_def_id })),
        ),
      ),
    ),
    stated ? h(TextField, { label: t('wallet.say'), value: said, onInput: onSay, max: 1000 }) : null,
    having.length === 0 && !stated ? h('p', { class: 'bad' }, '✗ ', t('credentials.not-here')) : null,
  );
}
