import { type Answer, call, currentSession } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { Attributes, Connection, DefinitionName, definitionOf } from '../../lib/held.ts';
import { t, time } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { requestIn } from '../../lib/proof.ts';
import { type Place, to } from '../../lib/router.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Button, Empty, Heading, Shown } from '../../lib/ui.ts';
import { Card } from './card.ts';
import { Offer } from './offer.ts';
import { Request } from './request.ts';

const TOPICS = ['issue_credential_v2_0', 'present_proof_v2_0', 'credential'];
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
    return h(All, null);
  },
});

const WAITING = ['offer-received', 'credential-received'];

function All(): VNode {
  const [shown, show] = useState(PAGE);
  const loaded = useLoad(
    async () => {
      const [held, exchanges, requests] = await Promise.all([
        call('get_credentials', { query: { limit: shown } }),
        Promise.all(
          WAITING.map((state) =>
            call('get_issue_credential_2_0_records', { query: { role: 'holder', state, descending: true, limit: PAGE } }),
          ),
        ),
        call('get_present_proof_2_0_records', { query: { role: 'prover', state: 'request-received', descending: true, limit: PAGE } }),
      ]);
      return {
        held: held.results,
        total: held.total ?? held.results.length,
        offers: exchanges.flatMap(({ results }) => results),
        requests: requests.results,
      };
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

function Waiting({ offers, requests }: Answer): VNode {
  return h(
    'section',
    null,
    h('h2', null, t('credentials.decide')),
    offers.length + requests.length === 0
      ? h('p', null, t('home.nothing'))
      : h(
          'ul',
          { class: 'waiting' },
          ...offers.map((one: Answer) =>
            h(
              'li',
              { key: one.cred_ex_record.cred_ex_id },
              h(
                'a',
                { href: to('home', ['offer', one.cred_ex_record.cred_ex_id]) },
                t('wallet.offer'),
                ' ',
                h(DefinitionName, { id: definitionOf(one) }),
              ),
              ' ',
              t('wallet.from'),
              ' ',
              h(Connection, { id: one.cred_ex_record.connection_id }),
              ' ',
              h('small', null, time(one.cred_ex_record.created_at)),
            ),
          ),
          ...requests.map((one: Answer) =>
            h(
              'li',
              { key: one.pres_ex_id },
              h(
                'a',
                { href: to('home', ['request', one.pres_ex_id]) },
                t('wallet.request'),
                ' ',
                h(Theirs, { text: requestIn(one)?.name }),
              ),
              ' ',
              t('wallet.from'),
              ' ',
              h(Connection, { id: one.connection_id }),
              ' ',
              h('small', null, time(one.created_at)),
            ),
          ),
        ),
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
            h(
              'article',
              { class: 'card', key: one.referent },
              h(
                'h3',
                null,
                h(
                  'a',
                  { href: to('home', ['card', one.referent]) },
                  one.cred_def_id ? h(DefinitionName, { id: one.cred_def_id }) : h(Theirs, { text: one.format ?? one.referent }),
                ),
              ),
              h(Attributes, {
                of: Object.entries(one.attrs ?? {})
                  .slice(0, 4)
                  .map(([name, value]) => ({ name, value })),
              }),
            ),
          ),
        ),
    total > held.length ? h(Button, { onClick: onMore }, t('list.more')) : null,
  );
}
