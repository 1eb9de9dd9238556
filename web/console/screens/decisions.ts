import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Check, Confirm, Empty, Facts, Form, ForSupport, Heading, SelectField, Shown, State, TextField } from '../../lib/ui.ts';
import { Connection } from './issue.ts';

const POINTS = [
  'connection-invitation',
  'connection-request',
  'credential-proposal',
  'credential-offer',
  'credential-request',
  'credential',
  'presentation-proposal',
  'presentation-request',
  'presentation',
] as const;

/** Decisions that wait, and the policies and defaults that decide without a person. */
export const decisions = screen({
  path: 'decisions',
  title: 'decisions.title',
  needs: ['get_agent_config_decisions'],
  view: ({ parts: [what, id] }: Place) => (what === 'one' && id ? h(One, { id }) : h(All, null)),
});

function All(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('decisions.title')),
    h(List, {
      caption: t('decisions.title'),
      operation: 'get_agent_config_decisions',
      topics: ['decision'],
      id: (row) => row.decision_id,
      empty: h(Empty, { text: t('decisions.none') }),
      columns: [
        {
          title: t('decisions.point'),
          cell: (row) => h('a', { href: to('decisions', ['one', row.decision_id]) }, word('point', row.point)),
        },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('connections.with'), cell: (row) => h(Connection, { id: row.connection_id }) },
        { title: t('decisions.deadline'), cell: (row) => h('time', { dateTime: row.deadline }, time(row.deadline)) },
      ],
    }),
    may('get_agent_config_policies') ? h(Policies, null) : null,
  );
}

function One({ id }: { id: string }): VNode {
  const params = { decision_id: id };
  const loaded = useLoad(() => call('get_agent_config_decisions_decision_id', { params }), ['decision'], [id]);
  const decide = (action: string) => async (): Promise<void> => {
    await call('post_agent_config_decisions_decision_id', { params, body: { action } });
    loaded.reload();
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (record) => {
      const open = record.state === 'asked' || record.state === 'held';
      return h(
        Fragment,
        null,
        h(Heading, null, word('point', record.point)),
        h('p', null, h(State, { state: record.state })),
        h(Facts, {
          of: [
            [t('connections.with'), h(Connection, { id: record.connection_id })],
            [t('decisions.deadline'), h('time', { dateTime: record.deadline }, time(record.deadline))],
            [t('decisions.then'), word('on-timeout', record.on_timeout ?? '')],
            [
              t('decisions.by'),
              record.decided?.map((one: Answer) => `${one.by}: ${one.action}`).join(', ') &&
                h(Theirs, { text: record.decided.map((one: Answer) => `${one.by}: ${one.action}`).join(', ') }),
            ],
          ],
        }),
        open && may('post_agent_config_decisions_decision_id')
          ? h(
              'p',
              { class: 'actions' },
              h(Button, { kind: 'main', onClick: decide('continue') }, t('decisions.continue')),
              h(Button, { kind: 'danger', onClick: decide('reject') }, t('decisions.reject')),
            )
          : null,
        h('p', null, h('a', { href: to('decisions') }, t('decisions.title'))),
        h(ForSupport, { record }),
      );
    },
  });
}

function Policies(): VNode {
  const loaded = useLoad(() => call('get_agent_config_policies'));
  const [name, setName] = useState('');
  const [action, setAction] = useState('hold');
  const [types, setTypes] = useState<readonly string[]>([]);
  const [removing, remove] = useState('');
  const submit = async (): Promise<string> => {
    if (types.length === 0) throw new Error(t('policies.no-points'));
    // a policy's name has no blanks
    const named = name.trim().replace(/\s+/g, '-');
    await call('put_agent_config_policies_name', { params: { name: named }, body: { value: { action }, scope: { types } } });
    setName('');
    loaded.reload();
    return t('settings.saved');
  };
  return h(
    Fragment,
    null,
    h('h2', null, t('policies.title')),
    h(Shown<Answer>, {
      of: loaded,
      children: (answer) => {
        const rows: Answer[] = answer.results ?? answer.policies ?? [];
        return rows.length === 0
          ? h('p', null, t('policies.none'))
          : h(
              'ul',
              null,
              ...rows.map((one) =>
                h(
                  'li',
                  { key: one.name },
                  h('b', null, h(Theirs, { text: one.name })),
                  ' ',
                  word('policy', one.value?.action ?? ''),
                  ' ',
                  h(Theirs, { text: one.scope?.types?.join(', ') }),
                  ' ',
                  may('put_agent_config_policies_name')
                    ? h(
                        Button,
                        { onClick: () => remove(one.name), label: t('policies.remove-what', { what: one.name }) },
                        t('verify.remove'),
                      )
                    : null,
                ),
              ),
            );
      },
    }),
    may('put_agent_config_policies_name')
      ? h(
          Form,
          { onSubmit: submit, action: t('policies.set') },
          h(TextField, { label: t('policies.name'), value: name, onInput: setName, required: true, max: 100 }),
          h(SelectField, {
            label: t('policies.action'),
            value: action,
            options: (['hold', 'accept', 'reject'] as const).map((one) => [one, t(`policy.${one}`)] as const),
            onChange: setAction,
          }),
          h(
            'fieldset',
            null,
            h('legend', null, t('policies.points')),
            ...POINTS.map((one) =>
              h(Check, {
                key: one,
                label: word('point', one),
                checked: types.includes(one),
                onChange: (on) => setTypes(on ? [...types, one] : types.filter((each) => each !== one)),
              }),
            ),
          ),
        )
      : null,
    removing
      ? h(Confirm, {
          title: t('policies.remove-what', { what: removing }),
          text: t('policies.remove.text'),
          action: t('verify.remove'),
          onDo: () => call('put_agent_config_policies_name', { params: { name: removing }, body: { value: null } }).then(loaded.reload),
          onClose: () => remove(''),
        })
      : null,
  );
}
