import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, suite, test } from 'node:test';
import { makeNewKeys } from '../../../test/support/new-keys.ts';
import { world } from '../../../test/support/revocation.ts';
import { TEST_MS } from '../../../test/support/waiting.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { checkPresentation } from '../../formats/anoncreds-checks.ts';
import { encodeValues, newNonce } from '../../formats/anoncreds-values.ts';
import type {
  AnonCredsSchema,
  Credential,
  CredentialDefinition,
  PredicateType,
  Presentation,
  PresentationRequest,
  Refusal,
  RefusalReason,
} from '../../ports/anoncreds.ts';
import type { JsonObject } from '../../ports/json.ts';
import { openAnonCreds } from './anoncreds.ts';

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const here = libraryPath !== undefined && existsSync(libraryPath);
const skip = here ? false : 'LIB_ANONCREDS_PATH names no folder';

const load = (name: string): Record<string, JsonObject & string> =>
  JSON.parse(readFileSync(new URL(`../../../test/vectors/anoncreds/${name}.json`, import.meta.url), 'utf8'));
const code = (wanted: ErrorCode, words?: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === wanted && (words?.test(error.message) ?? true);

interface Flow {
  schemaId: string;
  schema: AnonCredsSchema;
  credDefId: string;
  credentialDefinition: CredentialDefinition;
  private: JsonObject;
  keyCorrectnessProof: JsonObject;
}

suite('the AnonCreds library', { skip }, () => {
  makeNewKeys();
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  after(() => engine.close());

  const rust = load('anoncreds-rs-wasm-flow');
  const identus = load('identus-fixtures');
  const flows: Record<string, Flow> = {
    'anoncreds-rs': {
      schemaId: rust.schema_id!,
      schema: rust.schema as unknown as AnonCredsSchema,
      credDefId: rust.cred_def_id!,
      credentialDefinition: rust.credential_definition as unknown as CredentialDefinition,
      private: rust.credential_definition_private!,
      keyCorrectnessProof: rust.key_correctness_proof!,
    },
    identus: {
      schemaId: identus.schemaId!,
      schema: identus.schema as unknown as AnonCredsSchema,
      credDefId: identus.credDefId!,
      credentialDefinition: identus.credentialDefinition as unknown as CredentialDefinition,
      private: identus.credentialDefinitionPrivate!,
      keyCorrectnessProof: identus.credentialKeyCorrectnessProof!,
    },
  };

  const objects = (flow: Flow) => ({
    schemas: { [flow.schemaId]: flow.schema },
    credentialDefinitions: { [flow.credDefId]: flow.credentialDefinition },
  });

  const issue = async (flow: Flow, linkSecret: string, raw: Record<string, string>): Promise<Credential> => {
    const { credentialDefinition } = flow;
    const offer = await engine.createOffer('issuer', {
      schemaId: flow.schemaId,
      credentialDefinitionId: flow.credDefId,
      keyCorrectnessProof: flow.keyCorrectnessProof,
    });
    const { request, metadata } = await engine.createRequest('holder', {
      offer,
      credentialDefinition,
      linkSecret,
      linkSecretId: 'main',
      entropy: newNonce(),
    });
    const credential = await engine.createCredential('issuer', {
      credentialDefinition,
      private: flow.private,
      offer,
      request,
      values: encodeValues(raw),
    });
    return engine.processCredential('holder', { credential, metadata, linkSecret, credentialDefinition });
  };

  const present = (
    flow: Flow,
    request: PresentationRequest,
    credential: JsonObject,
    linkSecret: string,
    hide: string[] = [],
    self: Record<string, string> = {},
  ) =>
    engine.createPresentation('holder', {
      request,
      credentials: [
        {
          credential,
          attributes: Object.keys(request.requested_attributes)
            .filter((referent) => !(referent in self))
            .map((referent) => ({ referent, reveal: !hide.includes(referent) })),
          predicates: Object.keys(request.requested_predicates),
        },
      ],
      selfAttested: self,
      linkSecret,
      ...objects(flow),
    });

  test('outside flow of anoncreds-rs: the credential is processed, its presentation verifies', async () => {
    const processed = await engine.processCredential('t', {
      credential: rust.credential_as_issued!,
      metadata: rust.request_metadata!,
      linkSecret: rust.link_secret!,
      credentialDefinition: flows['anoncreds-rs']!.credentialDefinition,
    });
    assert.deepEqual(processed.values, (rust.credential_processed as unknown as Credential).values);
    const result = await engine.verifyPresentation('t', {
      request: rust.presentation_request as unknown as PresentationRequest,
      presentation: rust.presentation as unknown as Presentation,
      ...objects(flows['anoncreds-rs']!),
    });
    assert.deepEqual(result, { verified: true, refusals: [] });
  });

  test("outside flow of Identus: the credential presents, the one of a minor does not, another wallet's submission is refused", async () => {
    const flow = flows.identus!;
    const request = identus.presentationRequest as unknown as PresentationRequest;
    const linkSecret = identus.linkSecret!;
    await engine.processCredential('t', {
      credential: identus.credentialIssued!,
      metadata: identus.credentialRequestMeta!,
      linkSecret,
      credentialDefinition: flow.credentialDefinition,
    });
    const presentation = await present(flow, request, identus.credential!, linkSecret);
    assert.equal((await engine.verifyPresentation('t', { request, presentation, ...objects(flow) })).verified, true);
    await assert.rejects(present(flow, request, identus.underAgeCredential!, linkSecret), code('anoncreds-failed'));
    const result = await engine.verifyPresentation('t', {
      request,
      presentation: identus.underAgeSubmission as unknown as Presentation,
      ...objects(flow),
    });
    assert.equal(result.verified, false);
    assert.equal(result.refusals[0]?.reason, 'object-missing');
    // Even when its identifiers are made to fit, it proves another bound than the one that was asked for.
    const bent = structuredClone(identus.underAgeSubmission) as unknown as Presentation;
    bent.identifiers = [{ schema_id: flow.schemaId, cred_def_id: flow.credDefId }];
    const reasons = (await engine.verifyPresentation('t', { request, presentation: bent, ...objects(flow) })).refusals.map(
      ({ reason }) => reason,
    );
    assert.deepEqual(reasons, ['predicate-mismatch', 'predicate-unrequested']);
  });

  test('from nothing to a verified presentation, with fresh keys', { timeout: TEST_MS }, async () => {
    const issuerId = `did:algo:testnet:app:7:${'ab'.repeat(32)}`;
    const schema = await engine.createSchema('issuer', {
      name: 'Degree',
      version: '1.0',
      attrNames: ['First Name', 'age', 'degree'],
      issuerId,
    });
    const schemaId = `${issuerId}/anoncreds/v1/SCHEMA/x`;
    const credDefId = `${issuerId}/anoncreds/v1/CLAIM_DEF/y`;
    const made = await engine.createCredentialDefinition('issuer', { schemaId, schema, issuerId, tag: 'default' });
    const flow: Flow = { schemaId, schema, credDefId, ...made };
    const linkSecret = await engine.createLinkSecret('holder');
    const credential = await issue(flow, linkSecret, { 'First Name': 'Älice "A"', age: '25', degree: '' });
    const request: PresentationRequest = {
      name: 'proof',
      version: '1.0',
      nonce: newNonce(),
      requested_attributes: {
        one: { name: 'firstname', restrictions: [{ issuer_did: issuerId, 'attr::firstname::value': 'Älice "A"' }] },
        group: { names: ['FIRST NAME', 'degree'], restrictions: [{ schema_name: 'Degree' }] },
        hidden: { name: 'degree', restrictions: [{ cred_def_id: credDefId }] },
        phone: { name: 'phone' },
      },
      requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ schema_id: schemaId }] } },
      // Means nothing for a credential that cannot be revoked.
      non_revoked: { to: 1_700_000_000 },
    };
    const presentation = await present(flow, request, credential, linkSecret, ['hidden'], { phone: '555' });
    assert.deepEqual(await engine.verifyPresentation('verifier', { request, presentation, nonce: request.nonce, ...objects(flow) }), {
      verified: true,
      refusals: [],
    });
  });

  test('every kind of predicate, also two on one attribute and negative numbers, of two credentials', async () => {
    const flow = flows['anoncreds-rs']!;
    const linkSecret = await engine.createLinkSecret('holder');
    const first = await issue(flow, linkSecret, { name: 'Alice', age: '-25', degree: 'Maths' });
    const second = await issue(flow, linkSecret, { name: 'Alice', age: '2147483647', degree: '-7' });
    const predicates: [string, PredicateType, number, number][] = [
      ['age', '>=', -25, 0],
      ['age', '<', -24, 0],
      ['age', '>', 2147483646, 1],
      ['degree', '<=', -7, 1],
    ];
    const request: PresentationRequest = {
      name: 'proof',
      version: '1.0',
      nonce: newNonce(),
      requested_attributes: { first: { name: 'name' }, second: { names: ['name'] } },
      requested_predicates: Object.fromEntries(
        predicates.map(([name, type, bound], i) => [`p${i}`, { name, p_type: type, p_value: bound }]),
      ),
    };
    const of = (at: number) => predicates.flatMap(([, , , credential], i) => (credential === at ? [`p${i}`] : []));
    const presentation = await engine.createPresentation('holder', {
      request,
      credentials: [
        { credential: first, attributes: [{ referent: 'first', reveal: true }], predicates: of(0) },
        { credential: second, attributes: [{ referent: 'second', reveal: true }], predicates: of(1) },
      ],
      selfAttested: {},
      linkSecret,
      ...objects(flow),
    });
    const verify = (one: Presentation) => engine.verifyPresentation('verifier', { request, presentation: one, ...objects(flow) });
    assert.deepEqual(await verify(presentation), { verified: true, refusals: [] });
    const altered = structuredClone(presentation);
    altered.proof.proofs[1]!.primary_proof.ge_proofs![0]!.mj = altered.proof.proofs[0]!.primary_proof.ge_proofs![0]!.mj;
    assert.deepEqual(
      (await verify(altered)).refusals.map(({ reason }) => reason),
      ['proof-unbound'],
    );
  });

  test('a request for a credential hides the link secret and nothing else', async () => {
    const flow = flows['anoncreds-rs']!;
    const { credentialDefinition } = flow;
    const offer = await engine.createOffer('issuer', { ...flow, credentialDefinitionId: flow.credDefId });
    const linkSecret = await engine.createLinkSecret('holder');
    const { request } = await engine.createRequest('holder', { offer, credentialDefinition, linkSecret, linkSecretId: 'x', entropy: 'y' });
    type Blinded = { blinded_ms: JsonObject; blinded_ms_correctness_proof: { m_caps: JsonObject; r_caps: JsonObject } };
    const changes: ((one: Blinded) => unknown)[] = [
      (one) => Object.assign(one.blinded_ms, { hidden_attributes: ['master_secret', 'degree'] }),
      (one) => Object.assign(one.blinded_ms, { hidden_attributes: ['degree'] }),
      (one) => Object.assign(one.blinded_ms, { hidden_attributes: [] }),
      (one) => Object.assign(one.blinded_ms, { committed_attributes: { degree: '1' } }),
      (one) => Object.assign(one.blinded_ms_correctness_proof, { m_caps: {} }),
      (one) => Object.assign(one.blinded_ms_correctness_proof.m_caps, { degree: '1' }),
      (one) => Object.assign(one.blinded_ms_correctness_proof.r_caps, { degree: '1' }),
    ];
    const create = (one: JsonObject) =>
      engine.createCredential('issuer', {
        credentialDefinition,
        private: flow.private,
        offer,
        request: one,
        values: encodeValues({ name: 'Alice', age: '25', degree: 'Maths' }),
      });
    for (const change of changes) {
      const altered = structuredClone(request);
      change(altered as unknown as Blinded);
      await assert.rejects(create(altered), code('bad-request', /request\.blinded/), String(change));
    }
    await create(request);
  });

  test('legacy identifiers take prover_did, qualified ones entropy', async () => {
    const flow = flows['anoncreds-rs']!;
    const issuerId = 'WgWxqztrNooG92RXvxSTWv';
    const legacy = {
      schemaId: `${issuerId}:2:degree:1.0`,
      credentialDefinitionId: `${issuerId}:3:CL:7:tag`,
      keyCorrectnessProof: flow.keyCorrectnessProof,
    };
    const credentialDefinition = { ...flow.credentialDefinition, issuerId, schemaId: legacy.schemaId };
    const offer = await engine.createOffer('t', legacy);
    const linkSecret = await engine.createLinkSecret('t');
    const common = { offer, credentialDefinition, linkSecret, linkSecretId: 'x' };
    const { request } = await engine.createRequest('t', { ...common, proverDid: 'LjgpST2rjsoxYegQDRm7EL' });
    assert.equal(request.prover_did, 'LjgpST2rjsoxYegQDRm7EL');
    await assert.rejects(engine.createRequest('t', { ...common, entropy: 'a', proverDid: 'b' }), code('bad-request'));
  });

  suite('an altered presentation is refused, with its reason', () => {
    const flow = flows['anoncreds-rs']!;
    const request: PresentationRequest = {
      name: 'proof',
      version: '1.0',
      nonce: '123456789',
      requested_attributes: {
        name: { name: 'name', restrictions: [{ issuer_did: flow.schema.issuerId }] },
        hidden: { name: 'degree' },
        self: { name: 'phone' },
      },
      requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18 } },
    };
    let good: Presentation | undefined;
    const verify = async (presentation: Presentation, asked: PresentationRequest = request, more: object = {}): Promise<Refusal[]> => {
      const { verified, refusals } = await engine.verifyPresentation('t', { request: asked, presentation, ...objects(flow), ...more });
      assert.equal(verified, refusals.length === 0);
      return refusals;
    };
    const made = async (): Promise<Presentation> => {
      if (!good) {
        const linkSecret = await engine.createLinkSecret('holder');
        const credential = await issue(flow, linkSecret, { name: 'Alice', age: '25', degree: 'Maths' });
        good = await present(flow, request, credential, linkSecret, ['hidden'], { self: '555' });
        assert.deepEqual(await verify(good), []);
      }
      return structuredClone(good);
    };
    const given = (presentation: Presentation) => presentation.requested_proof;
    const other = encodeValues({ name: 'Bob' }).name!;

    const changes: [string, RefusalReason, (presentation: Presentation) => void][] = [
      ['raw', 'raw-encoded-mismatch', (p) => Object.assign(given(p).revealed_attrs.name!, { raw: 'Bob' })],
      ['encoded', 'encoded-proof-mismatch', (p) => Object.assign(given(p).revealed_attrs.name!, { encoded: other.encoded })],
      ['raw and encoded', 'encoded-proof-mismatch', (p) => Object.assign(given(p).revealed_attrs.name!, other)],
      [
        'raw, encoded and the value in the proof',
        'proof-invalid',
        (p) => {
          Object.assign(given(p).revealed_attrs.name!, other);
          p.proof.proofs[0]!.primary_proof.eq_proof.revealed_attrs.name = other.encoded;
        },
      ],
      [
        'the bound of the predicate',
        'predicate-mismatch',
        (p) => Object.assign(p.proof.proofs[0]!.primary_proof.ge_proofs![0]!.predicate, { value: 10 }),
      ],
      [
        'the type of the predicate',
        'predicate-mismatch',
        (p) => Object.assign(p.proof.proofs[0]!.primary_proof.ge_proofs![0]!.predicate, { p_type: 'LE' }),
      ],
      [
        'the name of the predicate',
        'predicate-mismatch',
        (p) => Object.assign(p.proof.proofs[0]!.primary_proof.ge_proofs![0]!.predicate, { attr_name: 'name' }),
      ],
      ['no predicate proof', 'predicate-mismatch', (p) => Object.assign(p.proof.proofs[0]!.primary_proof, { ge_proofs: [] })],
      ['the schema id', 'object-missing', (p) => Object.assign(p.identifiers[0]!, { schema_id: 'did:x:y/other' })],
      ['the credential definition id', 'object-missing', (p) => Object.assign(p.identifiers[0]!, { cred_def_id: 'constructor' })],
      ['a missing attribute', 'referent-missing', (p) => Reflect.deleteProperty(given(p).revealed_attrs, 'name')],
      ['a missing predicate', 'referent-missing', (p) => Reflect.deleteProperty(given(p).predicates, 'adult')],
      ['a missing self-attested attribute', 'referent-missing', (p) => Reflect.deleteProperty(given(p).self_attested_attrs, 'self')],
      ['an unrequested attribute', 'referent-unrequested', (p) => Object.assign(given(p).self_attested_attrs, { extra: 'x' })],
      ['an unrequested predicate', 'referent-unrequested', (p) => Object.assign(given(p).predicates, { extra: { sub_proof_index: 0 } })],
      ['an attribute answered twice', 'referent-twice', (p) => Object.assign(given(p).self_attested_attrs, { name: 'x' })],
      [
        'a restricted attribute that is only stated',
        'self-attested-restricted',
        (p) => {
          Reflect.deleteProperty(given(p).revealed_attrs, 'name');
          given(p).self_attested_attrs.name = 'Alice';
        },
      ],
      ['another sub-proof', 'sub-proof-missing', (p) => Object.assign(given(p).revealed_attrs.name!, { sub_proof_index: 1 })],
      [
        'another sub-proof for the predicate',
        'sub-proof-missing',
        (p) => Object.assign(given(p).predicates.adult!, { sub_proof_index: 7 }),
      ],
      [
        'a hidden attribute that the proof has not',
        'attribute-unproven',
        (p) => {
          const { m } = p.proof.proofs[0]!.primary_proof.eq_proof;
          Reflect.deleteProperty(m, 'degree');
        },
      ],
      [
        'a revealed attribute more than asked for',
        'revealed-unrequested',
        (p) => Object.assign(p.proof.proofs[0]!.primary_proof.eq_proof.revealed_attrs, { degree: '1' }),
      ],
      ['an identifier more than proofs', 'malformed', (p) => p.identifiers.push(p.identifiers[0]!)],
      ['a response of the proof', 'proof-invalid', (p) => Object.assign(p.proof.proofs[0]!.primary_proof.eq_proof, { e: '1' })],
      ['a member of another type', 'malformed', (p) => Object.assign(given(p), { revealed_attrs: [] })],
      ['nothing', 'malformed', (p) => Object.assign(p, { proof: null })],
      ['a NUL', 'malformed', (p) => Object.assign(given(p).self_attested_attrs, { self: 'a\0b' })],
    ];
    for (const [what, reason, change] of changes) {
      test(`${what}: ${reason}`, async () => {
        const presentation = await made();
        change(presentation);
        const reasons = (await verify(presentation)).map((refusal) => refusal.reason);
        assert.ok(reasons.includes(reason), `${reasons}`);
      });
    }

    test("a self-attested value is the holder's own: it may be anything", async () => {
      const presentation = await made();
      given(presentation).self_attested_attrs.self = '666';
      assert.deepEqual(await verify(presentation), []);
    });

    const asked: [string, RefusalReason, (request: PresentationRequest) => void][] = [
      ['the nonce', 'proof-invalid', (r) => Object.assign(r, { nonce: '987654321' })],
      ['the bound', 'predicate-mismatch', (r) => Object.assign(r.requested_predicates.adult!, { p_value: 21 })],
      ['a name', 'attribute-unproven', (r) => Object.assign(r.requested_attributes.name!, { name: 'age' })],
      [
        'a restriction',
        'restriction-unmet',
        (r) => Object.assign(r.requested_attributes.name!, { restrictions: [{ issuer_did: 'did:x:z' }] }),
      ],
      [
        'a restriction of a predicate',
        'restriction-unmet',
        (r) => Object.assign(r.requested_predicates.adult!, { restrictions: [{ schema_version: '9' }] }),
      ],
      [
        'a value that stays hidden',
        'restriction-unmet',
        (r) => Object.assign(r.requested_attributes.hidden!, { restrictions: { 'attr::degree::value': 'Maths' } }),
      ],
      [
        'a restriction that nobody knows',
        'restriction-unsupported',
        (r) => Object.assign(r.requested_attributes.name!, { restrictions: { x: 'y' } }),
      ],
      ['a group', 'name-mismatch', (r) => Object.assign(r.requested_attributes, { name: { names: ['name'] } })],
    ];
    for (const [what, reason, change] of asked) {
      test(`another request: ${what}: ${reason}`, async () => {
        const presentation = await made();
        const altered = structuredClone(request);
        change(altered);
        const reasons = (await verify(presentation, altered)).map((refusal) => refusal.reason);
        assert.ok(reasons.includes(reason), `${reasons}`);
      });
    }

    test("the nonce that was sent must be the request's", async () => {
      assert.deepEqual(
        (await verify(await made(), request, { nonce: '1' })).map(({ reason }) => reason),
        ['nonce-mismatch'],
      );
    });

    test('the definition of another schema: identifier-mismatch', async () => {
      const credentialDefinitions = { [flow.credDefId]: { ...flow.credentialDefinition, schemaId: 'did:x:y/other' } };
      assert.equal((await verify(await made(), request, { credentialDefinitions }))[0]?.reason, 'identifier-mismatch');
    });

    test('the keys of another issuer: proof-invalid', async () => {
      const primary = structuredClone(flow.credentialDefinition.value.primary) as { s: string; z: string } & JsonObject;
      [primary.s, primary.z] = [primary.z, primary.s];
      const credentialDefinitions = { [flow.credDefId]: { ...flow.credentialDefinition, value: { primary } } };
      assert.deepEqual(
        (await verify(await made(), request, { credentialDefinitions })).map(({ reason }) => reason),
        ['proof-invalid'],
      );
    });

    test('non-revocation of a credential that can be revoked must be proven', async () => {
      const { revocation } = world.definitions.revocable.credentialDefinition.value;
      const credentialDefinitions = {
        [flow.credDefId]: { ...flow.credentialDefinition, value: { ...flow.credentialDefinition.value, revocation } },
      };
      const reasons = await verify(await made(), { ...request, non_revoked: { to: 1 } }, { credentialDefinitions });
      assert.deepEqual(
        reasons.map(({ reason, referent }) => `${reason} ${referent}`),
        ['revocation-unproven name', 'revocation-unproven hidden', 'revocation-unproven adult'],
      );
      assert.deepEqual(await verify(await made(), request, { credentialDefinitions }), []);
    });
  });

  test('an impossible input is refused before it reaches the library', async () => {
    const flow = flows['anoncreds-rs']!;
    const schema = { name: 's', version: '1.0', attrNames: ['a'], issuerId: 'did:x:y' };
    for (const bad of [
      { ...schema, attrNames: [] },
      { ...schema, attrNames: ['a', 'A '] },
      { ...schema, attrNames: Array.from({ length: 126 }, (_, i) => `a${i}`) },
      { ...schema, attrNames: ['a\0b'] },
      { ...schema, name: '' },
      { ...schema, version: 1 },
      null,
    ]) {
      await assert.rejects(
        engine.createSchema('t', bad as unknown as AnonCredsSchema),
        code('bad-request'),
        JSON.stringify(bad)?.slice(0, 60),
      );
    }
    assert.equal(
      (await engine.createSchema('t', { ...schema, attrNames: Array.from({ length: 125 }, (_, i) => `a${i}`) })).attrNames.length,
      125,
    );
    await assert.rejects(issue(flow, '12', { name: 'a\0', age: '1', degree: 'x' }), code('bad-request'));
    await assert.rejects(issue(flow, 'x', { name: 'a', age: '1', degree: 'x' }), code('bad-request', /linkSecret/));
    await assert.rejects(issue(flow, '12', { name: 'a' }), code('anoncreds-failed'));
  });

  test('errors of the library come without secrets', async () => {
    const flow = flows['anoncreds-rs']!;
    const linkSecret = await engine.createLinkSecret('t');
    const attempt = engine.processCredential('t', {
      credential: rust.credential_as_issued!,
      metadata: rust.request_metadata!,
      linkSecret,
      credentialDefinition: flow.credentialDefinition,
    });
    await assert.rejects(
      attempt,
      (error: unknown) => error instanceof AppError && error.code === 'anoncreds-failed' && !/[0-9]{12}/.test(error.message),
    );
  });
});
