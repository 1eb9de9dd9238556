import { type Answer, call, currentSession, may } from '../../lib/api.ts';
import { Fragment, h, type VNode } from '../../lib/h.ts';
import { algo, t } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { reason, tell } from '../../lib/toast.ts';
import { Button, Chip, Facts, Heading, Shown } from '../../lib/ui.ts';

const TOPICS = ['connections', 'issue_credential_v2_0', 'present_proof_v2_0', 'decision'];

/** Home: whether the agent is ready, what waits for a person, and the first steps. */
export const home = screen({ path: 'home', title: 'home.title', needs: [], view: () => h(Home, null) });

function Home(): VNode {
  return h(
    Fragment,
    null,
    h(Heading, null, t('home.title')),
    h(
      'div',
      { class: 'cards' },
      h(Health, null),
      may('get_connections') ? h(Waiting, null) : null,
      may('get_ledger_account') ? h(Account, null) : null,
      may('get_dead_letters') ? h(DeadLetters, null) : null,
      may('get_multitenancy_wallets')
        ? h('section', { class: 'card' }, h('h2', null, t('tenants.title')), h('a', { href: to('tenants') }, t('home.tenants')))
        : null,
    ),
    may('get_wallet_did_public', 'get_anoncreds_credential_definitions') ? h(FirstSteps, null) : null,
  );
}

/** Whether a part answers, or why not. */
async function asked(operation: string): Promise<Answer> {
  try {
    return { ok: true, ...(await call(operation)) };
  } catch (error) {
    return { ok: false, status: (error as { status?: number }).status, reason: reason(error) };
  }
}

function Health(): VNode {
  const loaded = useLoad(async () => {
    const [ready, ledger, status] = await Promise.all([
      asked('get_status_ready'),
      asked('get_status_ledger'),
      may('get_status') ? call('get_status') : undefined,
    ]);
    return { ready, ledger, status };
  });
  return h(
    'section',
    { class: 'card' },
    h('h2', null, t('home.health')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ ready, ledger, status }) =>
        h(Facts, {
          of: [
            [t('home.agent'), h(Part, { part: ready })],
            [t('home.ledger'), ledger.status === 404 ? t('home.no-ledger') : h(Part, { part: ledger })],
            [t('home.version'), currentSession().version],
            [t('home.uptime'), status && t('home.hours', { count: Math.round(status.uptime / 360) / 10 })],
          ],
        }),
    }),
    h(Button, { onClick: loaded.reload }, t('action.refresh')),
  );
}

const Part = ({ part }: { part: Answer }): VNode =>
  part.ok
    ? h(Chip, { mood: 'good' }, t('home.ready'))
    : h(Fragment, null, h(Chip, { mood: 'bad' }, t('home.not-ready')), ' ', h('bdi', null, part.reason));

/** The account that pays for ledger writes. */
function Account(): VNode {
  const loaded = useLoad(() => call('get_ledger_account').catch(() => null));
  return h(
    'section',
    { class: 'card' },
    h('h2', null, t('home.account')),
    h(Shown<Answer>, {
      of: loaded,
      children: (found) =>
        found === null
          ? h('p', null, t('home.no-account'))
          : h(Facts, {
              of: [
                [t('home.balance'), t('home.algo', { algo: algo(found.balance) })],
                [t('home.spendable'), t('home.algo', { algo: algo(found.spendable) })],
                [t('home.enough'), t('home.definitions', { count: found.enough_for.credential_definitions })],
                [t('home.network'), h('code', null, found.network)],
                [t('home.address'), h('code', null, found.address)],
              ],
            }),
    }),
  );
}

/** Exchanges in which the next step is this wallet's. */
function Waiting(): VNode {
  const loaded = useLoad(async () => {
    const count = async (operation: string, state: string): Promise<number> =>
      may(operation) ? (await call(operation, { query: { state, limit: 1 } })).total : 0;
    const [requests, invitations, offers, asks, issues, decisions] = await Promise.all([
      call('get_connections', { query: { state: 'request', their_role: 'invitee', limit: 1 } }).then(({ total }) => total as number),
      call('get_connections', { query: { state: 'invitation', their_role: 'inviter', limit: 1 } }).then(({ total }) => total as number),
      count('get_issue_credential_2_0_records', 'offer-received'),
      count('get_present_proof_2_0_records', 'request-received'),
      count('get_issue_credential_2_0_records', 'request-received'),
      count('get_agent_config_decisions', 'asked'),
    ]);
    return [
      ['waiting.requests', requests, to('connections')],
      ['waiting.invitations', invitations, to('connections')],
      ['waiting.offers', offers, to('credentials')],
      ['waiting.asks', asks, to('credentials')],
      ['waiting.issues', issues, to('issue')],
      ['waiting.decisions', decisions, to('decisions')],
    ].filter(([, n]) => Number(n) > 0) as [string, number, string][];
  }, TOPICS);
  return h(
    'section',
    { class: 'card' },
    h('h2', null, t('home.waiting')),
    h(Shown<[string, number, string][]>, {
      of: loaded,
      children: (rows) =>
        rows.length === 0
          ? h('p', null, t('home.nothing'))
          : h('ul', null, ...rows.map(([key, count, href]) => h('li', { key }, h('a', { href }, t(key, { count }))))),
    }),
  );
}

function DeadLetters(): VNode {
  const loaded = useLoad(() => call('get_dead_letters', { query: { limit: 100 } }));
  const replay = async (rows: Answer[]): Promise<void> => {
    const { replayed } = await call('post_dead_letters_replay', { body: { ids: rows.map(({ id }) => id) } });
    tell(t('home.replayed', { count: replayed }));
    loaded.reload();
  };
  return h(
    'section',
    { class: 'card' },
    h('h2', null, t('home.dead-letters')),
    h(Shown<Answer>, {
      of: loaded,
      children: ({ results, total }) =>
        results.length === 0
          ? h('p', null, t('home.no-dead-letters'))
          : h(
              Fragment,
              null,
              h('p', null, t('home.dead-letters.count', { count: total })),
              h('ul', null, ...results.slice(0, 5).map((one: Answer) => h('li', { key: one.id }, h(Theirs, { text: one.error })))),
              may('post_dead_letters_replay') ? h(Button, { onClick: () => replay(results) }, t('home.replay')) : null,
            ),
    }),
  );
}

function FirstSteps(): VNode {
  const loaded = useLoad(async () => {
    const [did, { schema_ids: schemas }, { credential_definition_ids: definitions }, { total }, issued, asked] = await Promise.all([
      call('get_wallet_did_public'),
      call('get_anoncreds_schemas'),
      call('get_anoncreds_credential_definitions'),
      call('get_connections', { query: { limit: 1 } }),
      call('get_issue_credential_2_0_records', { query: { role: 'issuer', limit: 1 } }),
      call('get_present_proof_2_0_records', { query: { role: 'verifier', limit: 1 } }),
    ]);
    return [
      ['steps.did', did.result !== null && did.result !== undefined, to('definitions', ['new'])],
      ['steps.definition', schemas.length > 0 && definitions.length > 0, to('definitions', ['new'])],
      ['steps.connection', total > 0, to('connections', ['invite'])],
      ['steps.issue', issued.total > 0, to('issue', ['new'])],
      ['steps.verify', asked.total > 0, to('verify', ['new'])],
    ] as [string, boolean, string][];
  }, ['connections', 'issue_credential_v2_0', 'present_proof_v2_0']);
  return h(
    'section',
    null,
    h('h2', null, t('steps.title')),
    h(Shown<[string, boolean, string][]>, {
      of: loaded,
      children: (steps) =>
        h(
          'ol',
          null,
          ...steps.map(([key, done, href]) =>
            h('li', { key }, h('a', { href }, t(key)), ' ', done ? h(Chip, { mood: 'good' }, t('steps.done')) : null),
          ),
        ),
    }),
  );
}
