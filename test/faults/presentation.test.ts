import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { algorandLedger } from '../../src/adapters/algorand/algorand.ts';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { checkPresentation } from '../../src/formats/anoncreds-checks.ts';
import type { AnonCreds } from '../../src/ports/anoncreds.ts';
import { anchor, type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { configOf } from '../support/ledger.ts';
import { connectStranger, type Link, message, type Stranger, startStranger } from '../support/stranger.ts';

/** A holder that is written by hand, has a good credential and presents something else. */

const world = createWorld();
let faber: TestAgent;
let holder: Stranger;
let link: Link;
let engine: AnonCreds;
let ids: { did: string; schemaId: string; credDefId: string };
let objects: { schema: Body; definition: Body };
let credential: Body;
let linkSecret: string;

const attach = (name: string, format: string, value: unknown): object => ({
  formats: [{ attach_id: 'a', format }],
  [`${name}~attach`]: [
    { '@id': 'a', 'mime-type': 'application/json', data: { base64: Buffer.from(JSON.stringify(value)).toString('base64') } },
  ],
});
const attached = (wire: Body, name: string): Body =>
  JSON.parse(Buffer.from(wire[`${name}~attach`][0].data.base64, 'base64').toString('utf8'));
const next = (type: string, thid: string): Promise<Body> =>
  holder.inbox
    .first((mail) => mail.message['@type'].endsWith(type) && (mail.message['~thread']?.thid ?? mail.message['@id']) === thid, type)
    .then((mail) => mail.message);

before(async () => {
  const devnet = await world.devnet();
  faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: ['--auto-verify-presentation', '--auto-respond-credential-request', '--preserve-exchange-records'],
  });
  ids = await anchor(faber, ['name', 'age']);
  holder = await startStranger();
  world.defer(holder.close);
  link = await connectStranger(faber, holder);
  const opened = openAnonCreds({ libraryPath: process.env.LIB_ANONCREDS_PATH, checkPresentation, workers: 1 });
  engine = opened;
  world.defer(() => opened.close());
  const ledger = algorandLedger(configOf(devnet));
  objects = { schema: await ledger.read(ids.schemaId, 'SCHEMA'), definition: await ledger.read(ids.credDefId, 'CLAIM_DEF') };
  linkSecret = await engine.createLinkSecret('holder');

  const offered = await faber.post('/issue-credential-2.0/send-offer', {
    connection_id: link.id,
    filter: { anoncreds: { cred_def_id: ids.credDefId } },
    credential_preview: {
      attributes: [
        { name: 'name', value: 'Alice' },
        { name: 'age', value: '30' },
      ],
    },
  });
  const offer = await next('/offer-credential', offered.thread_id);
  const { request, metadata } = await engine.createRequest('holder', {
    offer: attached(offer, 'offers'),
    credentialDefinition: objects.definition,
    linkSecret,
    linkSecretId: 'default',
    entropy: 'holder',
  });
  await link.send(
    message('issue-credential/2.0/request-credential', {
      '~thread': { thid: offered.thread_id },
      ...attach('requests', 'anoncreds/credential-request@v1.0', request),
    }),
  );
  const issued = await next('/issue-credential', offered.thread_id);
  credential = await engine.processCredential('holder', {
    credential: attached(issued, 'credentials'),
    metadata,
    linkSecret,
    credentialDefinition: objects.definition,
  });
});
after(() => world.close());

/** Asks for a proof, has the holder alter a good one, and tells what the verifier's record says. */
async function verdict(alter: (presentation: Body, request: Body) => unknown, format = 'anoncreds'): Promise<Body> {
  const asked = await faber.post('/present-proof-2.0/send-request', {
    connection_id: link.id,
    presentation_request: {
      [format]: {
        requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: ids.credDefId }] } },
        requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ cred_def_id: ids.credDefId }] } },
      },
    },
  });
  const wire = await next('/request-presentation', asked.thread_id);
  const request = attached(wire, 'request_presentations');
  const good = await present(request);
  // what is altered in place comes back as nothing
  const presentation = (await alter(good, request)) ?? good;
  const name = format === 'indy' ? 'hlindy/proof@v2.0' : 'anoncreds/proof@v1.0';
  await link.send(
    message('present-proof/2.0/presentation', { '~thread': { thid: asked.thread_id }, ...attach('presentations', name, presentation) }),
  );
  const end = await faber.event(
    'present_proof_v2_0',
    (one) => one.pres_ex_id === asked.pres_ex_id && ['done', 'abandoned'].includes(one.state),
    'the verdict',
  );
  const notified = await holder.inbox.first(
    (mail) => mail.message['~thread']?.thid === asked.thread_id && /ack$|problem-report$/.test(mail.message['@type']),
    'the answer',
  );
  return { ...end, verdict: notified.message };
}

const present = (request: Body): Promise<Body> =>
  engine.createPresentation('holder', {
    request,
    credentials: [
      {
        credential: credential as never,
        attributes: [{ referent: 'name', reveal: true }],
        predicates: Object.keys(request.requested_predicates),
      },
    ],
    selfAttested: {},
    linkSecret,
    schemas: { [ids.schemaId]: objects.schema as never },
    credentialDefinitions: { [ids.credDefId]: objects.definition as never },
  });

for (const format of ['anoncreds', 'indy']) {
  test(`the unaltered presentation is verified (${format})`, async () => {
    const end = await verdict((presentation) => presentation, format);
    assert.deepEqual([end.state, end.verified, end.verified_msgs], ['done', 'true', ['RMV_GLB_NRI']]);
    assert.equal(end.verdict.verification_result, 'true');
  });
}

const ALTERED: [string, (presentation: Body, request: Body) => unknown, RegExp][] = [
  [
    'another raw value',
    (one) => {
      one.requested_proof.revealed_attrs.name.raw = 'Mallory';
    },
    /raw-encoded-mismatch/,
  ],
  [
    'another encoded value',
    (one) => {
      one.requested_proof.revealed_attrs.name.encoded = '12345';
    },
    /encoded-proof-mismatch/,
  ],
  [
    'another raw and encoded value that fit each other',
    (one) => {
      Object.assign(one.requested_proof.revealed_attrs.name, { raw: '7', encoded: '7' });
      one.proof.proofs[0].primary_proof.eq_proof.revealed_attrs.name = '7';
    },
    /proof-invalid/,
  ],
  [
    'a lower bound in the predicate',
    (one) => {
      one.proof.proofs[0].primary_proof.ge_proofs[0].predicate.value = 17;
    },
    /predicate-mismatch/,
  ],
  [
    'another kind of predicate',
    (one) => {
      one.proof.proofs[0].primary_proof.ge_proofs[0].predicate.p_type = 'LE';
    },
    /predicate-mismatch/,
  ],
  [
    'no predicate',
    (one) => {
      one.requested_proof.predicates = {};
    },
    /referent-missing: adult/,
  ],
  [
    'no attribute',
    (one) => {
      one.requested_proof.revealed_attrs = {};
    },
    /referent-missing: name/,
  ],
  [
    'a self-attested value instead of the proven one',
    (one) => {
      one.requested_proof.revealed_attrs = {};
      one.requested_proof.self_attested_attrs = { name: 'Mallory' };
    },
    /self-attested-restricted/,
  ],
  ['the answer to another nonce', (_one, request) => present({ ...request, nonce: '1234567890' }), /proof-invalid/],
  [
    'an identifier of nothing',
    (one) => {
      one.identifiers[0].cred_def_id = `${ids.credDefId.slice(0, -4)}AAAA`;
    },
    /object-missing/,
  ],
  [
    'a schema identifier of something else',
    (one) => {
      one.identifiers[0].schema_id = ids.credDefId;
    },
    /object-missing|identifier-mismatch/,
  ],
  [
    'no identifier',
    (one) => {
      one.identifiers = [];
    },
    /malformed/,
  ],
  [
    'identifiers that are none',
    (one) => {
      one.identifiers = [null, 7, 'x'];
    },
    /./,
  ],
  [
    'identifiers with names of members',
    (one) => {
      one.identifiers[0].cred_def_id = '__proto__';
    },
    /./,
  ],
  [
    'a sub-proof that is not there',
    (one) => {
      one.requested_proof.revealed_attrs.name.sub_proof_index = 5;
    },
    /sub-proof-missing/,
  ],
  [
    'an answer that was not asked for',
    (one) => {
      one.requested_proof.revealed_attrs.extra = one.requested_proof.revealed_attrs.name;
    },
    /referent-unrequested/,
  ],
  ['nothing', () => ({}), /./],
  ['a list', () => [], /./],
  [
    'proofs that are none',
    (one) => {
      one.proof = { proofs: 'x' };
    },
    /./,
  ],
];

for (const [what, alter, reason] of ALTERED) {
  test(`a presentation with ${what} is not verified, and the record says why`, async () => {
    const end = await verdict(alter);
    assert.deepEqual([end.state, end.verified], ['done', 'false'], JSON.stringify(end));
    assert.match(end.verified_msgs.join('\n'), reason);
    assert.equal(end.verdict.verification_result, 'false');
  });
}
