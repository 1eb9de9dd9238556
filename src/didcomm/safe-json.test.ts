import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { JsonRefused, parseJson, parseJsonObject } from './safe-json.ts';

const refused = (reason: string) => (error: unknown) => error instanceof JsonRefused && error.reason === reason;
const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

suite('safe JSON', () => {
  test('takes what JSON.parse takes and gives the same, with no key twice', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        if (text.includes('__proto__') || /\\(?:[^"]|\\"|")*":/.test(text)) return;
        assert.deepEqual(parseJson(bytes(text)), JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('takes text with quotes, colons, braces and backslashes in strings and keys', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: fc.constantFrom('"', ':', '\\', '{', '}', '[', ',', 'a', 'é', '\n') }), fc.string(), {
          noNullPrototype: true,
        }),
        (value) => {
          let parsed: unknown;
          try {
            parsed = parseJson(bytes(JSON.stringify(value)));
          } catch (error) {
            // the engine may take an escape in a key for a backslash, and two keys for one
            assert.ok(refused('backslash in a key')(error) || refused('duplicate key')(error));
            assert.ok(Object.keys(value).some((key) => /["\\\n]/.test(key)));
            return;
          }
          assert.deepEqual(parsed, value);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('gives the same of large bytes as of their text', () => {
    const filler = JSON.stringify('x'.repeat(70_000));
    const piece = fc.string({ unit: fc.constantFrom('"', ':', '\\', '{', '}', '[', ']', ',', 'a', 'é', '\u{1f600}', '\n') });
    const outcome = (parse: () => unknown): unknown => {
      try {
        return parse();
      } catch (error) {
        assert.ok(error instanceof JsonRefused);
        return error.reason;
      }
    };
    fc.assert(
      fc.property(
        fc.oneof(
          piece,
          fc.json({ maxDepth: 3 }),
          piece.map((text) => JSON.stringify({ [text]: text })),
        ),
        (part) => {
          const text = `{"filler":${filler},"part":${part}}`;
          assert.deepEqual(
            outcome(() => parseJson(bytes(text))),
            outcome(() => parseJson(text)),
          );
        },
      ),
      { numRuns: 500 },
    );
    const members = (count: number): string => `{${Array.from({ length: count }, (_, i) => `"${i}":0`).join(',')}}`;
    assert.equal(Object.keys(parseJson(bytes(members(50_000))) as object).length, 50_000);
    assert.throws(() => parseJson(bytes(members(50_001))), refused('too many members'));
    assert.throws(() => parseJson(bytes(`[${filler},${'['.repeat(64)}`)), refused('nested too deeply'));
    assert.throws(() => parseJson(bytes(`[${filler},"\\`)), refused('not JSON'));
  });

  test('refuses duplicate keys at any depth and in any spelling', () => {
    for (const text of ['{"a":1,"a":2}', '{"x":[{"a":1,"b":{},"a":1}]}', '{"":1,"":1}', '{"1":1,"1":1}']) {
      assert.throws(() => parseJson(bytes(text)), refused('duplicate key'), text);
    }
    // for which of the two reasons depends on the objects that V8 has seen before
    assert.throws(() => parseJson('{"a":1,"\\u0061":2}'), /duplicate key|backslash/);
    assert.deepEqual(parseJson('{"a":{"a":[{"a":1},{"a":1}]}}'), { a: { a: [{ a: 1 }, { a: 1 }] } });
  });

  test('refuses depth before it hurts', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const nest = (depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;
      assert.ok(parseJson(nest(64)));
      assert.throws(() => parseJson(nest(65)), refused('nested too deeply'));
      assert.throws(() => parseJson(nest(1000)), refused('nested too deeply'));
      assert.throws(() => parseJson(open.repeat(200_000)), refused('nested too deeply'));
    }
    assert.deepEqual(parseJson(`"${'['.repeat(1000)}"`), '['.repeat(1000));
  });

  test('refuses what is not UTF-8, a byte order mark and lone surrogates', () => {
    for (const raw of ['22ff22', '22c328 22', '22eda08022', '22f4908080 22', '22c0af22']) {
      assert.throws(() => parseJson(Buffer.from(raw.replaceAll(' ', ''), 'hex')), refused('not UTF-8'), raw);
    }
    assert.throws(() => parseJson(Buffer.from('efbbbf7b7d', 'hex')), refused('not JSON'));
    assert.throws(() => parseJson('{"a":"\\ud800"}'), refused('lone surrogate'));
    assert.throws(() => parseJson('{"\\udc00":1}'), refused('lone surrogate'));
    assert.deepEqual(parseJson('{"a":"\\ud834\\udd1e"}'), { a: '𝄞' });
  });

  test('refuses __proto__; constructor is a member like any other', () => {
    assert.throws(() => parseJson('{"a":[{"__proto__":{"admin":true}}]}'), refused('key __proto__'));
    assert.throws(() => parseJson('{"\\u005f_proto__":1}'), refused('key __proto__'));
    const value = parseJsonObject('{"constructor":{"prototype":{"x":1}},"a":"__proto__"}');
    assert.equal(({} as Record<string, unknown>).x, undefined);
    assert.ok(Object.hasOwn(value, 'constructor'));
  });

  test('refuses garbage around the value, what is too large, and what is no object', () => {
    for (const text of ['{} {}', '{}x', '', 'nul', '{"a":1,}', "{'a':1}", '[1', '{"a"', '"\\', '"', '{"a":01}', 'NaN']) {
      assert.throws(() => parseJson(bytes(text)), refused('not JSON'), text);
    }
    assert.throws(() => parseJson(bytes(`"${'x'.repeat(100)}"`), { maxBytes: 50 }), refused('too large'));
    for (const text of ['[]', '1', 'null', '"a"']) assert.throws(() => parseJsonObject(bytes(text)), refused('not an object'));
  });
});
