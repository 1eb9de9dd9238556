import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import { AppError } from '../errors.ts';
import { marshalled, validator } from './schema.ts';

const Shape = Type.Object({ name: Type.String(), count: Type.Optional(Type.Integer({ minimum: 1 })) });

test('a schema is compiled once, and another of the same members by itself', () => {
  assert.equal(validator(Shape), validator(Shape));
  assert.notEqual(validator(Type.Object({ name: Type.String() })), validator(Type.Object({ name: Type.String() })));
});

test('a value that does not fit is refused with the place and the reason', () => {
  assert.deepEqual(validator(Shape).parse({ name: 'a', count: 1 }, 'unprocessable'), { name: 'a', count: 1 });
  for (const [value, text] of [
    [{}, /^body: .*name/],
    [{ name: 'a', count: 0 }, /^count: /],
    ['a', /^body: /],
  ] as const) {
    assert.equal(validator(Shape).check(value), false);
    assert.throws(
      () => validator(Shape).parse(value, 'unprocessable'),
      (error) => error instanceof AppError && error.code === 'unprocessable' && text.test(error.message),
    );
  }
});

for (const [schema, given, read] of [
  [Type.Boolean(), 'yes', true],
  [Type.Boolean(), 'off', false],
  [Type.Boolean(), 'perhaps', 'perhaps'],
  [Type.Integer(), ' 7', 7],
  [Type.Integer(), '7.5', '7.5'],
  [Type.String(), 'true', 'true'],
  [Type.Union([Type.Boolean(), Type.Null()]), 't', true],
  [Type.Union([Type.String(), Type.Boolean()]), 't', 't'],
  [Type.Array(Type.Integer()), ['1', 'x'], [1, 'x']],
  [Shape, { name: 'a', count: '2', other: '3' }, { name: 'a', count: 2, other: '3' }],
] as const) {
  test(`${JSON.stringify(given)} is read as ${JSON.stringify(read)} where the schema is ${JSON.stringify(schema)}`, () =>
    assert.deepEqual(marshalled(schema as never, given), read));
}
