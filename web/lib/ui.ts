import { type ComponentChildren, Fragment, h, useEffect, useId, useRef, useState, type VNode } from './h.ts';
import { t, word } from './i18n.ts';
import type { Loaded } from './live.ts';
import { announce, complain, News, reason } from './toast.ts';

/** The parts that screens are made of. */

interface ButtonProps {
  /** While it runs, the button is busy and does nothing. Its failure is shown; a text that it returns is news, which stand beside the button. */
  readonly onClick?: () => unknown;
  /** `plain` has no border. */
  readonly kind?: 'main' | 'danger' | 'ordinary' | 'plain';
  readonly type?: 'button' | 'submit';
  readonly busy?: boolean;
  readonly label?: string;
  readonly children?: ComponentChildren;
}

export function Button({ onClick, kind, type = 'button', busy = false, label, children }: ButtonProps): VNode {
  const [running, run] = useState(false);
  const [said, say] = useState('');
  const isBusy = busy || running;
  const clicked = async (): Promise<void> => {
    if (isBusy || !onClick) return;
    run(true);
    say('');
    try {
      say(newsOf(await onClick()));
    } catch (error) {
      complain(error);
    } finally {
      run(false);
    }
  };
  return h(
    Fragment,
    null,
    h(
      'button',
      { type, class: kind ?? '', 'aria-busy': isBusy, 'aria-disabled': isBusy, 'aria-label': label, onClick: onClick && clicked },
      children,
      isBusy ? h('span', { class: 'spinner', 'aria-hidden': true }) : null,
    ),
    h(Said, { text: said }),
  );
}

/** What a button's function returned, where that is a text. */
function newsOf(returned: unknown): string {
  if (typeof returned !== 'string') return '';
  announce(returned);
  return returned;
}

/** News beside a button: part of the page, so that they cover nothing. */
const Said = ({ text }: { text: string }): VNode | null => (text === '' ? null : h('span', { class: 'good said' }, '✓ ', text));

interface FormProps {
  /** A text that it returns is news, which stand beside the button. */
  readonly onSubmit: () => unknown;
  readonly action: string;
  readonly kind?: 'main' | 'danger' | 'ordinary';
  readonly children?: ComponentChildren;
}

/** A form whose button is busy while it is sent. A failure stands above the button, news beside it. */
export function Form({ onSubmit, action, kind = 'main', children }: FormProps): VNode {
  const [running, run] = useState(false);
  const [failed, fail] = useState<unknown>();
  const [said, say] = useState('');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (running) return;
    run(true);
    fail(undefined);
    say('');
    try {
      say(newsOf(await onSubmit()));
    } catch (error) {
      fail(error);
    } finally {
      run(false);
    }
  };
  return h(
    'form',
    // news of what was sent are none of what is written since
    { onSubmit: submit, onInput: () => say('') },
    children,
    failed === undefined ? null : h('p', { class: 'bad', role: 'alert' }, '✗ ', h('bdi', null, reason(failed))),
    h('div', { class: 'actions' }, h(Button, { type: 'submit', kind, busy: running }, action), h(Said, { text: said })),
  );
}

interface FieldProps {
  readonly label: string;
  readonly hint?: string;
  readonly error?: string;
  readonly control: (ids: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => VNode;
}

/** A control with its label, hint and error. */
export function Field({ label, hint, error, control }: FieldProps): VNode {
  const id = useId();
  const described = [hint && `${id}h`, error && `${id}e`].filter(Boolean).join(' ');
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    hint ? h('small', { id: `${id}h` }, hint) : null,
    control({ id, 'aria-describedby': described || undefined, 'aria-invalid': error ? true : undefined }),
    error ? h('span', { id: `${id}e`, class: 'bad' }, '✗ ', error) : null,
  );
}

interface TextProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly hint?: string;
  readonly error?: string;
  readonly type?: 'text' | 'password' | 'number' | 'date' | 'search' | 'url';
  readonly required?: boolean;
  readonly rows?: number;
  readonly max?: number;
  readonly autocomplete?: string;
}

export function TextField({ label, value, onInput, hint, error, type = 'text', required, rows, max, autocomplete }: TextProps): VNode {
  const input = (event: { currentTarget: { value: string } }): void => onInput(event.currentTarget.value);
  return h(Field, {
    label,
    hint,
    error,
    control: (ids) =>
      rows === undefined
        ? h('input', {
            ...ids,
            type,
            value,
            required,
            maxLength: max,
            dir: 'auto',
            autocomplete: (autocomplete ?? 'off') as 'off',
            onInput: input,
          })
        : h('textarea', { ...ids, rows, value, required, maxLength: max, dir: 'auto', spellcheck: false, onInput: input }),
  });
}

interface SelectProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly onChange: (value: string) => void;
  readonly hint?: string;
}

export function SelectField({ label, value, options, onChange, hint }: SelectProps): VNode {
  return h(Field, {
    label,
    hint,
    control: (ids) =>
      h(
        'select',
        { ...ids, value, onChange: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value) },
        ...options.map(([one, text]) => h('option', { value: one, selected: one === value }, text)),
      ),
  });
}

export function Check({
  label,
  checked,
  onChange,
  hint,
}: {
  label: ComponentChildren;
  checked: boolean;
  onChange: (on: boolean) => void;
  hint?: string;
}): VNode {
  const id = useId();
  return h(
    'div',
    { class: 'check' },
    h('input', {
      id,
      type: 'checkbox',
      checked,
      'aria-describedby': hint ? `${id}h` : undefined,
      onChange: (event: { currentTarget: { checked: boolean } }) => onChange(event.currentTarget.checked),
    }),
    h('label', { for: id }, label),
    hint ? h('small', { id: `${id}h` }, hint) : null,
  );
}

const SIGNS = { good: '✓', bad: '✗', open: '●', quiet: '○' } as const;
export type Mood = keyof typeof SIGNS;

/** A state in words, sign and colour. */
export function Chip({ mood, children }: { mood: Mood; children?: ComponentChildren }): VNode {
  return h('span', { class: `chip ${mood}` }, h('span', { 'aria-hidden': true }, SIGNS[mood], ' '), h('span', null, children));
}

const GOOD =
  /^(?:active|completed|done|ready|finished|posted|granted|credential-issued|credential-acked|verified|closed|approved|checked-in)$/;
const BAD = /abandoned|error|denied|refused|declined|failed|erasing|full|revoked|cancelled$/;

/** The state of a record. Older protocols write theirs with underscores. */
export function State({ state }: { state: string | undefined }): VNode {
  if (state === undefined) return h(Chip, { mood: 'quiet' }, t('state.working'));
  const name = state.replaceAll('_', '-');
  return h(Chip, { mood: GOOD.test(name) ? 'good' : BAD.test(name) ? 'bad' : 'open' }, word('state', name));
}

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly id: (row: Row) => string;
}

/** Rows; on a narrow page each is a card. The region scrolls by itself, and by keyboard. */
export function Table<Row>({ caption, rows, columns, id }: TableProps<Row>): VNode {
  return h(
    'div',
    { class: 'table', role: 'region', 'aria-label': caption, tabIndex: 0 },
    h(
      'table',
      null,
      h('caption', { class: 'visually-hidden' }, caption),
      h('thead', null, h('tr', null, ...columns.map(({ title }) => h('th', { scope: 'col' }, title)))),
      h(
        'tbody',
        null,
        ...rows.map((row) =>
          h('tr', { key: id(row) }, ...columns.map(({ title, cell }) => h('td', { 'data-label': title }, h('div', null, cell(row))))),
        ),
      ),
    ),
  );
}

/** What was read, or why not. The last good answer stays while a later one fails. */
export function Shown<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }): VNode {
  const { data, error, reload } = of;
  return h(
    Fragment,
    null,
    error
      ? h('p', { class: 'bad', role: 'alert' }, '✗ ', h('bdi', null, reason(error)), ' ', h(Button, { onClick: reload }, t('action.again')))
      : null,
    data === undefined ? (error ? null : h('p', { class: 'loading', 'aria-busy': true }, t('loading'))) : children(data),
  );
}

/** A place where nothing is yet, with the next step. */
export const Empty = ({ text, children }: { text: string; children?: ComponentChildren }): VNode =>
  h('div', { class: 'empty' }, h('p', null, text), children);

/** A text to be copied: an id, a link, JSON. It is no link itself. */
export function CopyBox({ label, text, lines = false }: { label: string; text: string; lines?: boolean }): VNode {
  const id = useId();
  const [said, say] = useState('');
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    say(newsOf(t('copied', { what: label })));
  };
  const given = {
    id,
    readOnly: true,
    value: text,
    dir: 'ltr' as const,
    onFocus: (event: { currentTarget: { select(): void } }) => event.currentTarget.select(),
  };
  return h(
    'div',
    // another box may be copied next
    { class: 'copy', onFocusOut: () => say('') },
    h('label', { for: id }, label),
    h(
      'div',
      { class: 'row' },
      lines ? h('textarea', { ...given, rows: 8 }) : h('input', given),
      h(Button, { onClick: copy, label: t('action.copy-what', { what: label }) }, t('action.copy')),
    ),
    h(Said, { text: said }),
  );
}

/** The record as the API has it, folded, for whoever helps. */
export const ForSupport = ({ record }: { record: unknown }): VNode =>
  h(
    'details',
    null,
    h('summary', null, t('support')),
    h(CopyBox, { label: t('support.json'), text: JSON.stringify(record, null, 2), lines: true }),
  );

/** A name of the API in words, with the name itself beside it, small. Without a word for it the name stands alone. */
export const Named = ({ name, text }: { name: string; text: string }): VNode =>
  text === name ? h('code', null, name) : h(Fragment, null, text, ' ', h('small', null, h('code', null, name)));

/** Names and values of a record. */
export const Facts = ({ of }: { of: readonly (readonly [name: ComponentChildren, value: ComponentChildren])[] }): VNode =>
  h(
    'dl',
    { class: 'facts' },
    ...of
      .filter(([, value]) => value !== undefined && value !== null && value !== '')
      .map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))),
  );

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}

/** A question over the page. `Escape` closes it, and the focus goes back to where it was. */
export function Dialog({ title, onClose, children }: DialogProps): VNode {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const dialog = box.current;
    dialog?.showModal();
    return () => {
      // while it is open nothing behind it takes the focus
      dialog?.close();
      before?.focus();
    };
  }, []);
  return h(
    'dialog',
    { ref: box, 'aria-labelledby': id, onClose },
    h('h2', { id }, title),
    children,
    h('div', { class: 'actions' }, h(Button, { onClick: () => box.current?.close() }, t('action.cancel'))),
  );
}

interface ConfirmProps {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  readonly onDo: () => unknown;
  readonly onClose: () => void;
  /** A name that has to be typed first, for what cannot be undone. */
  readonly typed?: string;
  readonly children?: ComponentChildren;
}

export function Confirm({ title, text, action, onDo, onClose, typed, children }: ConfirmProps): VNode {
  const [given, give] = useState('');
  const submit = async (): Promise<void> => {
    if (typed !== undefined && given.trim() !== typed) throw new Error(t('confirm.type', { name: typed }));
    await onDo();
    onClose();
  };
  return h(
    Dialog,
    { title, onClose },
    h('p', null, text),
    children,
    h(
      Form,
      { onSubmit: submit, action, kind: 'danger' },
      typed === undefined ? null : h(TextField, { label: t('confirm.type', { name: typed }), value: given, onInput: give }),
    ),
  );
}

interface TabsProps {
  readonly label: string;
  readonly tabs: readonly (readonly [id: string, title: string])[];
  readonly value: string;
  readonly onChange: (id: string) => void;
  readonly children?: ComponentChildren;
}

/** Tabs by the pattern of ARIA: arrows move among them, `Tab` leaves. */
export function Tabs({ label, tabs, value, onChange, children }: TabsProps): VNode {
  const id = useId();
  const bar = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const forward = document.documentElement.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const step = event.key === forward ? 1 : /^Arrow(?:Left|Right)$/.test(event.key) ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = (tabs.findIndex(([one]) => one === value) + step + tabs.length) % tabs.length;
    onChange(tabs[at]![0]);
    (bar.current?.children[at] as HTMLElement | undefined)?.focus();
  };
  return h(
    'div',
    { class: 'tabs' },
    h(
      'div',
      { role: 'tablist', 'aria-label': label, ref: bar, onKeyDown: move },
      ...tabs.map(([one, title]) =>
        h(
          'button',
          {
            type: 'button',
            role: 'tab',
            id: `${id}${one}`,
            'aria-selected': one === value,
            'aria-controls': `${id}panel`,
            tabIndex: one === value ? 0 : -1,
            onClick: () => onChange(one),
          },
          title,
        ),
      ),
    ),
    h('div', { role: 'tabpanel', id: `${id}panel`, 'aria-labelledby': `${id}${value}`, tabIndex: 0 }, children),
  );
}

/** A page's heading, which takes the focus after a move, and the news of what led here. */
export const Heading = ({ children }: { children?: ComponentChildren }): VNode =>
  h(Fragment, null, h('h1', { tabIndex: -1 }, children), h(News, null));
