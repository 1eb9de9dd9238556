import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, suite, test } from 'node:test';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { checkPresentation } from '../../src/formats/anoncreds-checks.ts';
import type { LedgerObjects, Presentation, PresentationRequest } from '../../src/ports/anoncreds.ts';

/** A holder that alters what a real proof is made of: the engine, as the agent starts it, says which rule does not hold. */

const libraryPath = process.env.LIB_ANONCREDS_PATH;
const skip = libraryPath !== undefined && existsSync(libraryPath) ? false : 'LIB_ANONCREDS_PATH names no folder';
const flow = JSON.parse(readFileSync(new URL('../vectors/anoncreds/anoncreds-rs-wasm-flow.json', import.meta.url), 'utf8'));

suite('a holder that alters its proof', { skip }, () => {
  const engine = openAnonCreds({ libraryPath, checkPresentation, workers: 1 });
  after(() => engine.close());
  const objects: LedgerObjects = {
    schemas: { [flow.schema_id]: flow.schema },
    credentialDefinitions: { [flow.cred_def_id]: flow.credential_definition },
  };
  const verify = (presentation: Presentation) =>
    engine.verifyPresentation('verifier', { request: flow.presentation_request as PresentationRequest, presentation, ...objects });
  const reasons = async (alter: (presentation: Presentation) => unknown): Promise<string[]> => {
    const presentation = structuredClone(flow.presentation) as Presentation;
    alter(presentation);
    const { verified, refusals } = await verify(presentation);
    assert.equal(verified, false);
    return refusals.map(({ reason, detail }) => `${reason}: ${detail}`);
  };
  const primary = (presentation: Presentation) => presentation.proof.proofs[0]!.primary_proof;

  test('[A0] [A0-2] [A0-3] [A0-4] [A0-5] the proof as it was made is verified', async () =>
    assert.deepEqual(await verify(flow.presentation), { verified: true, refusals: [] }));

  test('[A0] [A0-2] a response outside its range is refused', async () => {
    for (const e of [`-${primary(flow.presentation).eq_proof.e}`, (2n ** 457n).toString()])
      assert.deepEqual(await reasons((one) => Object.assign(primary(one).eq_proof, { e })), ['proof-unbound: sub-proof 0: e']);
  });

  test('[A0] [A0-3] a predicate of another number than the attribute is refused', async () =>
    assert.deepEqual(await reasons((one) => Object.assign(primary(one).ge_proofs![0]!, { mj: '1' })), [
      'proof-unbound: sub-proof 0: a predicate of another attribute',
    ]));

  test('[A0] [A0-4] commitments that the challenge does not cover are refused', async () => {
    for (const alter of [
      (one: Presentation) => one.proof.aggregated_proof.c_list.pop(),
      (one: Presentation) => Object.assign(primary(one).ge_proofs![0]!.t, { DELTA: '2' }),
    ])
      assert.deepEqual(await reasons(alter), ['proof-unbound: the commitments of the challenge']);
  });

  test('[A0] [A0-5] a member that a proof does not have is refused', async () =>
    assert.deepEqual(await reasons((one) => Object.assign(primary(one).eq_proof, { m1: '1' })), [
      'proof-unbound: sub-proof 0: members that an equality proof does not have',
    ]));

  test('[A0-7] a registry or a time that nothing proves is refused', async () => {
    assert.deepEqual(await reasons((one) => Object.assign(one.identifiers[0]!, { rev_reg_id: 'did:example:registry' })), [
      `identifier-mismatch: ${flow.cred_def_id} has no revocation registry`,
    ]);
    assert.deepEqual(await reasons((one) => Object.assign(one.identifiers[0]!, { timestamp: 1 })), [
      'identifier-mismatch: a time without a proof of non-revocation',
    ]);
  });

  test('[A0-6] a request that hides more than the link secret gets no credential', async () => {
    const request = structuredClone(flow.request);
    request.blinded_ms.hidden_attributes.push('degree');
    request.blinded_ms_correctness_proof.m_caps.degree = '1';
    await assert.rejects(
      engine.createCredential('issuer', {
        credentialDefinition: flow.credential_definition,
        private: flow.credential_definition_private,
        offer: flow.offer,
        request,
        values: flow.credential_as_issued.values,
      }),
      /hidden_attributes/,
    );
  });
});
