import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  attributesOf,
  type Configuration,
  claimsOf,
  formerSubjectOf,
  personOf,
  proofRequest,
  readConfiguration,
  readConfigurations,
  subjectOf,
} from './configurations.ts';

/** The example of acapy-vc-authn-oidc (`verificationConfigs/examples.py`), as it stands there. */
const THEIRS = {
  ver_config_id: 'test-request-config',
  include_v1_attributes: false,
  generate_consistent_identifier: false,
  subject_identifier: 'first_name',
  proof_request: {
    name: 'Basic Proof',
    version: '1.0',
    requested_attributes: [{ names: ['first_name', 'last_name'], restrictions: [] }],
    requested_predicates: [],
  },
};
const NOW = new Date('2026-03-01T12:00:00Z');
const of = (more: object): Configuration => readConfiguration({ ...THEIRS, ...more });

test('a configuration of acapy-vc-authn-oidc is read as it is, from JSON and YAML, and asks for the same', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-login-'));
  try {
    writeFileSync(join(folder, 'theirs.json'), JSON.stringify(THEIRS));
    writeFileSync(
      join(folder, 'labels.yaml'),
      `ver_config_id: adult
subject_identifier: ''
generate_consistent_identifier: true
metadata: { en: { title: Adults, claims: [Age] } }
proof_request:
  version: '0.0.1'
  requested_attributes: [{ names: [given], label: who, restrictions: [{ schema_name: Person, issuer_did: 'did:algo:x' }] }]
  requested_predicates:
    - { name: born, p_type: <=, p_value: $threshold_years_19, restrictions: [] }
    - { name: until, label: valid, p_type: '>', p_value: $today_int, restrictions: [] }
    - { name: from, p_type: '<', p_value: $tomorrow_int, restrictions: [] }
    - { name: at, p_type: <=, p_value: $now, restrictions: [] }
`,
    );
    const all = readConfigurations(folder);
    assert.deepEqual([...all.keys()], ['adult', 'test-request-config']);
    assert.deepEqual(proofRequest(all.get('test-request-config')!, NOW), {
      name: 'Basic Proof',
      version: '1.0',
      requested_attributes: { req_attr_0: { names: ['first_name', 'last_name'], restrictions: [] } },
      requested_predicates: {},
    });
    assert.deepEqual(proofRequest(all.get('adult')!, NOW), {
      name: 'proof_requested',
      version: '0.0.1',
      requested_attributes: { who: { names: ['given'], restrictions: [{ schema_name: 'Person', issuer_did: 'did:algo:x' }] } },
      requested_predicates: {
        req_pred_0: { name: 'born', p_type: '<=', p_value: 20070301, restrictions: [] },
        valid: { name: 'until', p_type: '>', p_value: 20260301, restrictions: [] },
        req_pred_2: { name: 'from', p_type: '<', p_value: 20260302, restrictions: [] },
        req_pred_3: { name: 'at', p_type: '<=', p_value: 1772366400, restrictions: [] },
      },
    });
    writeFileSync(join(folder, 'none.yaml'), 'ver_config_id: [');
    assert.throws(() => readConfigurations(folder), /^Error: none\.yaml: /);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a configuration that cannot be asked for is refused when it is read', () => {
  const predicate = (p_value: unknown) => ({
    proof_request: { ...THEIRS.proof_request, requested_predicates: [{ name: 'a', p_type: '>=', p_value, restrictions: [] }] },
  });
  for (const more of [
    { ver_config_id: '' },
    { ver_config_id: 'a b' },
    { subject_identifier: undefined },
    { proof_request: { version: '1' } },
    predicate('$nothing'),
    predicate('$threshold_years_'),
    predicate(1.5),
    predicate(null),
  ])
    assert.throws(() => of(more), Error, JSON.stringify(more));
});

const shows = (values: Record<string, string>) => ({
  requested_proof: {
    revealed_attr_groups: { req_attr_0: { values: Object.fromEntries(Object.entries(values).map(([name, raw]) => [name, { raw }])) } },
  },
});

test('claims are those of acapy-vc-authn-oidc', () => {
  const attributes = attributesOf(of({}), shows({ last_name: 'Lovelace', first_name: 'Ada' }));
  assert.deepEqual({ ...attributes }, { first_name: 'Ada', last_name: 'Lovelace' });
  const claims = {
    pres_req_conf_id: 'test-request-config',
    acr: 'vc_authn',
    vc_presented_attributes: '{"first_name":"Ada","last_name":"Lovelace"}',
  };
  assert.deepEqual(claimsOf(of({}), attributes), claims);
  assert.deepEqual(claimsOf(of({ include_v1_attributes: true }), attributes), { ...attributes, ...claims });
  const clash = { ...THEIRS.proof_request, requested_attributes: [{ names: ['acr'], restrictions: [] }] };
  const v1 = of({ include_v1_attributes: true, proof_request: clash });
  assert.equal(claimsOf(v1, attributesOf(v1, shows({ acr: 'mine' }))).acr, 'vc_authn', 'an attribute is no claim of the provider');
  assert.throws(() => attributesOf(of({}), shows({ first_name: 'Ada' })), /last_name is not revealed/);
});

test('a subject is the same for the same person at the same client, and cannot be found without the secret', () => {
  const [one, other] = [
    { first_name: 'Ada', last_name: 'Lovelace' },
    { last_name: 'Lovelace', first_name: 'Ada' },
  ];
  const subject = (more: object, attributes: Record<string, string>, sector = 'shop.example', secret = 'secret'): string =>
    subjectOf(personOf(of(more), attributes, secret), sector, secret);
  assert.equal(subject({}, one), subject({}, { ...one, last_name: 'King' }), 'by its attribute');
  assert.notEqual(subject({}, one), subject({}, { ...one, first_name: 'Eve' }));
  const shown = { subject_identifier: '', generate_consistent_identifier: true };
  assert.equal(subject(shown, one), subject(shown, other), 'in any order');
  assert.notEqual(subject(shown, one), subject(shown, { ...one, last_name: 'King' }));
  assert.notEqual(subject({ subject_identifier: '' }, one), subject({ subject_identifier: '' }, one), 'nobody in particular');
  assert.notEqual(subject({ subject_identifier: 'toString' }, one), subject({ subject_identifier: 'toString' }, one));
  const each = [subject({}, one), subject({}, one, 'forum.example'), subject({}, one, 'shop.example', 'another'), subject(shown, one)];
  assert.equal(new Set([...each, subject({ ver_config_id: 'second' }, one)]).size, 5);
  for (const text of each) assert.match(text, /^[A-Za-z0-9_-]{43}$/);
});

test('a former subject is the one of acapy-vc-authn-oidc', () => {
  const attributes = { level: 'gold', name: 'Zoë "Z" \u007f 你', b: '1' };
  assert.equal(formerSubjectOf(of({ subject_identifier: 'level' }), attributes), 'gold@test-request-config');
  // by Python: sha256(json.dumps(json.dumps(attributes), ensure_ascii=False) + '@adult')
  assert.equal(
    formerSubjectOf(of({ ver_config_id: 'adult', generate_consistent_identifier: true }), attributes),
    '67a602c9c4db1a35eb1a975055c92a7983eb0fc4d4c1f6d323d41a64ac57322a',
  );
  assert.equal(formerSubjectOf(of({}), attributes), undefined);
});
