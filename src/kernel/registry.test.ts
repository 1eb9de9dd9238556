import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import { defineProtocol } from './protocol.ts';
import { compact, defineRecord } from './record.ts';
import { createRegistry } from './registry.ts';

const thing = defineRecord({ category: 'thing', idField: 'id', states: [], view: ({ value }) => compact(value), tags: () => ({}) });
const speaks = (name: string, ...uris: string[]) =>
  defineProtocol({
    name,
    uris,
    binds: thing,
    stateless: true,
    messages: { hello: { schema: Type.Object({}), from: '*', step: () => ({}) } },
  });

const registry = createRegistry([
  speaks('aries', 'https://didcomm.org/talk/1.1', 'https://didcomm.org/talk/1.0'),
  speaks('guest', 'https://example.com/agents/talk/1.0'),
  speaks('old', 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/murmur/1.0'),
]);
const takenBy = (type: string): string => {
  const known = registry.message(type);
  return typeof known === 'string' ? known : known.protocol.name;
};

for (const [type, taken] of [
  ['https://didcomm.org/talk/1.0/hello', 'aries'],
  ['https://didcomm.org/talk/1.9/hello', 'aries'],
  ['did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/talk/1.0/hello', 'aries'],
  ['did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/murmur/1.0/hello', 'old'],
  ['https://didcomm.org/murmur/1.0/hello', 'old'],
  ['https://example.com/agents/talk/1.0/hello', 'guest'],
  ['https://didcomm.org/talk/2.0/hello', 'unknown-version'],
  ['https://didcomm.org/talk/1.0/bye', 'unknown-type'],
  ['https://atalaprism.io/mercury/talk/1.0/hello', 'unknown-type'],
  ['https://atalaprism.io/mercury/talk/2.0/hello', 'unknown-type'],
  ['https://example.com/talk/1.0/hello', 'unknown-type'],
  ['https://example.com/agents/murmur/1.0/hello', 'unknown-type'],
  ['http://didcomm.org/talk/1.0/hello', 'unknown-type'],
  ['https://didcomm.org/x/talk/1.0/hello', 'unknown-type'],
  ['https://didcomm.org.example.com/talk/1.0/hello', 'unknown-type'],
  ['did:sov:AzCbsNYhMrjHiqZDTUASHg;spec/talk/1.0/hello', 'unknown-type'],
] as const) {
  test(`${type} is for: ${taken}`, () => assert.equal(takenBy(type), taken));
}

test('acks and problem reports of unsupported families are known by the prefixes of supported ones', () => {
  const known = (prefix: string) => registry.kindred(`${prefix}report-problem/1.0/problem-report`);
  for (const prefix of ['https://didcomm.org/', 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/', 'https://example.com/agents/'])
    assert.equal(known(prefix), true, prefix);
  for (const prefix of ['https://atalaprism.io/mercury/', 'https://example.com/', 'did:sov:AzCbsNYhMrjHiqZDTUASHg;spec/'])
    assert.equal(known(prefix), false, prefix);
});
