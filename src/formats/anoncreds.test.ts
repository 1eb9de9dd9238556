import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { PresentationRequest } from '../ports/anoncreds.ts';
import { type HeldCredential, matchCredentials, provenApart, selectCredentials } from './anoncreds-match.ts';
import { canonicalName, encodeValue, encodeValues, encodingFits, newNonce, showsNumber } from './anoncreds-values.ts';
import { isUnrestricted, type Wish } from './proof-request.ts';
import { meets, type Subject, WqlUnsupported } from './wql.ts';

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

  test('a value that is no 32-bit integer is hashed', () => {
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
      ['\ufeff30', '30'],
    ] as const) {
      assert.equal(encodingFits({ raw, encoded }), false, raw);
    }
    for (const raw of ['\u00a030', '٣٠', '3_0', '3٠']) assert.ok(encodingFits({ raw, encoded: '30' }), raw);
  });

  test('a verifier shows no text for a number that begins as another number', () => {
    for (const raw of ['30', '+30', '0030', ' 30', '30\n', '\u00a030', '٣٠', '-0']) {
      const encoded = raw === '-0' ? '0' : '30';
      assert.ok(showsNumber({ raw, encoded }), raw);
    }
    for (const raw of ['3_0', '3٠', '\ufeff30', '30_', '3 0', '31']) assert.equal(showsNumber({ raw, encoded: '30' }), false, raw);
    for (const raw of ['30 years', '1.0', '12345678901', '3_0_', 'Alice', ''])
      assert.ok(showsNumber({ raw, encoded: encodeValue(raw) }), raw);
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

  test('of which registry a credential is that can be revoked nothing proves', () => {
    for (const query of [{ rev_reg_id: 'x' }, { $not: { rev_reg_id: 'x' } }, { rev_reg_id: { $neq: 'x' } }]) {
      assert.equal(meets(query, { ...subject, revocable: true }), false);
      assert.equal(meets(query, subject), !('rev_reg_id' in query) || typeof query.rev_reg_id !== 'string');
    }
  });

  test('a query outside the subset is refused, not guessed', () => {
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
            { referent: 'n', reveal: true },
            { referent: 'g', reveal: true },
            { referent: 'value', reveal: true },
          ],
          predicates: ['adult', 'upTo'],
        },
        { id: 'one', attributes: [], predicates: ['young'] },
        { id: 'three', attributes: [{ referent: 'restricted', reveal: true }], predicates: [] },
      ],
      selfAttested: {},
      selfAttestable: ['self'],
      missing: ['older', 'none', 'group'],
    });
  });
  const pick = (asked: Partial<PresentationRequest>, some: HeldCredential[], wishes: Wish[] = []): string[] => {
    const whole = { ...request, requested_attributes: {}, requested_predicates: {}, ...asked };
    return selectCredentials(whole, matchCredentials(whole, some), some, wishes).credentials.map(({ id }) => id);
  };

  test('predicates are over the number that was signed, however it is written', () => {
    const some = ['0030', '+30', '30', ' 30', '3_0', '٣٠', '030.0', 'x'].map((age) => credential(age, 'A', { age }));
    const signed = some.map((one): HeldCredential => {
      const raw = one.values.age!.raw;
      return { ...one, values: { age: { raw, encoded: encodingFits({ raw, encoded: '30' }) ? '30' : encodeValue(raw) } } };
    });
    const asked = {
      ...request,
      requested_attributes: {},
      requested_predicates: { p: { name: 'age', p_type: '>=' as const, p_value: 30 } },
    };
    assert.deepEqual(matchCredentials(asked, signed).predicates.p, ['0030', '+30', '30', ' 30', '3_0', '٣٠']);
  });

  test('one credential that answers everything is taken before any mixture, the newest of several', () => {
    const some = [
      credential('newest', 'A', { name: 'Alice' }),
      credential('later', 'A', { name: 'Alice', age: '30', city: 'Rome' }),
      credential('old', 'A', { name: 'Alice', age: '30', city: 'Rome', zip: '1' }),
      credential('oldest', 'B', { age: '40', city: 'Rome' }),
    ];
    const three = { n: { name: 'name' }, c: { name: 'city' } };
    const adult = { a: { name: 'age', p_type: '>=' as const, p_value: 18 } };
    assert.deepEqual(pick({ requested_attributes: three, requested_predicates: adult }, some), ['later']);
    assert.deepEqual(pick({ requested_attributes: { ...three, z: { name: 'zip' } }, requested_predicates: adult }, some), ['old']);
    assert.deepEqual(pick({ requested_attributes: { n: { name: 'name' } } }, some), ['newest']);
    const limited = { name: 'age', p_type: '>=' as const, p_value: 35 };
    assert.deepEqual(pick({ requested_attributes: three, requested_predicates: { a: limited } }, some).sort(), ['newest', 'oldest']);
  });

  test('a credential that reveals an attribute and proves a predicate of it is presented twice', () => {
    const asked = {
      ...request,
      requested_attributes: { a: { name: 'Age' }, n: { name: 'name' } },
      requested_predicates: { p: { name: 'age', p_type: '>' as const, p_value: 1 }, q: { name: 'zip', p_type: '>' as const, p_value: 1 } },
    };
    const one = (reveal: boolean) => ({
      id: 'x',
      attributes: [
        { referent: 'a', reveal },
        { referent: 'n', reveal: true },
      ],
      predicates: ['p', 'q'],
    });
    assert.deepEqual(provenApart(asked, [one(true)]), [
      { ...one(true), predicates: ['q'] },
      { id: 'x', attributes: [], predicates: ['p'] },
    ]);
    assert.deepEqual(provenApart(asked, [one(false)]), [one(false)]);
  });

  test('a restriction on a value is met by the credential that shows it, so that the verifier can see it', () => {
    const some = [
      credential('other', 'A', { name: 'Alice', id: '7' }),
      credential('right', 'A', { name: 'Alice', id: '5' }),
      credential('only id', 'B', { id: '5' }),
    ];
    const asked = { n: { name: 'name', restrictions: [{ 'attr::id::value': '5' }] }, i: { name: 'id' } };
    assert.deepEqual(pick({ requested_attributes: asked }, some), ['right']);
    const both = { ...asked, i: { name: 'id', restrictions: [{ issuer_id: 'A' }, { issuer_id: 'B' }] } };
    assert.deepEqual(pick({ requested_attributes: both }, some), ['right']);
  });

  test('a prover shows what it proposed', () => {
    const some = [credential('new', 'A', { name: 'Bob', age: '20' }), credential('old', 'B', { name: 'Alice', age: '30' })];
    const asked = { requested_attributes: { n: { name: 'Name' } } };
    assert.deepEqual(pick(asked, some), ['new']);
    assert.deepEqual(pick(asked, some, [{ names: ['name'], restrictions: { 'attr::name::value': 'Alice' } }]), ['old']);
    assert.deepEqual(pick(asked, some, [{ names: ['name'], restrictions: { cred_def_id: 'B/cd' } }]), ['old']);
    assert.deepEqual(
      pick(asked, some, [{ names: ['name'], restrictions: { cred_def_id: 'Z/cd' } }]),
      ['new'],
      'nothing fits: as if it had said nothing',
    );
    assert.deepEqual(
      pick({ requested_predicates: { p: { name: 'age', p_type: '>', p_value: 1 } } }, some, [
        { names: ['age'], restrictions: { cred_def_id: 'B/cd' } },
      ]),
      ['old'],
    );
    const whole = { ...request, ...asked, requested_predicates: {} };
    const stated = [{ names: ['name'], restrictions: { 'attr::name::value': 'Carol' }, stated: 'Carol' }];
    const refused = selectCredentials(whole, matchCredentials(whole, some), some, stated);
    assert.deepEqual([refused.credentials, refused.selfAttested, refused.missing], [[], { n: 'Carol' }, []]);
    const unstated = selectCredentials(whole, matchCredentials(whole, some), some, [{ ...stated[0]!, stated: undefined }]);
    assert.deepEqual(
      unstated.credentials.map(({ id }) => id),
      ['new'],
      'nothing fits: as if it had said nothing',
    );
  });

  test('a hostile request costs a bounded search', () => {
    // each credential lacks a few attributes in its own way: there is no small cover, and there are very many large ones
    const names = Array.from({ length: 60 }, (_none, i) => `a${i}`);
    const some = Array.from({ length: 300 }, (_none, i) =>
      credential(
        `c${i}`,
        'A',
        Object.fromEntries(names.filter((_name, j) => (i * 7 + j * j * 13) % 11 < 2).map((name) => [name, String(i)])),
      ),
    );
    const asked = {
      requested_attributes: Object.fromEntries(names.map((name) => [name, { name, restrictions: [{ [`attr::${name}::marker`]: '1' }] }])),
    };
    const began = process.cpuUsage();
    const chosen = pick(asked, some);
    assert.ok(chosen.length > 1 && chosen.length <= 60);
    assert.ok(process.cpuUsage(began).user < 5_000_000, 'seconds of computing');
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
