import { ApiError, onSession } from './api.ts';
import { Fragment, h, useEffect, useState, type VNode } from './h.ts';
import { t } from './i18n.ts';

/**
 * Short news. Failures stand at the foot of the page until they are closed; other news are part of the page, so that they cover nothing: beside the button that they
 * are of (`Button` of `ui.ts`), or under the heading. Screen readers get them at most once in five seconds.
 */

interface Note {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
  /** When it came (ms). */
  readonly at: number;
  /** Where it is shown beside a button, for screen readers alone. */
  readonly aside: boolean;
}

const SPOKEN_MS = 5000;
/** News for screen readers alone go, so that the same can be said again. */
const GONE_MS = 8000;
/** News of an action that leads elsewhere come just before the move, and are of the page that it leads to. */
const JUST_MS = 1000;
let notes: Note[] = [];
let next = 1;
const shows = new Set<() => void>();

function change(to: Note[]): void {
  notes = to;
  for (const show of shows) show();
}

function put(text: string, { bad = false, aside = false } = {}): void {
  const note = { id: next++, text, bad, aside, at: Date.now() };
  change([...notes.filter((one) => one.text !== text), note].slice(-4));
  if (aside) setTimeout(() => change(notes.filter((one) => one !== note)), GONE_MS);
}

/** A failure is of the page and the person that it came to; so are news, but for those that led here. */
const forget = (): void => change(notes.filter(({ bad, at }) => !bad && Date.now() - at < JUST_MS));
addEventListener('hashchange', forget);
onSession(forget);

/** News of an action that leads to another page, or that has no button any more: under the heading, until the page is left. */
export const tell = (text: string): void => put(text);

/** News that stand beside a button, for screen readers. */
export const announce = (text: string): void => put(text, { aside: true });

/** A failure in words. */
export function reason(error: unknown): string {
  if (!(error instanceof ApiError)) return (error as Error)?.message ?? String(error);
  if (error.status === 0) return t('error.unreachable');
  if (error.status === 504) return t('error.still-working');
  return error.message || t('error.status', { status: error.status });
}

export const complain = (error: unknown): void => put(reason(error), { bad: true });

function useNotes(): Note[] {
  const [, again] = useState(0);
  useEffect(() => {
    const show = (): void => again((n) => n + 1);
    shows.add(show);
    // what came before this part was there
    show();
    return () => void shows.delete(show);
  }, []);
  return notes;
}

/** The news of a page, under its heading. */
export const News = (): VNode =>
  h(
    Fragment,
    null,
    ...useNotes()
      .filter(({ bad, aside }) => !bad && !aside)
      .map(({ id, text }) => h('p', { class: 'good', key: id }, '✓ ', text)),
  );

export function Toasts(): VNode {
  const shown = useNotes();
  const [spoken, speak] = useState('');
  const latest = shown.findLast((one) => !one.bad)?.text ?? '';
  useEffect(() => {
    const timer = setTimeout(() => speak(latest), spoken === '' ? 0 : SPOKEN_MS);
    return () => clearTimeout(timer);
  }, [latest]);
  const bad = shown.filter((one) => one.bad);
  return h(
    'div',
    { class: 'toasts' },
    h('p', { role: 'status', class: 'visually-hidden' }, spoken),
    h(
      'div',
      { role: 'alert' },
      ...bad.map((one) =>
        h(
          'div',
          { class: 'toast bad', key: one.id },
          h('span', { 'aria-hidden': true }, '✗ '),
          h('bdi', null, one.text),
          h(
            'button',
            {
              type: 'button',
              class: 'plain',
              'aria-label': t('action.close'),
              onClick: () => change(notes.filter((other) => other !== one)),
            },
            '×',
          ),
        ),
      ),
    ),
  );
}
