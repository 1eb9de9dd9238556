import { type Answer, call, currentSession } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { CardFace, DefinitionName } from '../../lib/look.ts';
import { type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Empty, Heading, Shown } from '../../lib/ui.ts';
import { countOf, readWaiting, WAITING_TOPICS, WaitingList, type Waits } from '../waiting.ts';
import { Card } from './card.ts';
import { Offer } from './offer.ts';
import { Question } from './question.ts';
import { Request } from './request.ts';

const TOPICS = [...WAITING_TOPICS, 'credential'];
const PAGE = 50;

/** The first screen: what waits for a decision, and the cards. */
export const home = screen({
  path: 'home',
  title: 'wallet.home',
  needs: ['get_credentials'],
  view: ({ parts: [what, id] }: Place) => {
    if (what === 'card' && id) return h(Card, { id });
    if (what === 'offer' && id) return h(Offer, { id });
    if (what === 'request' && id) return h(Request, { id });
    if (what === 'question' && id) return h(Question, { id });
    return h(All, null);
  },
});

function All(): VNode {
  const [shown, show] = useState(PAGE);
  const loaded = useLoad(
    async () => {
      const [held, waiting] = await Promise.all([call('get_credentials', { query: { limit: shown } }), readWaiting()]);
      return { ...waiting, held: held.results, total: held.total ?? held.results.length };
    },
    TOPICS,
    [shown],
  );
  return h(
    Fragment,
    null,
    h(Heading, null, t('wallet.home')),
    currentSession().has_words === false
      ? h('p', { class: 'card' }, t('wallet.words.missing'), ' ', h('a', { href: to('settings', ['words']) }, t('wallet.words.write')))
      : null,
    h(Shown<Answer>, { of: loaded, children: (data) => [h(Waiting, data), h(Cards, { ...data, onMore: () => show(shown + PAGE) })] }),
  );
}

function Waiting(waits: Waits): VNode {
  return h(
    'section',
    null,
    h('h2', null, t('credentials.decide')),
    countOf(waits) === 0 ? h('p', null, t('home.nothing')) : h(WaitingList, waits),
  );
}

function Cards({ held, total, onMore }: Answer): VNode {
  return h(
    'section',
    null,
    h('h2', null, t('wallet.cards')),
    held.length === 0
      ? h(Empty, { text: t('wallet.cards.none') }, h('a', { class: 'button main', href: to('receive') }, t('wallet.receive')))
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
                  { href: to('home', ['card', one.referent]) },
                  one.cred_def_id ? h(DefinitionName, { id: one.cred_def_id }) : h(Theirs, { text: one.format ?? one.referent }),
                ),
              ),
              attributes: Object.entries(one.attrs ?? {}).map(([name, value]) => ({ name, value })),
              most: 4,
            }),
          ),
        ),
    total > held.length ? h(Button, { onClick: onMore }, t('list.more')) : null,
  );
}
