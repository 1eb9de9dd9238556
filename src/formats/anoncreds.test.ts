import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { PresentationRequest } from '../ports/anoncreds.ts';
import { type HeldCredential, matchCredentials, selectCredentials } from './anoncreds-match.ts';
import { canonicalName, encodeValue, encodeValues, encodingFits, newNonce } from './anoncreds-values.ts';
import { isUnrestricted, meets, type Subject, WqlUnsupported } from './wql.ts';

suite('attribute values', () => {
  // Known from Indy and from ACA-Py's tests; the numbers of the last rows follow from the rule.
  const known: [string, string][] = [
    ['Alex', '99262857098057710338306967609588410025648622308394250666849665532448612202874'],
    ['101 Wilson Lane', '68086943237164982734333428280784300550565381723532936263016368251445461241953'],
    ['Alice', '27034640024117331033063128044004318218486816931520886405535659934417438781507'],
    ['Maths', '460273229220408542178729328948548235132905393400001582342944147813984660772'],
    ['', '102987336249554097029535212322581322789799900648198034993379397001115665086549'],
    ['87121', '87121'],
    ['-1', '-1'],
    ['0', '0'],
    ['-0', '0'],
    ['+7', '7'],
    ['007', '7'],
    ['2147483647', '2147483647'],
    ['-2147483648', '-2147483648'],
  ];
  for (const [raw, encoded] of known) test(`the encoding of "${raw}"`, () => assert.equal(encodeValue(raw), encoded));

  test('what is no 32-bit integer is hashed', () => {
    for (const raw of ['2147483648', '-2147483649', '1.0', '1e3', ' 1', '1 ', '+', '-', '--1', '+-1', '0x10', '٣', '1'.repeat(500)]) {
      assert.match(encodeValue(raw), /^[0-9]{60,78}$/, raw);
    }
  });

  test("ACA-Py's reading of integers is accepted, no other", () => {
    assert.ok(encodingFits({ raw: ' 42\n', encoded: '42' }));
    assert.ok(encodingFits({ raw: '1_000', encoded: '1000' }));
    assert.ok(encodingFits({ raw: '42', encoded: '42' }));
    for (const [raw, encoded] of [
      ['42', '43'],
      ['4 2', '42'],
      ['1__0', '10'],
      ['_1', '1'],
      ['99999999999', '99999999999'],
      ['', '0'],
      ['1.0', '1'],
    ] as const) {
      assert.equal(encodingFits({ raw, encoded }), false, raw);
    }
  });

  test('names and nonces', () => {
    assert.equal(canonicalName('First  Name'), 'firstname');
    assert.deepEqual(encodeValues({ a: '1' }), { a: { raw: '1', encoded: '1' } });
    assert.match(newNonce(), /^[0-9]{1,25}$/);
    assert.notEqual(newNonce(), newNonce());
  });
});

const subject: Subject = {
  schemaId: `did:algo:app:1:${'AB'.repeat(32)}/anoncreds/v1/SCHEMA/Xy`,
  schemaName: 'degree',
  schemaVersion: '1.0',
  schemaIssuerId: 'did:x:schema',
  credentialDefinitionId: 'did:x:issuer/cd',
  issuerId: 'did:x:issuer',
  attributes: new Set(['name', 'birthdate']),
  values: new Map([['name', 'Alice']]),
};

suite('restrictions (WQL)', () => {
  const met: unknown[] = [
    undefined,
    null,
    [],
    {},
    [{}],
    { schema_name: 'degree' },
    { schema_name: 'degree', schema_version: '1.0' },
    [{ schema_name: 'x' }, { issuer_did: 'did:x:issuer' }],
    { issuer_id: 'did:x:issuer' },
    { schema_issuer_did: 'did:x:schema', schema_issuer_id: 'did:x:schema' },
    { schema_id: `did:algo:mainnet:app:1:${'ab'.repeat(32)}/anoncreds/v1/SCHEMA/Xy` },
    { cred_def_id: { $in: ['a', 'did:x:issuer/cd'] } },
    { 'attr::Name::marker': '1', 'attr::Birth Date::marker': '1' },
    { 'attr::name::value': 'Alice' },
    { $or: [{ schema_name: 'x' }, { schema_name: 'degree' }] },
    { $and: [{ schema_name: 'degree' }, { $not: { schema_version: '2.0' } }] },
    { schema_version: { $neq: '2.0' } },
    { $not: { 'attr::age::value': '7' } },
    { $or: [{ 'attr::birthdate::value': '2000' }, { schema_name: 'degree' }] },
  ];
  for (const query of met) test(`met: ${JSON.stringify(query)}`, () => assert.equal(meets(query, subject), true));

  const unmet: unknown[] = [
    { schema_name: 'degree', schema_version: '2.0' },
    [{ schema_name: 'x' }, { issuer_did: 'y' }],
    { cred_def_id: { $in: [] } },
    { 'attr::age::marker': '1' },
    { 'attr::name::value': 'Bob' },
    { 'attr::birthdate::value': '2000' },
    { 'attr::birthdate::value': { $neq: '2000' } },
    { $not: { schema_name: 'degree' } },
    { $not: { 'attr::birthdate::value': '2000' } },
    { $not: { $or: [{ 'attr::birthdate::value': '2000' }, { schema_name: 'x' }] } },
    { $or: [] },
    { rev_reg_id: 'x' },
    { schema_id: `did:algo:mainnet:app:2:${'ab'.repeat(32)}/anoncreds/v1/SCHEMA/Xy` },
  ];
  for (const query of unmet) test(`not met: ${JSON.stringify(query)}`, () => assert.equal(meets(query, subject), false));

  test('what is outside the subset is said, not guessed', () => {
    let deep: unknown = { schema_name: 'degree' };
    for (let i = 0; i < 20; i++) deep = { $not: deep };
    for (const query of [
      'x',
      7,
      [7],
      { unknown_tag: 'x' },
      { schema_name: 7 },
      { schema_name: { $gt: '1' } },
      { $and: {} },
      { schema_name: ['x'] },
      deep,
      { $or: Array(2000).fill({ schema_name: 'x' }) },
    ]) {
      assert.throws(() => meets(query, subject), WqlUnsupported, JSON.stringify(query).slice(0, 60));
    }
    assert.ok(isUnrestricted([]) && isUnrestricted({}) && isUnrestricted(null) && !isUnrestricted([{}]));
  });
});

suite('matching', () => {
  const credential = (id: string, issuerId: string, values: Record<string, string>): HeldCredential => ({
    id,
    subject: {
      schemaId: 's',
      schemaName: 'degree',
      schemaVersion: '1.0',
      schemaIssuerId: 'i',
      credentialDefinitionId: `${issuerId}/cd`,
      issuerId,
    },
    values: encodeValues(values),
  });
  const held = [
    credential('one', 'A', { name: 'Alice', age: '17' }),
    credential('two', 'B', { name: 'Alice', age: '30', city: 'Rome' }),
    credential('three', 'C', { name: 'Al', age: 'old' }),
  ];
  const request: PresentationRequest = {
    name: 'r',
    version: '1.0',
    nonce: '1',
    requested_attributes: {
      n: { name: 'Name' },
      g: { names: ['name', 'City'] },
      restricted: { name: 'name', restrictions: [{ issuer_did: 'C' }] },
      none: { name: 'name', restrictions: [{ issuer_did: 'Z' }] },
      self: { name: 'phone' },
      group: { names: ['phone'] },
      value: { name: 'name', restrictions: [{ 'attr::city::value': 'Rome' }] },
    },
    requested_predicates: {
      adult: { name: 'age', p_type: '>=', p_value: 18 },
      older: { name: 'age', p_type: '>', p_value: 30 },
      young: { name: 'AGE', p_type: '<', p_value: 18, restrictions: [{ issuer_did: 'A' }] },
      upTo: { name: 'age', p_type: '<=', p_value: 30 },
    },
  };

  test('each referent gets the credentials that fit', () => {
    assert.deepEqual(matchCredentials(request, held), {
      attributes: { n: ['one', 'two', 'three'], g: ['two'], restricted: ['three'], none: [], self: [], group: [], value: ['two'] },
      predicates: { adult: ['two'], older: [], young: ['one'], upTo: ['one', 'two'] },
    });
  });

  test('the selection takes few credentials and says what is missing', () => {
    assert.deepEqual(selectCredentials(request, matchCredentials(request, held)), {
      credentials: [
        {
          id: 'two',
          attributes: [
            { referent: 'g', reveal: true },
            { referent: 'value', reveal: true },
          ],
          predicates: ['adult'],
        },
        { id: 'one', attributes: [{ referent: 'n', reveal: true }], predicates: ['young', 'upTo'] },
        { id: 'three', attributes: [{ referent: 'restricted', reveal: true }], predicates: [] },
      ],
      selfAttestable: ['self'],
      missing: ['older', 'none', 'group'],
    });
  });
  test('a credential that is taken already is preferred to an earlier one', () => {
    const asked: PresentationRequest = {
      ...request,
      requested_attributes: { city: { name: 'city' }, name: { name: 'name' } },
      requested_predicates: {},
    };
    assert.deepEqual(
      selectCredentials(asked, matchCredentials(asked, held)).credentials.map(({ id }) => id),
      ['two'],
    );
  });
});
