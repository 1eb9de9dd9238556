import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scripted } from '../../edge/terminal.ts';
import { framed, plain, quoted } from '../../edge/text.ts';

/** A peer whose names, values and comments hold escape sequences, or look like words of the program. */

const COLUMNS = 80;
/** A card as the terminal wallet prints it. */
const card = (text: string): string[] =>
  framed('An offer of a credential', [`from: ${quoted(text)}`, `  name: ${plain(text)}`], COLUMNS).split('\n');

test('[E1] escape sequences, controls and overrides of direction are gone', () => {
  const hostile = [
    '\u001b[2J',
    '\u001b]8;;http://evil\u0007',
    '\u009b31m',
    '\u0008\u0008',
    '\u202e',
    '\u2066',
    '\u200f',
    '\u061c',
    '\u{e0041}',
    '\u00ad',
  ];
  for (const one of hostile) {
    const text = card(`a${one}b`).join('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}]/u);
  }
});

test('[E1-2] a text cannot begin a line of its own, by line ends or by blanks up to the margin', () => {
  for (const end of ['\n', '\r\n', '\u2028', '\u2029', ' '.repeat(COLUMNS), '\u3164'.repeat(COLUMNS), '\u2800'.repeat(40)]) {
    const lines = card(`Eve${end}issued by: did:x:bank`);
    assert.equal(lines.length, 4);
    assert.equal(lines[1], '│ from: “Eve issued by: did:x:bank”');
  }
});

test('[E1-3] a text cannot close its quotes and go on as the program', () => {
  for (const quote of ['”', '“', '„', '»']) assert.equal(card(`Eve${quote} (checked)`)[1], '│ from: “Eve" (checked)”');
});

test('[E1-4] marks upon one letter are as few as a language has', () => {
  assert.equal([...plain(`Z${'\u0353\u0301'.repeat(100)}`)].length, 4);
});

test('[E1-5] a very long text is cut, and the cut is named', () => {
  assert.equal(plain('x'.repeat(1e6)), `${'x'.repeat(300)}… (cut: 1000000 characters)`);
});

test('[E1-6] a card has its frame before every line, and no line is wider than the terminal', () => {
  for (const text of ['x'.repeat(290), '東'.repeat(290), '👋'.repeat(200)])
    for (const line of card(text).slice(1, -1)) {
      assert.ok(line.startsWith('│ '));
      const width = [...line].reduce((sum, letter) => sum + (letter.codePointAt(0)! >= 0x3000 ? 2 : 1), 0);
      assert.ok(width <= COLUMNS, `${width} columns`);
    }
});

test('[E1-7] what escaped all of that is stopped where it is printed', async () => {
  const terminal = scripted('');
  terminal.print('a\u001b[2Jb\u009bc');
  await Promise.race([
    terminal.printed('a\u{FFFD}[2Jb\u{FFFD}c'),
    new Promise((_resolve, reject) => setImmediate(() => reject(new Error('it was printed as it was')))),
  ]);
});
