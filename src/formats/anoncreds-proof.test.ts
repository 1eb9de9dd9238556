import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import type { CredentialDefinition, Presentation, SubProof } from '../ports/anoncreds.ts';
import { type ProofKey, proofFault } from './anoncreds-proof.ts';

const flow = JSON.parse(readFileSync(new URL('../../test/vectors/anoncreds/anoncreds-rs-wasm-flow.json', import.meta.url), 'utf8')) as {
  presentation: Presentation;
  schema: { attrNames: string[] };
  credential_definition: CredentialDefinition;
};
const key: ProofKey = { schema: flow.schema, modulus: String(flow.credential_definition.value.primary.n) };

type Equality = SubProof['primary_proof']['eq_proof'];
type Predicate = NonNullable<SubProof['primary_proof']['ge_proofs']>[number];

/** What is wrong with the real presentation when it is altered like this. */
function faultOf(change: (equality: Equality, predicate: Predicate, presentation: Presentation) => void): string | undefined {
  const altered = structuredClone(flow.presentation);
  const { eq_proof: equality, ge_proofs: predicates } = altered.proof.proofs[0]!.primary_proof;
  change(equality, predicates![0]!, altered);
  return proofFault(altered, [key]);
}

/** Two of the same sub-proof, as of two credentials of one holder. */
function twice(): Presentation {
  const two = structuredClone(flow.presentation);
  two.proof.proofs.push(structuredClone(two.proof.proofs[0]!));
  two.proof.aggregated_proof.c_list.push(...two.proof.aggregated_proof.c_list.map((one) => [...one]));
  return two;
}

/** Sets a response and everything that must be equal to it. */
const RESPONSES: Record<string, [bits: number, set: (value: string, equality: Equality, predicate: Predicate, all: Presentation) => void]> =
  {
    challenge: [256, (value, _equality, _predicate, all) => Object.assign(all.proof.aggregated_proof, { c_hash: value })],
    e: [457, (value, equality) => Object.assign(equality, { e: value })],
    v: [3061, (value, equality) => Object.assign(equality, { v: value })],
    m2: [2433, (value, equality) => Object.assign(equality, { m2: value })],
    'm of the link secret': [593, (value, equality) => Object.assign(equality.m, { master_secret: value })],
    'm of an attribute': [593, (value, equality) => Object.assign(equality.m, { degree: value })],
    'm of a predicate': [
      593,
      (value, equality, predicate) => {
        equality.m.age = value;
        predicate.mj = value;
      },
    ],
    'u of a square': [593, (value, _equality, predicate) => Object.assign(predicate.u, { 2: value })],
    'r of a square': [2386, (value, _equality, predicate) => Object.assign(predicate.r, { 3: value })],
    'r of the difference': [2386, (value, _equality, predicate) => Object.assign(predicate.r, { DELTA: value })],
    alpha: [2788, (value, _equality, predicate) => Object.assign(predicate, { alpha: value })],
  };

suite('the responses of an AnonCreds proof', () => {
  test('a real presentation has no fault, nor have two sub-proofs', () => {
    assert.equal(proofFault(flow.presentation, [key]), undefined);
    assert.equal(proofFault(twice(), [key, key]), undefined);
  });

  for (const [name, [bits, set]] of Object.entries(RESPONSES)) {
    test(`the range of ${name}: 0 to ${bits} bits`, () => {
      const of = (value: bigint) => faultOf((...at) => set(value.toString(), ...at));
      assert.equal(of(0n), undefined);
      assert.equal(of(2n ** BigInt(bits) - 1n), undefined);
      assert.notEqual(of(2n ** BigInt(bits)), undefined);
      assert.notEqual(of(-1n), undefined);
      assert.notEqual(of(-(2n ** BigInt(bits - 1))), undefined);
    });
  }

  const n = BigInt(key.modulus);
  const commitments: [string, (value: string, equality: Equality, predicate: Predicate) => void][] = [
    ['a_prime', (value, equality) => Object.assign(equality, { a_prime: value })],
    ...['0', '1', '2', '3', 'DELTA'].map((at): [string, (value: string, equality: Equality, predicate: Predicate) => void] => [
      `t of ${at}`,
      (value, _equality, predicate) => Object.assign(predicate.t, { [at]: value }),
    ]),
  ];
  for (const [name, set] of commitments) {
    test(`${name} is a number below the modulus, and the challenge covers it`, () => {
      for (const value of [0n, n, n + 1n, -1n, 2n * n])
        assert.match(String(faultOf((...at) => set(value.toString(), at[0], at[1]))), /a_prime|t$/);
      assert.match(String(faultOf((...at) => set('12345', at[0], at[1]))), /commitments of the challenge/);
    });
  }

  const cases: [string, RegExp, (equality: Equality, predicate: Predicate, all: Presentation) => void][] = [
    ['a predicate with a response of its own', /predicate of another attribute/, (_e, p) => Object.assign(p, { mj: '1' })],
    [
      'a predicate of an attribute that is shown',
      /predicate of another attribute/,
      (_e, p) => Object.assign(p.predicate, { attr_name: 'name' }),
    ],
    [
      'a predicate of an inherited member',
      /predicate of another attribute/,
      (_e, p) => Object.assign(p.predicate, { attr_name: 'constructor' }),
    ],
    [
      'a response under another spelling of the name',
      /attributes/,
      (e) => {
        e.m.AGE = e.m.age!;
        delete e.m.age;
      },
    ],
    ['two spellings of one name', /attributes/, (e) => Object.assign(e.m, { 'a ge': e.m.age })],
    ['an attribute that is shown and hidden', /attributes/, (e) => Object.assign(e.m, { name: '1' })],
    ['an attribute that the schema does not have', /attributes/, (e) => Object.assign(e.m, { other: '1' })],
    ['an attribute less', /attributes/, (e) => Reflect.deleteProperty(e.m, 'degree')],
    [
      'a link secret that is shown',
      /link secret/,
      (e) => {
        e.revealed_attrs.master_secret = '1';
        delete e.m.master_secret;
      },
    ],
    ['another member of the equality proof', /members/, (e) => Object.assign(e, { m1: '1' })],
    ['another member of a predicate proof', /members/, (_e, p) => Object.assign(p, { mk: '1' })],
    ['a square more', /numbers of a predicate/, (_e, p) => Object.assign(p.u, { 4: '1' })],
    ['a square less', /numbers of a predicate/, (_e, p) => Reflect.deleteProperty(p.r, '3')],
    ['a commitment less', /numbers of a predicate/, (_e, p) => Reflect.deleteProperty(p.t, 'DELTA')],
    ['a commitment of the challenge less', /commitments of the challenge/, (_e, _p, all) => all.proof.aggregated_proof.c_list.pop()],
    ['a commitment of the challenge more', /commitments of the challenge/, (_e, _p, all) => all.proof.aggregated_proof.c_list.push([1])],
    ['commitments in another order', /commitments of the challenge/, (_e, _p, all) => all.proof.aggregated_proof.c_list.reverse()],
    ['a commitment with a leading zero', /commitments of the challenge/, (_e, _p, all) => all.proof.aggregated_proof.c_list[0]!.unshift(0)],
    ['no commitments', /commitments of the challenge/, (_e, _p, all) => Object.assign(all.proof.aggregated_proof, { c_list: [] })],
    [
      'a proof of non-revocation that was not asked for',
      /non-revocation/,
      (_e, _p, all) => Object.assign(all.proof.proofs[0]!, { non_revoc_proof: {} }),
    ],
  ];
  for (const [what, fault, change] of cases) test(`${what} is a fault`, () => assert.match(String(faultOf(change)), fault));

  test('two credentials of different link secrets are a fault', () => {
    const two = twice();
    two.proof.proofs[1]!.primary_proof.eq_proof.m.master_secret = '1';
    assert.match(String(proofFault(two, [key, key])), /sub-proof 1: another link secret/);
  });
});
