import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Api, type Body, Refused } from './api.ts';
import { type Card, FAMILIES, offerCard, requestCard } from './cards.ts';

/** What an admin API answers, by path; anything else is 404. */
const apiOf = (answers: Readonly<Record<string, Body>>): Api =>
  ({
    async get(path: string) {
      const answer = answers[path];
      if (answer === undefined) throw new Refused(404, path);
      return answer;
    },
  }) as Api;

const [OFFER_2, OFFER_1, REQUEST_2, REQUEST_1] = FAMILIES as readonly [Body, Body, Body, Body];
const contact = { their_label: 'Acme', created_at: '2026-01-02T03:04:05Z', state: 'active' };
const LEDGER = {
  '/connections/c': contact,
  '/anoncreds/credential-definition/d': { credential_definition: { issuerId: 'did:x:acme', schemaId: 's' } },
  '/anoncreds/schema/s': { schema: { name: 'badge', version: '1.0' } },
};
const linesOf = (card: Card): string[] => card.lines.filter((line) => !line.includes('connected since'));
const attributes = [{ name: 'name', value: 'Alice' }];

test('an offer, in both versions, says who gives what; what the ledger does not answer is named', async () => {
  const offers: [Body, Body][] = [
    [
      OFFER_2,
      { cred_ex_id: 'x', connection_id: 'c', by_format: { cred_offer: { anoncreds: { cred_def_id: 'd' } } }, cred_preview: { attributes } },
    ],
    [
      OFFER_1,
      {
        credential_exchange_id: 'x',
        connection_id: 'c',
        credential_offer: { cred_def_id: 'd' },
        credential_offer_dict: { credential_preview: { attributes } },
      },
    ],
  ];
  for (const [family, record] of offers) {
    const card = await offerCard(apiOf(LEDGER), family, record);
    assert.deepEqual(linesOf(card), [
      'from: “Acme”',
      'credential: “badge” 1.0',
      'issued by: did:x:acme',
      'you would get:',
      '  name: Alice',
      'Taking it shows them nothing of your wallet.',
    ]);
    assert.deepEqual(card.yes, { path: `${family.path}/x/send-request`, body: {} });
  }
  const [family, record] = offers[0]!;
  const elsewhere = { by_format: { cred_offer: { anoncreds: { cred_def_id: 'e' } } }, cred_preview: undefined, connection_id: undefined };
  const away = await offerCard(apiOf({}), family, { ...record, ...elsewhere });
  assert.deepEqual(linesOf(away).slice(0, 4), [
    'from: nobody whom you are connected with',
    'credential: “e”',
    'issued by: the ledger does not answer now, so this is not known',
    'They do not say which values you would get.',
  ]);
  const many = Array.from({ length: 500 }, (_, i) => ({ name: `n${i}`, value: 'v' }));
  const long = await offerCard(apiOf(LEDGER), family, { ...record, cred_preview: { attributes: many } });
  assert.ok(long.lines.length < 80 && long.lines.includes('  … and 440 more'));
  const unknown = await offerCard(apiOf(LEDGER), family, { ...record, by_format: { cred_offer: { 'ld-proof': {} } } });
  assert.equal(unknown.yes, undefined);
});

const REQUEST = {
  name: 'entry',
  requested_attributes: {
    a: { name: 'name', restrictions: [{ cred_def_id: 'd' }] },
    g: { names: ['Full Name', 'age'], restrictions: [{ cred_def_id: 'd' }] },
    own: { name: 'nickname' },
  },
  requested_predicates: { p: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{}] } },
};
const info = { referent: 'r', cred_def_id: 'd', attrs: { name: 'Alice', fullname: 'Alice A.', age: '30' } };
const matches = (referents: readonly string[]): Body => [
  { cred_info: { ...info, referent: 'other' }, presentation_referents: ['a'] },
  { cred_info: info, presentation_referents: referents },
];

test('a request says what is shown, what is only proved, and what the person says alone; one credential answers what it can', async () => {
  const path = '/present-proof-2.0/records/x/credentials?limit=1000';
  const record = { pres_ex_id: 'x', connection_id: 'c', by_format: { pres_request: { anoncreds: REQUEST } } };
  const card = await requestCard(apiOf({ ...LEDGER, [path]: matches(['a', 'g', 'p']) }), REQUEST_2, record);
  assert.deepEqual(linesOf(card), [
    'from: “Acme”',
    'purpose, in their words: “entry”',
    'they would see:',
    '  name: Alice',
    '    (out of “badge” 1.0)',
    '  Full Name: Alice A.',
    '  age: 30',
    '    (out of “badge” 1.0)',
    'proved, but the value stays hidden:',
    '  age is at least 18',
    '    (out of “badge” 1.0)',
    'you would say for yourself, and nobody vouches for it:',
    '  nickname',
  ]);
  assert.deepEqual(card.yes?.body.anoncreds, {
    requested_attributes: { a: { cred_id: 'r', revealed: true }, g: { cred_id: 'r', revealed: true } },
    requested_predicates: { p: { cred_id: 'r' } },
    self_attested_attributes: {},
  });
  assert.deepEqual(card.own, [{ referent: 'own', name: 'nickname' }]);
});

test('a request that the wallet cannot answer can only be declined, in both versions', async () => {
  const path = '/present-proof/records/x/credentials?limit=1000';
  const old = { presentation_exchange_id: 'x', connection_id: 'c', presentation_request: REQUEST };
  const missing = await requestCard(apiOf({ ...LEDGER, [path]: matches(['a']) }), REQUEST_1, old);
  assert.equal(missing.yes, undefined);
  assert.deepEqual(missing.own, []);
  assert.deepEqual(missing.lines.slice(-4), [
    'your wallet has no credential that answers:',
    '  Full Name',
    '  age',
    '  age is at least 18',
  ]);
  const whole = await requestCard(apiOf({ ...LEDGER, [path]: matches(['a', 'g', 'p']) }), REQUEST_1, old);
  assert.ok(whole.yes?.body.requested_attributes);
  const unknown = await requestCard(apiOf(LEDGER), REQUEST_2, { pres_ex_id: 'x', by_format: { pres_request: { dif: {} } } });
  assert.equal(unknown.yes, undefined);
});
