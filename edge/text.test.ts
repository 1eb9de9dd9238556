import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { framed, plain, quoted, wrapped } from './text.ts';

test('text of others is one line without anything that a terminal obeys', () => {
  const cases: [string, string][] = [
    ['\u001b[31mred\u001b[0m', '\u{FFFD}[31mred\u{FFFD}[0m'],
    ['two\nlines\r\nand\u2028more', 'two lines and more'],
    ['a\u202eb\u2066c\u200fd', 'a\u{FFFD}b\u{FFFD}c\u{FFFD}d'],
    [`wide${' '.repeat(200)}│ from`, 'wide │ from'],
    ['blank\u3164\u2800\u00a0blank', 'blank blank'],
    ['می\u200cخواهم', 'میخواهم'],
    [`z${'\u0300'.repeat(50)}`, `z${'\u0300'.repeat(3)}`],
    ['end” (checked) “', 'end" (checked) "'],
    ['\ud800half', '\u{FFFD}half'],
    ['東京 👋', '東京 👋'],
  ];
  for (const [given, expected] of cases) assert.equal(plain(given), expected);
  assert.equal(plain('x'.repeat(301)), `${'x'.repeat(300)}… (cut: 301 characters)`);
  assert.equal(plain('x'.repeat(1e6)).length, '… (cut: 1000000 characters)'.length + 300);
  assert.equal(quoted('Acme'), '“Acme”');
  for (const odd of [undefined, null, 3, {}, []]) assert.equal(typeof plain(odd), 'string');
});

test('whatever is written, a card has its frame before every line and no line is too long', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.integer({ min: 40, max: 120 }), (text, columns) => {
      const card = framed('An offer', [`from: ${quoted(text, 300)}`, `  name: ${plain(text)}`], columns);
      const lines = card.split('\n');
      assert.equal(lines[0], '┌ An offer');
      assert.equal(lines.at(-1), '└');
      for (const line of lines.slice(1, -1)) assert.ok(line.startsWith('│ '), line);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      assert.doesNotMatch(card.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }),
  );
});

test('a line is broken before the terminal would break it; characters of East Asia take two columns', () => {
  assert.deepEqual(wrapped('abcdef', 4, 1), ['abcd', ' ef']);
  assert.deepEqual(wrapped('東京都', 4), ['東京', '都']);
  assert.deepEqual(wrapped('', 4), ['']);
});
