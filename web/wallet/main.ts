import { currentSession, onSession, refreshSession, request, type SessionFacts, signOut, take } from '../lib/api.ts';
import { Fragment, h, render, useEffect, useState, type VNode } from '../lib/h.ts';
import { currentLanguage, loadLanguage, preferredLanguage, t } from '../lib/i18n.ts';
import { LanguageChoice } from '../lib/language.ts';
import { startLive } from '../lib/live.ts';
import { to, useFocusedHeading, usePlace } from '../lib/router.ts';
import { Theirs } from '../lib/theirs.ts';
import { reason, Toasts } from '../lib/toast.ts';
import { Button, Chip, Dialog, Heading } from '../lib/ui.ts';
import { Entry } from './entry.ts';
import { takeInvitation } from './invited.ts';
import { PhraseDialog } from './phrase.ts';
import { SCREENS } from './screens.ts';
import { Waiting } from './waiting.ts';

const LOOK_MS = 2000;
/** How often the agent is told that the person is there. */
const TOLD_MS = 30_000;
/** How long before the wallet is locked the page warns, at most. */
const WARNING_MS = 60_000;

let moved = Date.now();
const move = (): void => {
  moved = Date.now();
};
for (const event of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'])
  addEventListener(event, move, { passive: true, capture: true });

/** Tells the agent while the person is there; warns before the wallet is locked, and lets it be. */
function Presence({ session }: { session: SessionFacts }): VNode | null {
  const [left, set] = useState<number>();
  const [facts, setFacts] = useState(session);
  useEffect(() => {
    const { now = 0, idles = 0 } = facts;
    const came = Date.now();
    const span = idles - now;
    const look = async (): Promise<void> => {
      const remaining = came + span - Date.now();
      if (remaining <= 0) await refreshSession();
      else if (moved > came && Date.now() - came > Math.min(TOLD_MS, span / 4) && remaining > Math.min(WARNING_MS, span / 4)) await stay();
      else set(remaining < Math.min(WARNING_MS, span / 4) ? remaining : undefined);
    };
    const timer = setInterval(() => void look().catch(() => {}), Math.min(LOOK_MS, span / 8));
    return () => clearInterval(timer);
  }, [facts]);
  const stay = async (): Promise<void> => {
    set(undefined);
    setFacts(take(await request('/active', {})));
  };
  if (left === undefined) return null;
  return h(
    Dialog,
    { title: t('wallet.locking'), onClose: () => void stay().catch(() => {}) },
    h('p', null, t('wallet.locking.text')),
    h(Button, { kind: 'main', onClick: stay }, t('wallet.stay')),
  );
}

function Shell({ session, onLanguage }: { session: SessionFacts; onLanguage: () => void }): VNode {
  const place = usePlace();
  const current = SCREENS.find(({ path }) => path === place.screen) ?? (place.screen === '' ? SCREENS[0] : undefined);
  useFocusedHeading(`${place.screen}/${place.parts.join('/')}`);
  useEffect(() => {
    document.title = `${current ? t(current.title) : t('not-found')} – ${t('wallet.title')}`;
  });
  const main = (): void => document.querySelector<HTMLElement>('main h1')?.focus();
  return h(
    Fragment,
    null,
    h(
      'header',
      { class: 'top' },
      h('button', { type: 'button', class: 'skip', onClick: main }, t('skip')),
      h('span', { class: 'name' }, h(Theirs, { text: session.label })),
      h(Chip, { mood: session.mode === 'own' ? 'good' : 'open' }, session.mode === 'own' ? t('wallet.mode.own') : t('wallet.mode.kept')),
      h(LanguageChoice, { onChange: onLanguage }),
      h(Button, { onClick: () => signOut(false) }, t('wallet.lock')),
    ),
    h(
      'div',
      { class: 'shell' },
      h(
        'nav',
        { class: 'main', 'aria-label': t('navigation') },
        h(
          'ul',
          null,
          ...SCREENS.map(({ path, title }) =>
            h('li', { key: path }, h('a', { href: to(path), 'aria-current': path === current?.path ? 'page' : undefined }, t(title))),
          ),
        ),
      ),
      h(
        'main',
        { key: current?.path },
        current?.path === 'home' && !place.parts[1] ? null : h(Waiting, { seen: place.parts[1] }),
        current
          ? h(current.view, { ...place, key: place.parts.join('/') })
          : h(Fragment, null, h(Heading, null, t('not-found')), h('p', null, h('a', { href: to('') }, t('not-found.home')))),
      ),
    ),
    h(Presence, { session }),
  );
}

function App(): VNode {
  const [session, set] = useState(currentSession());
  const [, again] = useState(0);
  // an invitation may come to a page that is open
  usePlace();
  const onLanguage = (): void => again((n) => n + 1);
  useEffect(() => onSession(() => set(currentSession())), []);
  useEffect(() => {
    if (!session.signed_in) document.title = t('wallet.title');
  });
  const page = session.signed_in
    ? h(Shell, { session, onLanguage, key: currentLanguage() })
    : h(
        'main',
        { class: 'login', key: currentLanguage() },
        h(Entry, { session }),
        h('p', null, h(LanguageChoice, { onChange: onLanguage })),
      );
  return h(Fragment, null, page, h(PhraseDialog, null), h(Toasts, null));
}

// a page from the browser's memory shows nothing of a wallet that is locked
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && currentSession().signed_in) refreshSession().catch(() => {});
});

/** Lets a browser install the wallet. The only script address that the page's policy lets through is the worker's, of this build. */
async function install(): Promise<void> {
  // none where the page is not secure
  if (!navigator.serviceWorker) return;
  const build = document.body.dataset.base!.split('/').at(-1)!;
  const { trustedTypes } = window as unknown as { trustedTypes?: TrustedTypes };
  const rules = { createScriptURL: (version: string) => `/sw.js?${encodeURIComponent(version)}` };
  const address = (trustedTypes ? trustedTypes.createPolicy('sw', rules) : rules).createScriptURL(build);
  await navigator.serviceWorker.register(address);
}

/** Trusted Types, which the types of the DOM do not have yet. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(text: string): string }): { createScriptURL(text: string): string };
}

const root = document.getElementById('app')!;
try {
  takeInvitation();
  addEventListener('hashchange', takeInvitation);
  await loadLanguage(preferredLanguage());
  await refreshSession();
  startLive();
  render(h(App, null), root);
  install().catch(() => {});
} catch (error) {
  root.textContent = reason(error);
}
