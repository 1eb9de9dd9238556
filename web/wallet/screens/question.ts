import { type Answer, call } from '../../lib/api.ts';
import { Fragment, h, type VNode } from '../../lib/h.ts';
import { Connection } from '../../lib/held.ts';
import { t, time, word } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { requestIn } from '../../lib/proof.ts';
import { to } from '../../lib/router.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Facts, ForSupport, Heading, Shown, State } from '../../lib/ui.ts';

/** What of the other agent's record names the matter: a peer, a purpose, a request. */
const NAMES = [
  ['their_label', 'wallet.question.their-label'],
  ['alias', 'wallet.question.alias'],
  ['goal', 'wallet.question.goal'],
  ['comment', 'wallet.question.comment'],
] as const;
const ANSWERS: Readonly<Record<string, string>> = { continue: 'wallet.question.continue', reject: 'wallet.question.reject' };

/** A decision of an institution's agent, which asks the person who has this wallet. */
export function Question({ id }: { id: string }): VNode {
  const params = { question_id: id };
  const loaded = useLoad(() => call('get_agent_config_questions_question_id', { params }), ['question'], [id]);
  const answer = (action: 'continue' | 'reject') => async (): Promise<void> => {
    await call('post_agent_config_questions_question_id_answer', { params, body: { action } });
    await loaded.reload();
  };
  return h(Shown<Answer>, {
    of: loaded,
    children: (found) => {
      const { state, point, record: about = {}, deadline, approvals, action, outcome, connection_id: connection } = found;
      const wish = requestIn(about)?.name;
      return h(
        Fragment,
        null,
        h(Heading, null, t('wallet.question'), ' ', word('point', point)),
        h('p', null, t('wallet.from'), ' ', h(Connection, { id: connection }), ' ', h(State, { state })),
        h('p', null, t('wallet.question.text')),
        h(Facts, {
          of: [
            ...NAMES.filter(([name]) => typeof about[name] === 'string').map(
              ([name, key]) => [t(key), h(Theirs, { text: about[name] })] as const,
            ),
            [t('wallet.what-for'), wish && h(Theirs, { text: wish })],
            [t('wallet.question.until'), deadline && time(deadline)],
            [t('wallet.question.approvals'), approvals > 1 ? String(approvals) : undefined],
            [t('wallet.question.answer'), action && t(ANSWERS[action] ?? action)],
            [t('wallet.question.outcome'), outcome && h(Theirs, { text: word('state', outcome) })],
          ],
        }),
        state === 'asked'
          ? h(
              'p',
              { class: 'actions' },
              h(Button, { kind: 'main', onClick: answer('continue') }, t('wallet.question.continue')),
              h(Button, { onClick: answer('reject') }, t('wallet.question.reject')),
            )
          : null,
        h('p', null, h('a', { href: to('home') }, t('wallet.home'))),
        h(ForSupport, { record: found }),
      );
    },
  });
}
