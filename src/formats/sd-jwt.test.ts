import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import { concealed, jwtPayload, readDisclosures, revealed, sdHash, sdJwtParts } from './sd-jwt.ts';

const { cases } = JSON.parse(
  readFileSync(new URL('../../test/vectors/sd-jwt-rfc9901/rfc9901-appendix-a.json', import.meta.url), 'utf8'),
) as { cases: { name: string; sd_jwt: string; expected_processed_payload: JsonObject }[] };

for (const { name, sd_jwt, expected_processed_payload } of cases) {
  test(`RFC 9901 ${name}`, () => {
    const { jwt, disclosures, binding } = sdJwtParts(sd_jwt);
    assert.deepEqual(revealed(jwtPayload(jwt), disclosures), expected_processed_payload);
    if (binding) assert.equal(jwtPayload(binding.jwt).sd_hash, sdHash(jwtPayload(jwt), binding.over));
  });
}

const CLAIMS = {
  iss: 'did:example:1',
  cnf: { jwk: { kty: 'OKP' } },
  name: 'Alice',
  address: { street: 'x', country: 'DE' },
  list: ['a', 'b', 'c', { d: 'e' }],
};
const namesOf = (disclosures: string[]): string[] =>
  readDisclosures(disclosures).flatMap((one) => (one.length === 3 ? [one[1] as string] : ['[]']));

for (const [paths, shown] of [
  [['list[1:3]'], ['b', 'c']],
  [
    ['list[2:3]', 'list[0:1]'],
    ['a', 'c'],
  ],
  [
    ['list[0:9]', 'list[1:2]'],
    ['a', 'b', 'c', 'd'],
  ],
  [
    ['list[0:2]', 'list[1:3]', 'list[0]', 'list[3]'],
    ['a', 'b', 'c', 'd'],
  ],
  [['list[2:2]', 'list[3:1]', 'list[9:10]', 'other[0:4]', 'list[:2]'], []],
  [Array.from({ length: 1000 }, (_, i) => `list[${i % 2}:${(i % 2) + 1}]`), ['a', 'b']],
] as const)
  test(`elements that are named: ${paths.slice(0, 5).join(', ')}`, () => {
    const { payload, disclosures } = concealed({ list: ['a', 'b', 'c', 'd'] }, ['list', ...paths]);
    assert.deepEqual(
      (payload.list as unknown[]).filter((one) => typeof one === 'string'),
      shown,
    );
    assert.deepEqual(revealed(payload, disclosures), { list: ['a', 'b', 'c', 'd'] });
  });

test('everything is disclosable but what verifiers must see and what is named', () => {
  const all = concealed(CLAIMS, []);
  assert.deepEqual(Object.keys(all.payload), ['iss', 'cnf', '_sd', '_sd_alg']);
  assert.deepEqual(all.payload.cnf, CLAIMS.cnf);
  assert.deepEqual(namesOf(all.disclosures).sort(), ['[]', '[]', '[]', 'address', 'country', 'd', 'list', 'name', 'street']);
  assert.deepEqual(revealed(all.payload, all.disclosures), CLAIMS);
  assert.deepEqual(revealed(all.payload, []), { iss: CLAIMS.iss, cnf: CLAIMS.cnf });
  const some = concealed(CLAIMS, ['name', 'address', 'address.country', 'list', 'list[0:2]']);
  const shown = revealed(some.payload, []);
  assert.deepEqual([shown.name, shown.address, shown.list], ['Alice', { country: 'DE' }, ['a', 'b', {}]]);
  assert.deepEqual(revealed(some.payload, some.disclosures), CLAIMS);
  assert.deepEqual(concealed({ iss: 'x' }, []), { payload: { iss: 'x' }, disclosures: [] });
  for (const name of ['_sd', '...', '_sd_alg']) assert.throws(() => concealed({ [name]: 1 }, [name]), AppError);
});

test('any payload comes back whole', () => {
  const claim = fc.string({ minLength: 1 }).filter((name) => !['_sd', '...', '_sd_alg', '__proto__'].includes(name));
  const value = fc.letrec((tie) => ({
    node: fc.oneof({ maxDepth: 4 }, fc.string(), fc.integer(), fc.boolean(), fc.constant(null), tie('list'), tie('object')),
    list: fc.array(tie('node'), { maxLength: 4 }),
    object: fc.dictionary(claim, tie('node'), { maxKeys: 4, noNullPrototype: true }),
  }));
  fc.assert(
    fc.property(value.object, (payload) => {
      const { payload: made, disclosures } = concealed(payload as JsonObject, []);
      assert.deepEqual(revealed(made, disclosures), payload);
    }),
  );
});

test('refusals of section 7.1', () => {
  const { payload, disclosures } = concealed({ a: 1, b: [1] }, ['b']);
  const [first] = disclosures as [string];
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const bad: [JsonObject, string[]][] = [
    [payload, [first, first]],
    [payload, [...disclosures, encode(['salt', 'x', 1])]],
    [{ ...payload, a: 2 }, [first]],
    [{ ...payload, _sd: [...(payload._sd as string[]), ...(payload._sd as string[])] }, []],
    [{ ...payload, _sd_alg: 'md5' }, []],
    [{ ...payload, _sd_alg: 'constructor' }, []],
    [{ _sd: 'x' }, []],
    [{ _sd: [1] }, []],
    [{ '...': 'x' }, []],
    [{ a: [{ '...': 'x', b: 1 }] }, []],
    [{ b: [{ '...': (payload._sd as string[])[0]! }] }, [first]],
    ...[['salt'], ['salt', '_sd', 1], ['salt', '__proto__', {}], [1, 'x', 1], {}, 'x'].map((one): [JsonObject, string[]] => [
      payload,
      [encode(one)],
    ]),
    [payload, ['!']],
  ];
  for (const [claims, given] of bad) assert.throws(() => revealed(claims, given), AppError, JSON.stringify([claims, given]));
  assert.throws(() => sdJwtParts('a.b.c'), AppError);
});

test('disclosures within each other have a bound', () => {
  let [inner, texts]: [JsonObject, string[]] = [{ x: 1 }, []];
  for (let i = 0; i < 200; i++) {
    const text = Buffer.from(JSON.stringify(['s', `n${i}`, inner])).toString('base64url');
    inner = { _sd: [sdHash({}, text)] };
    texts = [...texts, text];
  }
  assert.throws(() => revealed(inner, texts), /too deep/);
});
