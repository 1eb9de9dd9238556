import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TSchema } from 'typebox';
import { inputOf, type Operation } from '../src/admin/operations.ts';
import { operationsOf } from '../src/admin/server.ts';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from '../src/builtin-protocols.ts';
import { createRegistry } from '../src/kernel/registry.ts';
import { marshalled, validator } from '../src/kernel/schema.ts';
import { acapyOperations, resolved, type Schema } from './support/acapy-document.ts';

/** What every operation takes, held against ACA-Py's own document: its booleans, its whole numbers and their bounds, and members that nobody knows. */

const operations = operationsOf(createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never, FORMATS), [], {
  multitenant: true,
  managesWallets: true,
});
const nameOf = (op: Operation): string => `${op.method} ${op.path.replace('*}', '}')}`;

interface Member {
  /** As in `GET /connections limit`. */
  readonly name: string;
  readonly part: 'query' | 'body';
  readonly ours: TSchema;
  readonly theirs: Schema;
}

/** The members that we declare and that ACA-Py's document has, those of bodies as deep as both go. */
function below(at: string, ours: TSchema, theirs: Schema, part: Member['part']): Member[] {
  const { schema } = resolved(theirs);
  const shape = ours as { properties?: Record<string, TSchema>; items?: TSchema };
  const inside = Object.entries(shape.properties ?? {}).flatMap(([name, one]) => {
    const known = schema.properties?.[name];
    return known
      ? [{ name: `${at} ${name}`, part, ours: one, theirs: resolved(known).schema }, ...below(`${at} ${name}`, one, known, part)]
      : [];
  });
  return shape.items && schema.items ? [...inside, ...below(at, shape.items, schema.items, part)] : inside;
}
const members = operations.flatMap((op): Member[] => {
  const theirs = acapyOperations.get(nameOf(op));
  if (!theirs) return [];
  const query = { properties: Object.fromEntries(theirs.parameters.filter((one) => one.in === 'query').map((one) => [one.name, one])) };
  const body = theirs.parameters.find((one) => one.in === 'body')?.schema;
  return [
    ...(op.query ? below(nameOf(op), op.query.schema, query, 'query') : []),
    ...(op.body && body ? below(nameOf(op), op.body.schema, body, 'body') : []),
  ];
});

const REFUSED = Symbol('refused');
const taken = ({ ours }: Member, value: unknown): unknown => {
  const read = marshalled(ours, value);
  return validator(ours).check(read) ? read : REFUSED;
};
/** The members for which a value becomes anything else. */
const wrong = (of: readonly Member[], value: unknown, wanted: unknown): string[] =>
  of.filter((one) => taken(one, value) !== wanted).map(({ name }) => name);

test('booleans are taken as ACA-Py takes them, in queries and bodies', () => {
  const booleans = members.filter(({ theirs }) => theirs.type === 'boolean');
  assert.ok(booleans.some(({ part }) => part === 'query') && booleans.length >= 60, `${booleans.length}`);
  for (const text of ['true', 'True', 'TRUE', 't', 'T', 'yes', 'Yes', 'y', 'on', 'ON', '1'])
    assert.deepEqual(wrong(booleans, text, true), [], text);
  for (const text of ['false', 'False', 'F', 'no', 'NO', 'n', 'off', '0']) assert.deepEqual(wrong(booleans, text, false), [], text);
  for (const text of ['', 'maybe', '2', 'tru', ' true']) assert.deepEqual(wrong(booleans, text, REFUSED), [], text);
  const inBodies = booleans.filter(({ part }) => part === 'body');
  assert.deepEqual(
    [wrong(inBodies, true, true), wrong(inBodies, false, false), wrong(inBodies, 1, true), wrong(inBodies, 0, false)],
    [[], [], [], []],
  );
});

test('whole numbers have the bounds of ACA-Py, in queries and bodies, and may be written as text', () => {
  const whole = members.filter(({ theirs }) => theirs.type === 'integer');
  assert.ok(whole.length >= 20, `${whole.length}`);
  for (const one of whole) {
    const { minimum, maximum } = one.theirs;
    for (const inside of [minimum ?? 10, maximum ?? 100]) assert.equal(taken(one, String(inside)), inside, `${one.name} ${inside}`);
    if (minimum !== undefined) assert.equal(taken(one, String(minimum - 1)), REFUSED, `${one.name} ${minimum - 1}`);
    if (maximum !== undefined) assert.equal(taken(one, String(maximum + 1)), REFUSED, `${one.name} ${maximum + 1}`);
    for (const text of ['', 'ten', '1e3', '0x10', '1.5']) assert.equal(taken(one, text), REFUSED, `${one.name} ${text}`);
  }
  const pages = operations.flatMap((op) =>
    Object.entries((op.query?.schema as { properties?: Record<string, TSchema> })?.properties ?? {}),
  );
  for (const [name, ours] of pages.filter(([name]) => name === 'limit' || name === 'count'))
    for (const value of ['0', '-1', '10001'])
      assert.equal(taken({ name, part: 'query', ours, theirs: {} }, value), REFUSED, `${name} ${value}`);
});

test('members that nobody declared are passed over, as ACA-Py does, in every query and body', () => {
  for (const op of operations) {
    // a message of another agent is not a controller's body: its schema is the protocol's; a rule with a word that nobody reads would be a wider one
    const strict = JSON.stringify([op.query?.schema, op.body?.schema]).includes('"additionalProperties":false');
    assert.ok(!strict || /\/(?:drpc|agent-config)\//.test(nameOf(op)), `${nameOf(op)} refuses unknown members`);
  }
  const op = operations.find((one) => nameOf(one) === 'GET /anoncreds/schemas')!;
  assert.deepEqual(inputOf(op, { schema_name: 'degree', nobody: 'knows' }, {}).query, { schema_name: 'degree' });
});
