import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pythonJson } from './python-json.ts';

/** The same text by the shortest way that there is: every name and string through `JSON.stringify`. */
function plainly(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return `[${value.map(plainly).join(', ')}]`;
  if (typeof value !== 'object')
    return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${plainly(name)}: ${plainly(member)}`).join(', ')}}`;
}

/** Text of every kind: what must be escaped, what must not, halves of pairs, names of `Object.prototype`. */
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom('', '"', '\\', '\u007f', '\u0000', '\u2028', 'é', '\ud800', '😀', '__proto__', 'constructor', 'state', 'a'.repeat(100)),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false, Number.NaN, Number.POSITIVE_INFINITY, -0),
    fc.double(),
    fc.integer(),
    text,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 6 }).map((members) => Object.fromEntries(members)),
  ),
}));

test('JSON in Python’s spacing is byte for byte the same with names kept and plain text copied', () => {
  fc.assert(
    fc.property(value, (one) => {
      assert.equal(pythonJson(one), plainly(one));
      // a second time with names that are known
      assert.equal(pythonJson(one), plainly(one));
    }),
    { numRuns: 500 },
  );
});

test('more names than are kept are written as the first ones', () => {
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`näme "${i}"`, i]));
  assert.equal(pythonJson(many), plainly(many));
  assert.deepEqual(JSON.parse(pythonJson(many)), many);
});
