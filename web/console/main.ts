import { currentSession, lastUsed, may, onSession, refreshSession, type SessionFacts, signOut } from '../lib/api.ts';
import { Fragment, h, render, useEffect, useState, type VNode } from '../lib/h.ts';
import { currentLanguage, loadLanguage, preferredLanguage, t, word } from '../lib/i18n.ts';
import { LanguageChoice } from '../lib/language.ts';
import { startLive, useLiveState } from '../lib/live.ts';
import { to, useFocusedHeading, usePlace } from '../lib/router.ts';
import { Theirs } from '../lib/theirs.ts';
import { reason, Toasts } from '../lib/toast.ts';
import { Button, Chip, Dialog, Heading } from '../lib/ui.ts';
import { Login } from './login.ts';
import { SCREENS } from './screens.ts';

/** How long before its end a session warns. */
const WARNING_MS = 2 * 60_000;

/** Two minutes before a session ends: to stay, or to leave. */
function EndWarning({ session }: { session: SessionFacts }): VNode | null {
  const [left, set] = useState<number>();
  useEffect(() => {
    const began = Date.now();
    const timer = setInterval(() => {
      const { now = 0, ends = 0, idles = 0 } = session;
      const idle = idles - now + lastUsed();
      const last = ends - now + began;
      set(Math.min(idle, last) - Date.now());
    }, 5000);
    return () => clearInterval(timer);
  }, [session]);
  useEffect(() => {
    if (left !== undefined && left <= 0) refreshSession().catch(() => {});
  }, [left !== undefined && left <= 0]);
  if (left === undefined || left > WARNING_MS) return null;
  const stay = (): Promise<unknown> => refreshSession().then(() => set(undefined));
  return h(
    Dialog,
    { title: t('session.ending'), onClose: () => void stay() },
    h('p', null, t('session.ending.text')),
    h(Button, { kind: 'main', onClick: stay }, t('session.stay')),
  );
}

const LIVE_MOODS = { on: 'good', waiting: 'open', off: 'quiet' } as const;

function Shell({ session, onLanguage }: { session: SessionFacts; onLanguage: () => void }): VNode {
  const place = usePlace();
  const live = useLiveState();
  const shown = SCREENS.filter(({ needs }) => may(...needs));
  const current = shown.find(({ path }) => path === place.screen) ?? (place.screen === '' ? shown[0] : undefined);
  useFocusedHeading(`${place.screen}/${place.parts.join('/')}`);
  useEffect(() => {
    document.title = `${current ? t(current.title) : t('not-found')} – ${session.label ?? 'FlexID'}`;
  });
  useEffect(() => {
    // where the navigation is one row, the present place is in sight
    const row = document.querySelector('nav.main ul');
    if (row && row.scrollWidth > row.clientWidth)
      row.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [current?.path]);
  const main = (): void => document.querySelector<HTMLElement>('main h1')?.focus();
  return h(
    Fragment,
    null,
    h(
      'header',
      { class: 'top' },
      h('button', { type: 'button', class: 'skip', onClick: main }, t('skip')),
      h('span', { class: 'name' }, h(Theirs, { text: session.label })),
      h(Chip, { mood: LIVE_MOODS[live] }, word('live', live)),
      h('span', null, word('role', session.role ?? '')),
      h(LanguageChoice, { onChange: onLanguage }),
      h(Button, { onClick: () => signOut(false) }, t('action.sign-out')),
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
          ...shown.map(({ path, title }) =>
            h('li', { key: path }, h('a', { href: to(path), 'aria-current': path === current?.path ? 'page' : undefined }, t(title))),
          ),
        ),
      ),
      h(
        'main',
        { key: current?.path },
        current
          ? h(current.view, { ...place, key: place.parts.join('/') })
          : h(Fragment, null, h(Heading, null, t('not-found')), h('p', null, h('a', { href: to('') }, t('not-found.home')))),
      ),
    ),
    h(EndWarning, { session }),
  );
}

function App(): VNode {
  const [session, set] = useState(currentSession());
  const [, again] = useState(0);
  const onLanguage = (): void => again((n) => n + 1);
  useEffect(() => onSession(() => set(currentSession())), []);
  const page = session.signed_in
    ? h(Shell, { session, onLanguage, key: currentLanguage() })
    : h(
        'main',
        { class: 'login', key: currentLanguage() },
        h(Login, { session }),
        h('p', null, h(LanguageChoice, { onChange: onLanguage })),
      );
  return h(Fragment, null, page, h(Toasts, null));
}

// a page from the browser's memory shows nothing of a session that has ended
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
// a phone or laptop that slept
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && currentSession().signed_in) refreshSession().catch(() => {});
});

const root = document.getElementById('app')!;
try {
  await loadLanguage(preferredLanguage());
  await refreshSession();
  startLive();
  render(h(App, null), root);
} catch (error) {
  root.textContent = reason(error);
}
