import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, word } from '../../lib/i18n.ts';
import { List } from '../../lib/list.ts';
import { useLoad } from '../../lib/live.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { complain } from '../../lib/toast.ts';
import { Button, Empty, Facts, Form, Heading, SelectField, Shown, State } from '../../lib/ui.ts';
import { activeConnections, Connection } from './issue.ts';

const TOPICS = ['mediation', 'keylist'];

/** Mediation: mediators of this wallet, and the clients that it mediates for. */
export const mediation = screen({
  path: 'mediation',
  title: 'mediation.title',
  needs: ['get_mediation_requests'],
  view: () => h(Mediation, null),
});

function Mediation(): VNode {
  const [turn, again] = useState(0);
  const act = (operation: string, id: string, body?: object) => async (): Promise<void> => {
    await call(operation, { params: { mediation_id: id }, ...(body ? { body } : {}) });
    again(turn + 1);
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('mediation.title')),
    h(Default, { turn }),
    may('post_mediation_request_conn_id') ? h(Ask, { onDone: () => again(turn + 1) }) : null,
    h('h2', null, t('mediation.all')),
    h(List, {
      key: turn,
      caption: t('mediation.all'),
      operation: 'get_mediation_requests',
      topics: TOPICS,
      id: (row) => row.mediation_id,
      empty: h(Empty, { text: t('mediation.none') }),
      columns: [
        { title: t('mediation.role'), cell: ({ role }) => word('mediation-role', role) },
        { title: t('connections.with'), cell: (row) => h(Connection, { id: row.connection_id }) },
        { title: t('column.state'), cell: ({ state }) => h(State, { state }) },
        { title: t('mediation.endpoint'), cell: ({ endpoint }) => (endpoint ? h('code', null, h(Theirs, { text: endpoint })) : '') },
        {
          title: t('column.do'),
          cell: ({ mediation_id: id, role, state }) =>
            h(
              'div',
              { class: 'actions' },
              role === 'server' && state === 'request' && may('post_mediation_requests_mediation_id_grant')
                ? h(Button, { kind: 'main', onClick: act('post_mediation_requests_mediation_id_grant', id) }, t('mediation.grant'))
                : null,
              role === 'server' && state === 'request' && may('post_mediation_requests_mediation_id_deny')
                ? h(Button, { onClick: act('post_mediation_requests_mediation_id_deny', id, {}) }, t('mediation.deny'))
                : null,
              role === 'client' && state === 'granted' && may('put_mediation_mediation_id_default_mediator')
                ? h(Button, { onClick: act('put_mediation_mediation_id_default_mediator', id) }, t('mediation.use'))
                : null,
            ),
        },
      ],
    }),
  );
}

function Default({ turn }: { turn: number }): VNode {
  const loaded = useLoad(() => call('get_mediation_default_mediator'), TOPICS, [turn]);
  const clear = async (): Promise<void> => {
    await call('delete_mediation_default_mediator');
    loaded.reload();
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (found) =>
      found?.mediation_id
        ? h(
            Fragment,
            null,
            h(Facts, { of: [[t('mediation.default'), h(Connection, { id: found.connection_id })]] }),
            may('delete_mediation_default_mediator') ? h(Button, { onClick: clear }, t('mediation.clear')) : null,
          )
        : h('p', null, t('mediation.no-default')),
  });
}

function Ask({ onDone }: { onDone: () => void }): VNode {
  const [chosen, choose] = useState('');
  const loaded = useLoad(activeConnections, ['connections']);
  const submit = async (): Promise<string> => {
    const id = chosen || loaded.data?.[0]?.[0];
    if (!id) throw new Error(t('connections.none'));
    await call('post_mediation_request_conn_id', { params: { conn_id: id }, body: {} }).catch(complain);
    onDone();
    return t('mediation.asked');
  };
  return h(
    Fragment,
    null,
    h('h2', null, t('mediation.ask')),
    h(Shown<[string, string][]>, {
      of: loaded,
      children: (options) =>
        options.length === 0
          ? h('p', null, t('connections.none'))
          : h(
              Form,
              { onSubmit: submit, action: t('mediation.ask') },
              h(SelectField, { label: t('mediation.ask.whom'), value: chosen || options[0]![0], options, onChange: choose }),
            ),
    }),
  );
}
