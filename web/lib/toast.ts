import { ApiError, onSession } from './api.ts';
import { h, useEffect, useState, type VNode } from './h.ts';
import { t } from './i18n.ts';

/** Short news at the foot of the page: failures at once, other news to screen readers at most once in five seconds. */

interface Note {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
}

const SPOKEN_MS = 5000;
const GONE_MS = 8000;
let notes: Note[] = [];
let next = 1;
let show: (notes: Note[]) => void = () => {};

function change(to: Note[]): void {
  notes = to;
  show(to);
}

function put(text: string, bad: boolean): void {
  const note = { id: next++, text, bad };
  change([...notes.filter((one) => one.text !== text), note].slice(-4));
  // a failure stays until it is closed: nobody has to read in time
  if (!bad) setTimeout(() => change(notes.filter((one) => one !== note)), GONE_MS);
}

/** A failure is of the page and the person that it came to. */
const forget = (): void => change(notes.filter(({ bad }) => !bad));
addEventListener('hashchange', forget);
onSession(forget);

export const tell = (text: string): void => put(text, false);

/** A failure in words. */
export function reason(error: unknown): string {
  if (!(error instanceof ApiError)) return (error as Error)?.message ?? String(error);
  if (error.status === 0) return t('error.unreachable');
  if (error.status === 504) return t('error.still-working');
  return error.message || t('error.status', { status: error.status });
}

export const complain = (error: unknown): void => put(reason(error), true);

export function Toasts(): VNode {
  const [shown, set] = useState(notes);
  const [spoken, speak] = useState('');
  show = set;
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
    ...shown.filter((one) => !one.bad).map((one) => h('div', { class: 'toast', key: one.id, 'aria-hidden': true }, one.text)),
  );
}
