import assert from 'node:assert/strict';
import { test } from 'node:test';
import Theirs from 'typebox';
import { validator } from './schema.ts';
import Ours from './type.ts';

/** The same schema by either make. */
const by = (Type: typeof Ours): Record<string, object> => {
  const Person = Type.Object({ name: Type.String({ minLength: 1 }), age: Type.Optional(Type.Integer({ minimum: 0 })) });
  return {
    Person,
    empty: Type.Object({}),
    closed: Type.Object({ a: Type.Boolean() }, { additionalProperties: false }),
    union: Type.Union([Type.Literal('a'), Type.Literal(1), Type.Literal(true), Type.Null()], { title: 'u' }),
    list: Type.Array(Type.Number({ maximum: 2 }), { maxItems: 3 }),
    unknown: Type.Object({ any: Type.Unknown(), more: Type.Optional(Type.Unknown()) }),
    partial: Type.Partial(Person),
    omitted: Type.Omit(Person, ['age']),
    unsafe: Type.Object({
      one: Type.Optional(Type.Unsafe<string>(Type.String())),
      two: Type.Unsafe<number>(Type.Optional(Type.Integer())),
    }),
  };
};

for (const [name, schema] of Object.entries(by(Ours))) {
  test(`a schema is that of typebox: ${name}`, () => {
    const theirs = by(Theirs as unknown as typeof Ours)[name]!;
    assert.equal(JSON.stringify(schema), JSON.stringify(theirs));
    for (const value of [
      {},
      [],
      'a',
      1,
      true,
      null,
      { name: 'a' },
      { name: '', age: 1 },
      { name: 'a', age: -1 },
      { a: true, b: 1 },
      [1, 2],
      [3],
    ])
      assert.equal(validator(schema).check(value), validator(theirs).check(value), JSON.stringify(value));
  });
}

test('schemas of either make fit into each other', () => {
  const within = [
    Theirs.Object({ a: Ours.Optional(Ours.String()), b: Ours.String() }),
    Ours.Object({ a: Theirs.Optional(Theirs.String()), b: Theirs.String() }),
  ];
  for (const schema of within) assert.deepEqual(schema.required, ['b']);
  for (const schema of within) assert.equal(validator(schema).check({ b: 'x' }), true);
});
