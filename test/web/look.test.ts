import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelOf } from '../../web/lib/labels.ts';
import { visible } from '../../web/lib/visible.ts';

test('an attribute whose name every object has gets no label but its own', () => {
  const labels = { name: 'Nom' };
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'age']) assert.equal(labelOf(labels, name), undefined, name);
  assert.deepEqual([labelOf(labels, 'name'), labelOf(undefined, 'name')], ['Nom', undefined]);
  assert.equal(labelOf({ constructor: 'Builder' } as never, 'constructor'), 'Builder');
});

test('marks that pile up on a letter are shown as code points, and those of scripts are not', () => {
  const scripts = ['e\u0301', 'बि\u094dक्षु', 'הַשָּׁמַ֖יִם', 'ทั้งนี้', 'مُحَمَّدٌ', 'đượ\u0323c', '👩🏽‍🚀'.replace('\u200d', '')];
  for (const text of scripts)
    assert.deepEqual(
      visible(text).filter(({ hidden }) => hidden),
      [],
      text,
    );
  const pile = visible(`a${'\u0335'.repeat(50)}b`);
  assert.deepEqual(pile[0], { text: `a${'\u0335'.repeat(4)}`, hidden: false });
  assert.deepEqual(
    pile.slice(1, -1).map(({ hidden, text }) => `${hidden} ${text}`),
    Array.from({ length: 46 }, () => 'true U+0335'),
  );
  assert.deepEqual(pile.at(-1), { text: 'b', hidden: false });
});
