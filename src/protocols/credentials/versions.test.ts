import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anoncreds } from '../../formats/anoncreds.ts';
import { indy } from '../../formats/indy.ts';
import type { Effects } from '../../kernel/effects.ts';
import { createFormats, defineFormat } from '../../kernel/format.ts';
import type { Incoming, Protocol, StepContext } from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import { issueCredential } from './issue-credential.ts';
import { issueCredentialV1 } from './issue-credential-v1.ts';
import { presentProof } from './present-proof.ts';
import { presentProofV1 } from './present-proof-v1.ts';

/** Both versions of a protocol do the same, each by its own names. Steps are pure: they are called as the engine calls them. */

const ISSUING = [issueCredential, issueCredentialV1] as unknown as [Protocol, Protocol];
const PROVING = [presentProof, presentProofV1] as unknown as [Protocol, Protocol];
const FORMATS = createFormats([anoncreds, indy, defineFormat({ name: 'other' })]);

/** One test for each protocol, so that each shows what breaks it. `one`: of two cases, the one of its version. */
function each(protocols: readonly Protocol[], title: string, run: (protocol: Protocol, one: <T>(second: T, first: T) => T) => void): void {
  for (const protocol of protocols)
    test(`${protocol.name}: ${title}`, () => run(protocol, (second, first) => (protocol.name.endsWith('1.0') ? first : second)));
}

/** A state by the name of version 2, as the protocol calls it. */
const stateOf = (protocol: Protocol, name: string): string => {
  if (!protocol.name.endsWith('1.0')) return name;
  return protocol === ISSUING[1] && name === 'done' ? 'credential_acked' : name.replaceAll('-', '_');
};

function context(protocol: Protocol, state: string | undefined, value: JsonObject, settings: JsonObject = {}): StepContext {
  let ids = 0;
  return {
    ...{ tenant: 'base', now: 0, protocol: protocol.name, loaded: {}, pages: {}, reachable: true },
    settings: { preserveExchangeRecords: true, ...settings },
    declared: { formats: FORMATS },
    record: state === undefined ? undefined : { id: 'r', version: 1, state: stateOf(protocol, state), created: 0, updated: 0, value },
    connection: { id: 'c', version: 1, state: 'active', created: 0, updated: 0, value: {} },
    newId: () => `id-${ids++}`,
    newNonce: () => '123',
  } as unknown as StepContext;
}

const command = (protocol: Protocol, name: string, ctx: StepContext, body: JsonObject = {}): Effects =>
  protocol.commands![name]!.step(ctx, { body, query: {} });
const result = (protocol: Protocol, name: string, ctx: StepContext, made: unknown): Effects => protocol.results![name]!.step(ctx, made);

/** A message of version 2 with one attachment. */
const formatted = (field: string, format: string, json: JsonObject): JsonObject => ({
  formats: [{ attach_id: 'a', format }],
  [`${field}~attach`]: [{ '@id': 'a', data: { json } }],
});
const OFFER = formatted('offers', 'hlindy/cred-abstract@v2.0', { o: 1 });
const REQUEST = formatted('requests', 'hlindy/cred-req@v2.0', { r: 1 });
const CREDENTIAL = formatted('credentials', 'hlindy/cred@v2.0', { c: 1 });
const attributes = [{ name: 'name', value: 'Ada' }];

each([...ISSUING, ...PROVING], 'what failed is removed where its call said so, and its peer is told', (protocol) => {
  const state = PROVING.includes(protocol) ? 'presentation-received' : 'request-received';
  for (const auto_remove_on_failure of [true, false]) {
    const ctx = context(protocol, state, { auto_remove_on_failure });
    const { record, problem } = protocol.failed!(ctx, { result: 'x', code: 'internal', text: 'no' });
    const seen = [record?.states, record?.patch, record?.remove, problem !== undefined];
    assert.deepEqual(seen, [['abandoned'], { error_msg: 'no' }, auto_remove_on_failure, true]);
  }
});

each(ISSUING, 'an offer that was never made leaves no record', (protocol) => {
  const failed = protocol.failed!(context(protocol, '', {}), { result: 'offered', code: 'internal', text: 'no' });
  assert.deepEqual(failed, { record: { remove: true, silent: true } });
});

each(ISSUING, 'what each command orders of the format', (protocol, one) => {
  const value = one<JsonObject>(
    { cred_offer: OFFER, cred_request: REQUEST, cred_issue: CREDENTIAL, cred_preview: { attributes } },
    {
      credential_offer: { o: 1 },
      credential_request: { r: 1 },
      raw_credential: { c: 1 },
      credential_offer_dict: { credential_preview: { attributes } },
    },
  );
  const ordered = (name: string, state: string): unknown => {
    const [order, ...more] = command(protocol, name, context(protocol, state, value)).work!;
    assert.deepEqual(more, []);
    const { input, rest, made } = order!.input;
    assert.deepEqual([rest, made], [[], []]);
    return [order!.op, input, order!.result];
  };
  assert.deepEqual(ordered('send-request', 'offer-received'), ['indy/request', { offer: { o: 1 }, entropy: 'c' }, 'requested']);
  const values = { name: 'Ada' };
  assert.deepEqual(ordered('issue', 'request-received'), ['indy/issue', { offer: { o: 1 }, request: { r: 1 }, values }, 'issued']);
  assert.deepEqual(ordered('store', 'credential-received'), [
    'indy/store',
    { exchange: 'r', offer: { o: 1 }, credential: { c: 1 }, id: 'id-0', lax: false, offered: attributes },
    'stored',
  ]);
});

each(ISSUING, 'what a result makes of the record', (protocol) => {
  const made = (members: JsonObject | { secret: Uint8Array }) => ({ made: [{ format: 'indy', value: { v: 1 }, ...members }] });
  const secret = Buffer.from('s');
  const requested = result(protocol, 'requested', context(protocol, 'offer-received', { thread_id: 't' }), made({ secret }));
  assert.deepEqual(requested.record!.states, [stateOf(protocol, 'request-sent')]);
  assert.deepEqual(requested.keys, [{ kid: 'cred-request:r', type: 'cred-request', secret }]);
  const issued = result(protocol, 'issued', context(protocol, 'request-received', { thread_id: 't', auto_remove: true }), made({}));
  // the ack ends it
  assert.deepEqual([issued.record!.states, issued.record!.remove], [[stateOf(protocol, 'credential-issued')], false]);
  const done = protocol.acked!.step(context(protocol, 'credential-issued', { auto_remove: true }), {} as Incoming);
  assert.deepEqual([done.record!.states, done.record!.remove], [[stateOf(protocol, 'done')], true]);
  const held = made({ id: 'i', credential: { c: 1 }, info: { cred_def_id: 'd', subject: {} } });
  const stored = result(protocol, 'stored', context(protocol, 'credential-received', { auto_remove: true }), held);
  assert.deepEqual([stored.record!.states, stored.record!.remove], [[stateOf(protocol, 'done')], true]);
  assert.deepEqual([stored.removedKeys, stored.send], [['cred-request:r'], [{ type: 'ack', body: { status: 'OK' } }]]);
  const [{ id, patch }] = stored.others as unknown as [{ id: string; patch: JsonObject }];
  assert.deepEqual([id, patch], ['i', { cred_def_id: 'd', subject: {}, credential: { c: 1 } }]);
  // whatever a format tells of a credential, it is that format's
  const ofOther = { made: [{ format: 'other', id: 'i', credential: { c: 1 }, info: { format: 'indy', credential: 'x', a: 1 }, secret }] };
  const other = result(protocol, 'stored', context(protocol, 'credential-received', {}), ofOther);
  assert.deepEqual((other.others as unknown as [{ patch: JsonObject }])[0].patch, { format: 'other', a: 1, credential: { c: 1 } });
  assert.deepEqual(other.keys, [{ kid: 'credential:i', type: 'credential', secret }]);
});

each(PROVING, 'a choice that does not work stays with the controller; what ran by itself ends the exchange', (protocol) => {
  for (const [name, auto_present, ends] of [
    ['chosen', true, false],
    ['presented', false, false],
    ['presented', true, true],
  ] as const) {
    const ctx = context(protocol, 'request-received', { auto_present });
    const { record } = protocol.failed!(ctx, { result: name, code: 'internal', text: 'no' });
    assert.equal(record?.states?.[0], ends ? 'abandoned' : undefined, `${name} ${auto_present}`);
  }
});

const NOTHING = { requested_attributes: {}, requested_predicates: {}, self_attested_attributes: {} };
const PREVIEW = { attributes: [], predicates: [] };
const PROOF_REQUEST = formatted('request_presentations', 'hlindy/proof-req@v2.0', NOTHING);

each(PROVING, 'an answer that waits for a credential is tried again; one that is complete is sent', (protocol, one) => {
  const value = one<JsonObject>({ pres_request: PROOF_REQUEST }, { presentation_request: NOTHING });
  const ctx = context(protocol, 'request-received', value);
  const [order] = command(protocol, 'present', ctx).work!;
  const input = { request: NOTHING, choice: null, proposal: null, patient: true };
  assert.deepEqual([order!.op, (order!.input as { input: unknown }).input], ['indy/present', input]);
  const waits = result(protocol, 'presented', ctx, { made: [{ format: 'indy', waits: true }] });
  assert.deepEqual(waits, { record: { patch: { waiting_since: 0 } }, next: [{ command: 'present', after: 250 }] });
  const sent = result(protocol, 'presented', ctx, { made: [{ format: 'indy', value: { p: 1 } }] });
  assert.deepEqual([sent.record!.states, sent.send!.length], [[stateOf(protocol, 'presentation-sent')], 1]);
});

each(PROVING, 'a presentation is verified in every format, or not at all', (protocol) => {
  for (const [verified, all] of [
    [[true, true], 'true'],
    [[true, false], 'false'],
  ] as const) {
    const made = verified.map((ok, i) => ({ format: 'indy', verified: ok, reasons: ['same', `${i}`] }));
    const { record, send } = result(protocol, 'checked', context(protocol, 'presentation-received', { auto_remove: true }), { made });
    const { verified: kept, verified_msgs } = record!.patch as JsonObject;
    assert.deepEqual([kept, verified_msgs, record!.remove], [all, ['same', '0', '1'], true]);
    assert.deepEqual(send, [{ type: 'ack', body: { status: 'OK', verification_result: all } }]);
  }
});

each(PROVING, "an ack's result is one of the two words of ACA-Py, or none", (protocol) => {
  for (const [given, kept] of [
    ['true', 'true'],
    ['false', 'false'],
    ['perhaps', undefined],
    [{ a: 1 }, undefined],
    [undefined, undefined],
  ]) {
    const message = { body: { verification_result: given } } as unknown as Incoming;
    const { record } = protocol.acked!.step(context(protocol, 'presentation-sent', {}), message);
    assert.equal((record!.patch as { verified?: unknown }).verified, kept);
  }
});

each(PROVING, 'a proposal that cannot be asked for is the peer’s fault, and no fault of the call', (protocol, one) => {
  const wrong = { requested_attributes: { a: {} }, requested_predicates: {} };
  const value = one<JsonObject>(
    { pres_proposal: formatted('proposals', 'hlindy/proof-req@v2.0', wrong) },
    { presentation_proposal_dict: { presentation_proposal: { attributes: [{ name: ' ', cred_def_id: 'd' }], predicates: [] } } },
  );
  assert.throws(() => command(protocol, 'send-request', context(protocol, 'proposal-received', value)), { code: 'bad-request' });
});

each([...ISSUING, ...PROVING], 'both flags of removal are taken from every call that has them', (protocol, one) => {
  const flags = { auto_remove: true, auto_remove_on_failure: true };
  const offer = one<JsonObject>(
    { filter: { indy: { cred_def_id: 'd' } }, credential_preview: { attributes } },
    { cred_def_id: 'd', credential_preview: { attributes }, credential_proposal: { attributes } },
  );
  const asked = one<JsonObject>({ presentation_request: { indy: NOTHING } }, { proof_request: NOTHING });
  const proposed = one<JsonObject>(
    { pres_proposal: formatted('proposals', 'hlindy/proof-req@v2.0', NOTHING) },
    { presentation_proposal_dict: { presentation_proposal: PREVIEW } },
  );
  const calls: [name: string, body: JsonObject, state?: string, value?: JsonObject][] = ISSUING.includes(protocol)
    ? [
        ...['create', 'create-offer', 'send', 'send-free-offer'].map((name): [string, JsonObject] => [name, offer]),
        ['send-proposal', { connection_id: 'c', ...offer }],
        ['send-request', {}, 'offer-received', one<JsonObject>({ cred_offer: OFFER }, { credential_offer: {} })],
      ]
    : [
        ['create-request', asked],
        ['send-free-request', { connection_id: 'c', ...asked }],
        ['send-proposal', one<JsonObject>({ presentation_proposal: { indy: NOTHING } }, { presentation_proposal: PREVIEW })],
        [
          'send-presentation',
          one<JsonObject>({ indy: NOTHING }, NOTHING),
          'request-received',
          one<JsonObject>({ pres_request: PROOF_REQUEST }, { presentation_request: NOTHING }),
        ],
        ['send-request', {}, 'proposal-received', proposed],
      ];
  for (const [name, body, state, value = {}] of calls) {
    const { record } = command(protocol, name, context(protocol, state, value), { ...body, ...flags });
    const { auto_remove, auto_remove_on_failure } = record!.patch as typeof flags;
    assert.deepEqual({ auto_remove, auto_remove_on_failure }, flags, name);
  }
});
