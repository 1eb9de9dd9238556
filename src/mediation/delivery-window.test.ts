import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGAIN_MS, DeliveryWindow, type InFlight, WINDOW, WINDOW_BYTES } from './delivery-window.ts';

const sent = (more: Partial<InFlight> = {}): InFlight => ({ at: 1000, received: 0, size: 10, pinged: false, ...more });
const body = (size: number): { body: string } => ({ body: 'x'.repeat(size) });

/** What is done to a fresh window, and what holds of it then. */
const TABLE: readonly (readonly [title: string, act: (window: DeliveryWindow) => unknown, holds: Record<string, unknown>])[] = [
  ['a fresh window has room for all', () => {}, { size: 0, messages: WINDOW, bytes: WINDOW_BYTES, full: false, ids: [] }],
  [
    'a message takes its place and its bytes',
    (w) => w.add('a', sent()),
    { size: 1, messages: WINDOW - 1, bytes: WINDOW_BYTES - 10, full: false, ids: ['a'] },
  ],
  [
    'an acknowledged message gives both back, and stays known',
    (w) => {
      w.add('a', sent());
      w.acknowledge(['a']);
    },
    { size: 0, messages: WINDOW, bytes: WINDOW_BYTES, full: false, ids: [], known: 'a' },
  ],
  [
    'a dropped message gives both back, and is not known',
    (w) => {
      w.add('a', sent());
      w.drop(['a', 'never']);
    },
    { size: 0, messages: WINDOW, bytes: WINDOW_BYTES, full: false, ids: [], unknown: 'a' },
  ],
  [
    'the order of ids is that of sending',
    (w) => {
      w.add('b', sent());
      w.add('a', sent());
      w.add('c', sent());
      w.acknowledge(['a']);
    },
    { size: 2, messages: WINDOW - 2, bytes: WINDOW_BYTES - 20, full: false, ids: ['b', 'c'] },
  ],
  [
    'full by number',
    (w) => {
      for (let i = 0; i < WINDOW; i++) w.add(`${i}`, sent({ size: 0 }));
    },
    { size: WINDOW, messages: 0, full: true },
  ],
  ['full by bytes', (w) => w.add('a', sent({ size: WINDOW_BYTES })), { size: 1, messages: 0, bytes: 0, full: true }],
  [
    'a message that is larger than the window goes alone',
    (w) => w.add('a', sent({ size: WINDOW_BYTES + 1 })),
    { messages: 0, bytes: 0, full: true },
  ],
  ['an acknowledgement that comes early is known', (w) => w.acknowledge(['later']), { size: 0, known: 'later', bytes: WINDOW_BYTES }],
  [
    'a cleared window has room for all',
    (w) => {
      w.add('a', sent());
      w.clear();
    },
    { size: 0, messages: WINDOW, bytes: WINDOW_BYTES, unknown: 'a' },
  ],
];

test('places, bytes and acknowledgements of a window', () => {
  for (const [title, act, holds] of TABLE) {
    const window = new DeliveryWindow();
    act(window);
    const { known, unknown } = holds as { known?: string; unknown?: string };
    const actual: Record<string, unknown> = { size: window.size, ...window.room, full: window.isFull, ids: window.ids() };
    for (const [name, value] of Object.entries(holds))
      if (name !== 'known' && name !== 'unknown') assert.deepEqual(actual[name], value, `${title}: ${name}`);
    if (known !== undefined) assert.ok(window.knows(known) && window.isAcknowledged(known), title);
    if (unknown !== undefined) assert.ok(!window.knows(unknown), title);
  }
});

test('messages fit where both bounds hold', () => {
  for (const [messages, flying, size, fits] of [
    [1, 0, 0, true],
    [WINDOW, 0, 0, true],
    [WINDOW + 1, 0, 0, false],
    [1, WINDOW - 1, 0, true],
    [2, WINDOW - 1, 0, false],
    [1, 1, WINDOW_BYTES - 10, true],
    [1, 1, WINDOW_BYTES - 9, false],
  ] as const) {
    const window = new DeliveryWindow();
    for (let i = 0; i < flying; i++) window.add(`${i}`, sent({ size: i === 0 ? size : 0 }));
    assert.equal(window.fits(Array.from({ length: messages }, () => body(size > 0 ? 10 : 0))), fits, `${messages} ${flying} ${size}`);
  }
});

test('a message is overdue after a minute where no pong acknowledges it', () => {
  const window = new DeliveryWindow();
  assert.deepEqual(window.overdue(10 ** 9), []);
  window.add('pinged', sent({ pinged: true }));
  window.add('first', sent());
  window.add('second', sent({ at: 2000 }));
  assert.deepEqual(window.pingedIds(), ['pinged']);
  assert.deepEqual(window.oldest()?.[0], 'pinged');
  for (const [now, overdue] of [
    [1000 + AGAIN_MS - 1, []],
    [1000 + AGAIN_MS, ['first']],
    [2000 + AGAIN_MS, ['first', 'second']],
  ] as const)
    assert.deepEqual(window.overdue(now), overdue, `${now}`);
});

test('the acknowledgements that are remembered have a bound', () => {
  const window = new DeliveryWindow();
  window.acknowledge(Array.from({ length: 300 }, (_, i) => `${i}`));
  assert.ok(!window.knows('0') && window.knows('299'));
});
