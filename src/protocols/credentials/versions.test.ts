import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effects, Incoming, Protocol, StepContext } from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import { issueCredential } from './issue-credential.ts';
import { issueCredentialV1 } from './issue-credential-v1.ts';
import { presentProof } from './present-proof.ts';
import { presentProofV1 } from './present-proof-v1.ts';

/** Both versions of a protocol do the same, each by its own names. Steps are pure: they are called as the engine calls them. */

const ISSUING = [issueCredential, issueCredentialV1] as unknown as Protocol[];
const PROVING = [presentProof, presentProofV1] as unknown as Protocol[];

/** A state by the name of version 2, as the protocol calls it. */
const stateOf = (protocol: Protocol, name: string): string => (protocol.name.endsWith('1.0') ? name.replaceAll('-', '_') : name);

function context(protocol: Protocol, state: string | undefined, value: JsonObject, role?: string): StepContext {
  let ids = 0;
  const settings = { autoRespondCredentialOffer: false, preserveExchangeRecords: true };
  return {
    ...{ tenant: 'base', now: 0, settings, protocol: protocol.name, loaded: {}, pages: {}, reachable: true },
    record: state === undefined ? undefined : { id: 'r', version: 1, state: stateOf(protocol, state), role, created: 0, updated: 0, value },
    connection: { id: 'c', version: 1, state: 'active', created: 0, updated: 0, value: {} },
    newId: () => `id-${ids++}`,
    newNonce: () => '123',
  } as unknown as StepContext;
}

const command = (protocol: Protocol, name: string, ctx: StepContext, body: JsonObject): Effects =>
  protocol.commands![name]!.step(ctx, { body, query: {} });

test('what failed is removed where its call said so, and its peer is told', () => {
  for (const protocol of [...ISSUING, ...PROVING]) {
    const state = PROVING.includes(protocol) ? 'presentation-received' : 'request-received';
    for (const auto_remove_on_failure of [true, false]) {
      const ctx = context(protocol, state, { auto_remove_on_failure });
      const { record, problem } = protocol.failed!(ctx, { result: 'x', code: 'internal', text: 'no' });
      assert.deepEqual(
        [record?.states, record?.patch, record?.remove, problem !== undefined],
        [['abandoned'], { error_msg: 'no' }, auto_remove_on_failure, true],
        protocol.name,
      );
    }
  }
});

test('an offer that was never made leaves no record', () => {
  for (const protocol of ISSUING)
    assert.deepEqual(protocol.failed!(context(protocol, '', {}), { result: 'offered', code: 'internal', text: 'no' }), {
      record: { remove: true, silent: true },
    });
});

test('a choice that does not work stays with the controller; what ran by itself ends the exchange', () => {
  for (const protocol of PROVING) {
    for (const [result, auto_present, ends] of [
      ['chosen', true, false],
      ['presented', false, false],
      ['presented', true, true],
    ] as const) {
      const ctx = context(protocol, 'request-received', { auto_present });
      const { record } = protocol.failed!(ctx, { result, code: 'internal', text: 'no' });
      assert.equal(record?.states?.[0], ends ? 'abandoned' : undefined, `${protocol.name} ${result} ${auto_present}`);
    }
  }
});

test('both flags of removal are taken from every call that has them', () => {
  const attributes = [{ name: 'name', value: 'Ada' }];
  const request = { requested_attributes: {}, requested_predicates: {}, self_attested_attributes: {} };
  const preview = { attributes: [], predicates: [] };
  const [v2, v1] = ISSUING as [Protocol, Protocol];
  const [proof2, proof1] = PROVING as [Protocol, Protocol];
  const offer1 = { cred_def_id: 'd', credential_preview: { attributes }, credential_proposal: { attributes } };
  const offer2 = { filter: { indy: { cred_def_id: 'd' } }, credential_preview: { attributes } };
  const formatted = (field: string, format: string, json: JsonObject): JsonObject => ({
    formats: [{ attach_id: 'a', format }],
    [`${field}~attach`]: [{ '@id': 'a', data: { json } }],
  });
  const flags = { auto_remove: true, auto_remove_on_failure: true };
  for (const [protocol, name, body, state, value] of [
    [v2, 'send-proposal', { connection_id: 'c', ...offer2 }],
    [v1, 'send-proposal', { connection_id: 'c', ...offer1 }],
    ...['create', 'create-offer', 'send', 'send-free-offer'].flatMap((one): [Protocol, string, JsonObject][] => [
      [v2, one, offer2],
      [v1, one, offer1],
    ]),
    [v2, 'send-request', {}, 'offer-received', { cred_offer: formatted('offers', 'hlindy/cred-abstract@v2.0', {}) }],
    [v1, 'send-request', {}, 'offer-received', { credential_offer: {} }],
    [proof2, 'create-request', { presentation_request: { indy: request } }],
    [proof1, 'create-request', { proof_request: request }],
    [proof2, 'send-proposal', { presentation_proposal: { indy: request } }],
    [proof1, 'send-proposal', { presentation_proposal: preview }],
    [
      proof2,
      'send-presentation',
      { indy: request },
      'request-received',
      { pres_request: formatted('request_presentations', 'hlindy/proof-req@v2.0', request) },
    ],
    [proof1, 'send-presentation', request, 'request-received', { presentation_request: request }],
    [proof2, 'send-request', {}, 'proposal-received', { pres_proposal: formatted('proposals', 'hlindy/proof-req@v2.0', request) }],
    [proof1, 'send-request', {}, 'proposal-received', { presentation_proposal_dict: { presentation_proposal: preview } }],
  ] as [Protocol, string, JsonObject, string?, JsonObject?][]) {
    const { auto_remove, auto_remove_on_failure } = command(protocol, name, context(protocol, state, value ?? {}), { ...body, ...flags })
      .record!.patch as typeof flags;
    assert.deepEqual({ auto_remove, auto_remove_on_failure }, flags, `${protocol.name} ${name}`);
  }
});

test("an ack's result is one of the two words of ACA-Py, or none", () => {
  for (const protocol of PROVING) {
    for (const [told, kept] of [
      ['true', 'true'],
      ['false', 'false'],
      ['perhaps', undefined],
      [{ a: 1 }, undefined],
      [undefined, undefined],
    ]) {
      const message = { body: { verification_result: told } } as unknown as Incoming;
      const { record } = protocol.acked!.step(context(protocol, 'presentation-sent', {}), message);
      assert.equal((record!.patch as { verified?: unknown }).verified, kept, protocol.name);
    }
  }
});

test('a proposal that cannot be asked for is the peer’s fault, and no fault of the call', () => {
  const wrong = { requested_attributes: { a: {} }, requested_predicates: {} };
  const pres_proposal = {
    formats: [{ attach_id: 'a', format: 'hlindy/proof-req@v2.0' }],
    'proposals~attach': [{ '@id': 'a', data: { json: wrong } }],
  };
  const preview = { attributes: [{ name: ' ', cred_def_id: 'd' }], predicates: [] };
  for (const [protocol, value] of [
    [PROVING[0]!, { pres_proposal }],
    [PROVING[1]!, { presentation_proposal_dict: { presentation_proposal: preview } }],
  ] as const)
    assert.throws(() => command(protocol, 'send-request', context(protocol, 'proposal-received', value), {}), { code: 'bad-request' });
});
