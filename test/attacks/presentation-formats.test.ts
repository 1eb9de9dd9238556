import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { algorandLedger } from '../../src/adapters/algorand/algorand.ts';
import { openAnonCreds } from '../../src/adapters/anoncreds/anoncreds.ts';
import { checkPresentation } from '../../src/formats/anoncreds-checks.ts';
import type { AnonCreds } from '../../src/ports/anoncreds.ts';
import { anchor, type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { configOf } from '../support/ledger.ts';
import { connectStranger, type Link, message, type Stranger, startStranger } from '../support/stranger.ts';

/** A peer that attaches more than it was asked for, or other things in another format: nothing counts or is shown that was not looked at. */

const world = createWorld();
let faber: TestAgent;
let bob: TestAgent;
let peer: Stranger;
/** The stranger is a holder to faber and an issuer to bob. */
let link: Link;
let toBob: Link;
let engine: AnonCreds;
let ids: { did: string; schemaId: string; credDefId: string };
let objects: { schema: Body; definition: Body };
let credential: Body;
let linkSecret: string;

const FORMATS: Record<string, Record<string, string>> = {
  presentations: { anoncreds: 'anoncreds/proof@v1.0', indy: 'hlindy/proof@v2.0' },
  requests: { anoncreds: 'anoncreds/credential-request@v1.0', indy: 'hlindy/cred-req@v2.0' },
  offers: { anoncreds: 'anoncreds/credential-offer@v1.0', indy: 'hlindy/cred-abstract@v2.0' },
  credentials: { anoncreds: 'anoncreds/credential@v1.0', indy: 'hlindy/cred@v2.0' },
};
const wire = (id: string, value: unknown): object => ({
  '@id': id,
  'mime-type': 'application/json',
  data: { base64: Buffer.from(JSON.stringify(value)).toString('base64') },
});
/** Attachments by format, or by whatever a list of `[id, format, value]` says. */
const attach = (field: string, values: Record<string, unknown> | [string, string, unknown][]): object => {
  const rows = Array.isArray(values)
    ? values
    : Object.entries(values).map(([name, value]) => [name, FORMATS[field]![name]!, value] as const);
  return {
    formats: rows.map(([attach_id, format]) => ({ attach_id, format })),
    [`${field}~attach`]: rows.map(([id, , value]) => wire(id, value)),
  };
};
const attached = (one: Body, field: string, at = 0): Body =>
  JSON.parse(Buffer.from(one[`${field}~attach`][at].data.base64, 'base64').toString('utf8'));
const next = (type: string, thid: string): Promise<Body> =>
  peer.inbox
    .first((mail) => mail.message['@type'].endsWith(type) && (mail.message['~thread']?.thid ?? mail.message['@id']) === thid, type)
    .then((mail) => mail.message);
const PREVIEW = {
  '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
  attributes: [
    { name: 'name', value: 'Alice' },
    { name: 'age', value: '30' },
  ],
};
const offerTo = (connection_id: string): Promise<Body> =>
  faber.post('/issue-credential-2.0/send-offer', {
    connection_id,
    filter: { anoncreds: { cred_def_id: ids.credDefId } },
    credential_preview: PREVIEW,
  });
const answer = (thid: string): Promise<Body> =>
  peer.inbox
    .first((mail) => mail.message['~thread']?.thid === thid && /ack$|problem-report$/.test(mail.message['@type']), 'an answer')
    .then((mail) => mail.message);

before(async () => {
  const devnet = await world.devnet();
  const keep = '--preserve-exchange-records';
  faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: ['--auto-verify-presentation', '--auto-respond-credential-request', keep],
  });
  bob = await world.start('bob', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential', keep] });
  ids = await anchor(faber, ['name', 'age']);
  peer = await startStranger();
  world.defer(peer.close);
  link = await connectStranger(faber, peer);
  toBob = await connectStranger(bob, peer);
  const opened = openAnonCreds({ libraryPath: process.env.LIB_ANONCREDS_PATH, checkPresentation, workers: 1 });
  engine = opened;
  world.defer(() => opened.close());
  const ledger = algorandLedger(configOf(devnet));
  objects = { schema: await ledger.read(ids.schemaId, 'SCHEMA'), definition: await ledger.read(ids.credDefId, 'CLAIM_DEF') };
  linkSecret = await engine.createLinkSecret('holder');
  const offered = await offerTo(link.id);
  const { request, metadata } = await engine.createRequest('holder', {
    offer: attached(await next('/offer-credential', offered.thread_id), 'offers'),
    credentialDefinition: objects.definition,
    linkSecret,
    linkSecretId: 'default',
    entropy: 'holder',
  });
  const wrong = message('issue-credential/2.0/request-credential', {
    '~thread': { thid: offered.thread_id },
    ...attach('requests', { anoncreds: request, indy: request }),
  });
  await link.send(wrong);
  assert.match((await answer(offered.thread_id))['@type'], /problem-report$/, 'a request in a format that was not offered');
  await link.send(
    message('issue-credential/2.0/request-credential', {
      '~thread': { thid: offered.thread_id },
      ...attach('requests', { anoncreds: request }),
    }),
  );
  credential = await engine.processCredential('holder', {
    credential: attached(await next('/issue-credential', offered.thread_id), 'credentials'),
    metadata,
    linkSecret,
    credentialDefinition: objects.definition,
  });
});
after(() => world.close());

const present = (request: Body): Promise<Body> =>
  engine.createPresentation('holder', {
    request,
    credentials: [{ credential: credential as never, attributes: [{ referent: 'name', reveal: true }], predicates: [] }],
    selfAttested: {},
    linkSecret,
    schemas: { [ids.schemaId]: objects.schema as never },
    credentialDefinitions: { [ids.credDefId]: objects.definition as never },
  });
const forged = (presentation: Body): Body => {
  const copy = structuredClone(presentation);
  const shown = copy.requested_proof.revealed_attrs?.name ?? Object.values(copy.requested_proof.revealed_attr_groups.name.values)[0];
  shown.raw = 'Mallory';
  return copy;
};

/** Asks for the name in these formats; the requests by format as they came. */
async function ask(formats: string[], asked: object = { name: 'name' }): Promise<{ exchange: Body; requests: Record<string, Body> }> {
  const one = { requested_attributes: { name: { ...asked, restrictions: [{ cred_def_id: ids.credDefId }] } }, requested_predicates: {} };
  const exchange = await faber.post('/present-proof-2.0/send-request', {
    connection_id: link.id,
    presentation_request: Object.fromEntries(formats.map((name) => [name, one])),
  });
  const came = await next('/request-presentation', exchange.thread_id);
  return { exchange, requests: Object.fromEntries(formats.map((name, at) => [name, attached(came, 'request_presentations', at)])) };
}
const send = (exchange: Body, parts: object): Promise<unknown> =>
  link.send(message('present-proof/2.0/presentation', { '~thread': { thid: exchange.thread_id }, ...parts }));
const record = (exchange: Body): Promise<Body> => faber.get(`/present-proof-2.0/records/${exchange.pres_ex_id}`);
const verdict = async (exchange: Body): Promise<Body> => {
  await faber.event('present_proof_v2_0', (one) => one.pres_ex_id === exchange.pres_ex_id && one.state === 'done', 'the verdict');
  return record(exchange);
};

test('[A6-2] of a proof that was asked for in two formats, each that is given must hold', async () => {
  const honest = await ask(['anoncreds', 'indy']);
  const both = { anoncreds: await present(honest.requests.anoncreds), indy: await present(honest.requests.indy) };
  await send(honest.exchange, attach('presentations', both));
  const good = await verdict(honest.exchange);
  assert.deepEqual([good.verified, Object.keys(good.by_format.pres).sort()], ['true', ['anoncreds', 'indy']]);

  const one = await ask(['anoncreds', 'indy']);
  await send(one.exchange, attach('presentations', { indy: await present(one.requests.indy) }));
  const single = await verdict(one.exchange);
  assert.deepEqual([single.verified, Object.keys(single.by_format.pres)], ['true', ['indy']]);

  for (const bad of ['anoncreds', 'indy']) {
    const { exchange, requests } = await ask(['anoncreds', 'indy']);
    const given: Record<string, Body> = { anoncreds: await present(requests.anoncreds), indy: await present(requests.indy) };
    given[bad] = forged(given[bad]);
    await send(exchange, attach('presentations', given));
    const end = await verdict(exchange);
    assert.equal(end.verified, 'false', bad);
    assert.ok(end.verified_msgs.includes("VALUE_ERROR::Encoded representation mismatch for 'name'"), end.verified_msgs.join('\n'));
  }
});

test('[A6] an attachment that nobody asked for, or that nothing names, is refused and never shown', async () => {
  const { exchange, requests } = await ask(['anoncreds']);
  const good = await present(requests.anoncreds);
  const anoncreds = ['a', 'anoncreds/proof@v1.0', good] as [string, string, unknown];
  const bad = forged(good);
  const refused: [string, object][] = [
    ['another format of ours', attach('presentations', { anoncreds: good, indy: bad })],
    ['a format that is not known', attach('presentations', [anoncreds, ['b', 'dif/presentation-exchange/submission@v1.0', bad]])],
    ['the same format twice', attach('presentations', [anoncreds, ['b', 'anoncreds/proof@v1.0', bad]])],
    [
      'one attachment under two formats',
      {
        ...attach('presentations', [anoncreds]),
        formats: [
          { attach_id: 'a', format: anoncreds[1] },
          { attach_id: 'a', format: FORMATS.presentations!.indy },
        ],
      },
    ],
    [
      'an attachment without a format',
      { ...attach('presentations', [anoncreds]), 'presentations~attach': [wire('a', good), wire('b', bad)] },
    ],
    ['two attachments of one name', { ...attach('presentations', [anoncreds]), 'presentations~attach': [wire('a', good), wire('a', bad)] }],
    ['another field with attachments', { ...attach('presentations', [anoncreds]), 'offers~attach': [wire('a', bad)] }],
  ];
  for (const [what, parts] of refused) {
    await send(exchange, parts);
    const now = await record(exchange);
    assert.deepEqual([now.state, now.pres, now.by_format.pres], ['request-sent', undefined, undefined], what);
  }
  await send(exchange, attach('presentations', [anoncreds]));
  const end = await verdict(exchange);
  assert.deepEqual([end.verified, end.by_format.pres.anoncreds.requested_proof.revealed_attrs.name.raw], ['true', 'Alice']);
});

test('[A17-3] two names that are one to the proof are refused in a group, asked or answered', async () => {
  const { exchange, requests } = await ask(['anoncreds'], { names: ['name'] });
  const presentation = await present(requests.anoncreds);
  const { values } = presentation.requested_proof.revealed_attr_groups.name;
  presentation.requested_proof.revealed_attr_groups.name.values = { Name: { ...values.name, raw: 'Mallory' }, ...values };
  await send(exchange, attach('presentations', { anoncreds: presentation }));
  const end = await verdict(exchange);
  assert.equal(end.verified, 'false');
  assert.match(end.verified_msgs.join('\n'), /^VALUE_ERROR::Missing requested attribute group name$/m);
  const asked = await faber.call('POST', '/present-proof-2.0/create-request', {
    presentation_request: { anoncreds: { requested_attributes: { g: { names: ['name', 'Na me'] } }, requested_predicates: {} } },
  });
  assert.deepEqual([asked.status, /differ only in blanks or case/.test(asked.text)], [422, true], asked.text);
});

/** The stranger offers bob what faber offers it, and hands on what comes, altered by `alter`. */
async function relay(alter: { offer?: (parts: Body) => void; credential?: (value: Body) => object }): Promise<Body> {
  const offered = await offerTo(link.id);
  const offer = attached(await next('/offer-credential', offered.thread_id), 'offers');
  const parts: Body = { credential_preview: structuredClone(PREVIEW), ...attach('offers', { anoncreds: offer }) };
  alter.offer?.(parts);
  const made = message('issue-credential/2.0/offer-credential', parts) as Body;
  await toBob.send(made);
  const request = attached(await next('/request-credential', made['@id']), 'requests');
  await link.send(
    message('issue-credential/2.0/request-credential', {
      '~thread': { thid: offered.thread_id },
      ...attach('requests', { anoncreds: request }),
    }),
  );
  const issued = attached(await next('/issue-credential', offered.thread_id), 'credentials');
  await toBob.send(
    message('issue-credential/2.0/issue-credential', {
      '~thread': { thid: made['@id'] },
      ...(alter.credential?.(issued) ?? attach('credentials', { anoncreds: issued })),
    }),
  );
  return made;
}
const ofBob = async (thid: string): Promise<Body> =>
  (await bob.get(`/issue-credential-2.0/records?thread_id=${thid}`)).results[0].cred_ex_record;

test('[A6-3] a credential with other values than the offer showed is not stored', async () => {
  const made = await relay({
    offer: (parts) => {
      parts.credential_preview.attributes[1].value = '18';
    },
  });
  const end = await bob.event('issue_credential_v2_0', (one) => one.thread_id === made['@id'] && one.state === 'abandoned', 'the end');
  assert.match(end.error_msg, /another age than the one offered/);
  assert.deepEqual((await bob.get('/credentials')).results, []);
});

test('[A6-4] of what is issued only the format that was requested is taken', async () => {
  const made = await relay({
    credential: (value) =>
      attach('credentials', { anoncreds: value, indy: { ...value, values: { name: { raw: 'Mallory', encoded: '1' } } } }),
  });
  const refused = await ofBob(made['@id']);
  assert.deepEqual([refused.state, refused.by_format.cred_issue], ['request-sent', undefined]);
  const good = await relay({});
  await bob.event('issue_credential_v2_0', (one) => one.thread_id === good['@id'] && one.state === 'done', 'an honest one');
  assert.equal((await bob.get('/credentials')).results.length, 1);
});
