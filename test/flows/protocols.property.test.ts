import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { FORMATS, messageFormats, PROTOCOLS } from '../../src/builtin-protocols.ts';
import { openEnvelope, pack, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import type { KeyPair } from '../../src/didcomm/key-cache.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { ownPeer2 } from '../../src/dids/own-documents.ts';
import { type Calls, createCalls } from '../../src/kernel/calls.ts';
import { createKeyRing, type Kernel, withFormats } from '../../src/kernel/context.ts';
import { createDeliveryLog } from '../../src/kernel/delivery-log.ts';
import { createEngine, type Engine } from '../../src/kernel/engine.ts';
import { type MessageStep, NEW, type Protocol } from '../../src/kernel/protocol.ts';
import { createRegistry } from '../../src/kernel/registry.ts';
import type { Settings } from '../../src/kernel/settings.ts';
import { createWebhookSecrets } from '../../src/kernel/webhook-secret.ts';
import { createRelay } from '../../src/mediation/relay.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import type { ClaimedJob, Database, StoredRecord } from '../../src/ports/store.ts';
import { NO_TRACE } from '../../src/ports/trace.ts';
import { credential } from '../../src/records/credential.ts';
import { SETTINGS } from '../support/steps.ts';

/** What holds of every protocol, derived from its literal: nothing here knows one by name, but for bodies that pass its schema. */

const TENANT = 'base';
const protocols = PROTOCOLS as unknown as Protocol[];
const registry = createRegistry(protocols, [credential as never], FORMATS);
let db: Database;
let engine: Engine;
let calls: Calls;
let auto = false;

const FLAGS = ['Invites', 'Requests']
  .map((name) => `autoAccept${name}`)
  .concat(
    [
      'autoPingConnection',
      'autoRespondMessages',
      'autoRespondCredentialProposal',
      'autoRespondCredentialOffer',
      'autoRespondCredentialRequest',
    ],
    ['autoStoreCredential', 'autoRespondPresentationProposal', 'autoRespondPresentationRequest', 'autoVerifyPresentation', 'monitorPing'],
  );
const ENDPOINT = newKeyPair().verkey;
const settings = (): Settings =>
  ({
    ...SETTINGS,
    label: 'test',
    endpoint: 'http://127.0.0.1:1',
    moreEndpoints: [],
    publicInvites: true,
    debugWebhooks: false,
    preserveExchangeRecords: true,
    agency: true,
    agent2018Endpoint: { did: 'did-of-the-agency', verkey: ENDPOINT },
    ...Object.fromEntries(FLAGS.map((name) => [name, auto])),
  }) as unknown as Settings;

before(async () => {
  db = await openSqlite({ path: ':memory:' });
  await db.admin.ensureTenant(TENANT, 'test');
  const parts: Omit<Kernel, 'messageFormats' | 'keyOwners' | 'awaitedCalls'> = {
    db,
    registry,
    now: Date.now,
    base: TENANT,
    profiles: {
      of: () => ({ settings: settings(), webhooks: [], shown: {} }),
      invalidate() {},
      isTenantDeleted: async () => false,
      reset() {},
    },
    keys: createKeyRing(db),
    webhookSecrets: createWebhookSecrets(db, TENANT, undefined),
    deliveries: createDeliveryLog(),
    count() {},
    trace: NO_TRACE,
    log: { info() {}, warn() {}, error: (fields, text) => assert.fail(`${text}: ${JSON.stringify(fields)}`) },
  };
  const kernel = withFormats(parts, messageFormats({ all: () => [] }));
  engine = createEngine(kernel, createRelay);
  calls = createCalls(kernel, engine, {}, () => assert.fail('no work is done here'));
});
after(() => db.admin.close());

// -- a connection and an exchange in any state --------------------------------------------------------------------------------------------------------

interface Place {
  readonly peer: KeyPair;
  readonly mine: KeyPair;
  readonly connection: string;
  readonly thread: string;
  readonly category: string;
}

async function placed(protocol: Protocol, state: string, role: string | undefined): Promise<Place> {
  const [peer, mine, moved] = [newKeyPair(), newKeyPair(), newKeyPair()];
  const [connection, thread] = [randomUUID(), randomUUID()];
  const own = protocol.binds.category === 'connection' && !protocol.stateless;
  const value = {
    protocol: own ? protocol.name : 'did-exchange',
    my_verkey: mine.verkey,
    my_did: 'did:peer:4zQmMine',
    their_keys: [peer.verkey],
    their_endpoint: 'http://127.0.0.1:1',
    invitation_key: newKeyPair().verkey,
    invitation_mode: 'once',
    request_id: own ? thread : undefined,
  };
  const def = registry.records.get('connection')!;
  const exchange = {
    protocol: protocol.name,
    thread,
    thread_id: thread,
    invi_msg_id: thread,
    initiator: 'self',
    multi_use: false,
    invitation: { services: ['did:peer:none'] },
    new_did: 'did:peer:4zQmNew',
    verkey: moved.verkey,
    routing_key: mine.verkey,
    signature_request: [{}],
    signature_response: [],
    messages_attach: [{ '@id': 'a', data: { json: {} } }],
    formats: [],
    timing: {},
    meta_data: { context: {}, processing: {} },
  };
  await db.store.commit(TENANT, {
    keys: [mine, moved].map((pair) => ({ kid: pair.verkey, type: 'ed25519', secret: pair.secretKey })),
    keyOwners: [{ kid: mine.verkey, tenant: TENANT, kind: 'connection', target: connection }],
    records: [
      {
        category: 'connection',
        id: connection,
        expect: 0,
        state: own ? state : 'active',
        role: own ? role : 'inviter',
        tags: def.tags(value),
        value: value as JsonObject,
      },
      ...(own || protocol.stateless || state === NEW
        ? []
        : [
            {
              category: protocol.binds.category,
              id: randomUUID(),
              expect: 0,
              state,
              role,
              connection,
              tags: protocol.binds.tags(exchange),
              value: exchange as JsonObject,
            },
          ]),
    ],
  });
  return { peer, mine, connection, thread, category: protocol.binds.category };
}

const exchangesOf = async (place: Place): Promise<StoredRecord[]> =>
  (await db.store.load(TENANT, [{ category: place.category, tag: 'thread', equals: place.thread }]))[0]!;

interface Seen {
  readonly records: StoredRecord[];
  readonly events: number;
  readonly mail: JsonObject[];
  readonly jobs: ClaimedJob[];
  readonly refused?: string;
}

let lastEvent: string | undefined;
/** Sends a message and tells all that came of it; jobs are taken away, so that the next look sees only what is new. */
async function send(place: Place, message: JsonObject, sender: KeyPair | undefined): Promise<Seen> {
  const bytes = Buffer.from(pack({ message: JSON.stringify(message), recipients: [place.mine.verkey], sender }));
  const { refused } = await engine.receive(bytes, { canReply: false });
  const lanes = await db.jobs.claim({ owner: 'test', lanes: 1000, perLane: 1000, leaseMs: 60_000 });
  await db.jobs.settle(lanes.map(({ lane, lease, jobs }) => ({ lane, lease, done: jobs.map((job) => job.id) })));
  const jobs = lanes.flatMap((lane) => lane.jobs);
  const mail = jobs
    .filter((job) => job.kind === 'deliver')
    .map(
      (job) =>
        JSON.parse(
          Buffer.from(openEnvelope(parseEnvelope(Buffer.from(job.payload.envelope as string)), place.peer).message).toString('utf8'),
        ) as JsonObject,
    );
  const events = await db.store.events(TENANT, { after: lastEvent, limit: 1000 });
  lastEvent = events.at(-1)?.id ?? lastEvent;
  return { records: await exchangesOf(place), events: events.length, mail, jobs, refused };
}

/** Members that make a body pass its schema, whichever it is. */
const SERVICE = `did:key:z6Mk${'s'.repeat(44)}`;
const BODY: JsonObject = {
  did: 'did:peer:4zQmNobody',
  content: 'text',
  description: { code: 'x', en: 'y' },
  status: 'OK',
  presentation_proposal: { attributes: [], predicates: [] },
  name: 'x',
  decision_id: 'x',
  point: 'x',
  request: { jsonrpc: '2.0', method: 'x', id: 1 },
  response: { jsonrpc: '2.0', result: 1, id: 1 },
  responder: 'x',
  invitation: {
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': 'i',
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: ['did:peer:none'],
  },
  options: [],
  updates: [{ recipient_key: newKeyPair().verkey, action: 'add' }],
  updated: [],
  keys: [],
  endpoint: 'http://127.0.0.1:1',
  routing_keys: [newKeyPair().verkey],
  query: '*',
  queries: [{ 'feature-type': 'protocol', match: '*' }],
  protocols: [{ pid: 'x' }],
  disclosures: [{ 'feature-type': 'protocol', id: 'x' }],
  job: 'TRANSACTION_AUTHOR',
  signature_request: {},
  signature_response: {},
  endorser_did: 'did:algo:x',
  messages_attach: { '@id': 'a', data: { json: {} } },
  revocation_format: 'anoncreds',
  share: 'share-of-a-recovery-secret',
  controller: SERVICE,
  recipient: 'k',
  capabilities: [
    {
      id: 'urn:uuid:1',
      controller: SERVICE,
      invocationTarget: 'https://hub.example/1',
      expires: '2099-01-01T00:00:00Z',
      proof: { verificationMethod: `${SERVICE}#1` },
    },
  ],
  credential_id: 'did:algo:x::1',
};
/** What is attached to messages of credentials and proofs, and in which format, whatever their version. */
const ATTACHED: Readonly<Record<string, readonly [field: string, format: string]>> = {
  'propose-credential': ['filters', 'anoncreds/credential-filter@v1.0'],
  'offer-credential': ['offers', 'anoncreds/credential-offer@v1.0'],
  'request-credential': ['requests', 'anoncreds/credential-request@v1.0'],
  'issue-credential': ['credentials', 'anoncreds/credential@v1.0'],
  'propose-presentation': ['proposals', 'anoncreds/proof-request@v1.0'],
  'request-presentation': ['request_presentations', 'anoncreds/proof-request@v1.0'],
  presentation: ['presentations', 'anoncreds/proof@v1.0'],
};
function attachedTo(name: string): JsonObject {
  const [field, format] = ATTACHED[name] ?? [];
  if (field === undefined || format === undefined) return {};
  const json: JsonObject = field === 'offers' ? { cred_def_id: 'd', schema_id: 's' } : {};
  return { formats: [{ attach_id: 'a', format }], [`${field}~attach`]: [{ '@id': 'a', data: { json } }] };
}
const messageOf = (protocol: Protocol, name: string, { thread, peer }: Place): JsonObject => ({
  '@type': `${protocol.uris[0]}/${name}`,
  '@id': randomUUID(),
  '~thread': { thid: thread, pthid: thread },
  ...BODY,
  ...attachedTo(name),
  // transactions are known by members of their own
  transaction_id: thread,
  ...(protocol.name === 'endorse-transaction' ? { thread_id: thread } : {}),
  // who moves to another DID is to be heard under the same key by this test
  to_did: ownPeer2({ verkey: peer.verkey, endpoint: 'http://127.0.0.1:1' }),
});

/** Those of DIDComm: the 2018 Agent Protocol has another envelope and tells its peers of no problem. */
const declared = protocols.filter(
  ({ uris, messages, problem }) => uris[0]?.startsWith('https:') && (Object.keys(messages).length > 0 || problem),
);
const isOutcome = (name: string): boolean => name === 'ack' || /^problem[-_]report$/.test(name);
const rolesOf = (protocol: Protocol): (string | undefined)[] => {
  const steps: MessageStep[] = [...Object.values(protocol.messages), ...(protocol.acked ? [protocol.acked] : [])];
  const roles = [...new Set(steps.flatMap((step) => step.role ?? []))];
  return roles.length > 0 ? roles : [undefined];
};
const stepsOf = (protocol: Protocol): [string, MessageStep | undefined][] => [
  ...Object.entries(protocol.messages),
  ['ack', protocol.acked],
  ['problem-report', protocol.problem],
];
/** A record but for a problem that was noted in it. */
function untroubled(record: unknown): object {
  const { version: _version, updated: _updated, value, ...rest } = record as { version: number; updated: number; value: JsonObject };
  const { error_msg: _told, ...members } = value;
  return { ...rest, value: members };
}
const withoutId = ({ '@id': _id, ...message }: JsonObject): JsonObject => message;
const isReport = (message: JsonObject): boolean => /problem[-_]report$/.test(String(message['@type']));

for (const automatic of [false, true]) {
  describe(`every message in every state${automatic ? ', with every auto flag' : ''}`, () => {
    before(() => {
      auto = automatic;
    });
    for (const protocol of declared) {
      for (const [name, step] of stepsOf(protocol)) {
        test(`${protocol.name} ${name}`, async () => {
          const states = protocol.stateless ? ['active'] : [NEW, ...protocol.binds.states];
          for (const state of states) {
            if (state === NEW && protocol.binds.category === 'connection') continue;
            for (const role of rolesOf(protocol)) {
              const at = `${protocol.name} ${name} in ${state} as ${role}`;
              const place = await placed(protocol, state, role);
              const before = await exchangesOf(place);
              for (const sender of [newKeyPair(), undefined]) {
                const seen = await send(place, messageOf(protocol, name, place), sender);
                assert.ok(seen.refused, `${at}: ${sender ? 'a stranger' : 'nobody'} was listened to`);
                assert.deepEqual(
                  [seen.records, seen.events, seen.jobs],
                  [before, 0, []],
                  `${at}: ${sender ? 'a stranger' : 'nobody'} had an effect`,
                );
              }

              const message = messageOf(protocol, name, place);
              const first = await send(place, message, place.peer);
              const listed =
                step !== undefined &&
                (step.from === '*' || (step.from.includes(state) && (state === NEW || step.role === undefined || step.role === role)));
              if (isOutcome(name)) {
                assert.ok(!first.mail.some(isReport), `${at}: an outcome was answered by a report`);
                // a problem that the protocol has no step for is noted in its record, and changes nothing else
                const plain = name === 'ack' || step ? (one: unknown) => one : untroubled;
                if (!listed) assert.deepEqual(first.records.map(plain), before.map(plain), `${at}: an effect that is not listed`);
              } else if (!listed) {
                assert.deepEqual(first.records, before, `${at}: an effect that is not listed`);
                assert.equal(first.events, 0, `${at}: an event`);
                assert.deepEqual([first.jobs.length, first.mail.map(isReport)], [1, [true]], `${at}: not exactly one problem report`);
              }
              for (const record of first.records)
                assert.ok([undefined, ...protocol.binds.states].includes(record.state), `${at}: state ${record.state}`);
              for (const mail of first.mail.filter(isReport))
                assert.equal((mail['~thread'] as JsonObject | undefined)?.thid, place.thread, `${at}: a report on another thread`);

              const second = await send(place, message, place.peer);
              assert.deepEqual(second.records, first.records, `${at}: a second effect`);
              assert.equal(second.events, 0, `${at}: told twice`);
              // what has no mark is answered anew, and says the same
              const [again, answer] = step?.repeatable ? [second, first].map(({ mail }) => mail.map(withoutId)) : [second.mail, first.mail];
              assert.deepEqual(again, answer, `${at}: another answer`);
              assert.deepEqual(
                second.jobs.filter((job) => job.kind !== 'deliver'),
                [],
                `${at}: done twice`,
              );
            }
          }
        });
      }
    }
  });
}

test('no message of a peer, in any order, leaves a state but by a transition that is listed for it', async () => {
  auto = false;
  const sent = fc.record({ protocol: fc.constantFrom(...declared), which: fc.nat(20), repeat: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...declared.filter((one) => !one.stateless)),
      fc.nat(20),
      fc.nat(5),
      fc.array(sent, { maxLength: 12 }),
      async (protocol, at, as, words) => {
        const states = protocol.binds.states;
        const roles = rolesOf(protocol);
        const role = roles[as % roles.length];
        const place = await placed(protocol, states[at % states.length]!, role);
        let records = await exchangesOf(place);
        for (const { protocol: family, which, repeat } of words) {
          const steps = stepsOf(family);
          const [name] = steps[which % steps.length]!;
          const message = messageOf(family, name, place);
          for (let times = repeat ? 2 : 1; times > 0; times--) {
            const { records: now } = await send(place, message, place.peer);
            for (const record of now) {
              const was = records.find((one) => one.id === record.id);
              if (!was || was.state === record.state) continue;
              // an outcome belongs to the owner of its thread, whatever family it names
              const owner = isOutcome(name) ? protocol : family;
              const step = isOutcome(name) ? (name === 'ack' ? owner.acked : owner.problem) : owner.messages[name];
              assert.ok(
                step && (step.from === '*' || step.from.includes(was.state ?? '')),
                `${owner.name} ${name}: ${was.state} -> ${record.state}`,
              );
              assert.ok(times === (repeat ? 2 : 1), 'a repetition moved it');
            }
            records = now;
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('the same message many times at once has one effect', async () => {
  auto = false;
  for (const protocol of declared.filter((one) => !one.stateless)) {
    for (const [name, step] of Object.entries(protocol.messages)) {
      // what needs a grant is for owners: flows/owner.test.ts; backups need the key of the words: flows/agency-backups.test.ts
      if (!step.from.includes(NEW) || step.grant !== undefined || protocol.name === 'wallet-backup') continue;
      const place = await placed(protocol, NEW, undefined);
      const message = messageOf(protocol, name, place);
      const bytes = (): Buffer =>
        Buffer.from(pack({ message: JSON.stringify(message), recipients: [place.mine.verkey], sender: place.peer }));
      await Promise.all(Array.from({ length: 16 }, () => engine.receive(bytes(), { canReply: false })));
      // a device of an agency is one of its connection, whatever the thread
      const lookups = [
        { category: place.category, tag: 'thread', equals: place.thread },
        { category: place.category, tag: 'connection_id', equals: place.connection },
      ];
      const [ofThread = [], ofConnection = []] = await db.store.load(TENANT, lookups);
      const records = ofThread.length > 0 ? ofThread : ofConnection;
      assert.deepEqual(
        records.map((record) => record.version),
        [1],
        `${protocol.name} ${name}`,
      );
      await send(place, message, place.peer);
    }
  }
});

test('the same call many times at once under one idempotency key has one effect and one answer', async () => {
  const input = { body: { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] }, query: {} };
  const answers = await Promise.all(
    Array.from({ length: 16 }, () => calls.call(TENANT, 'out-of-band', 'create-invitation', { input, key: 'once' })),
  );
  assert.equal(new Set(answers.map((one) => one.oob_id)).size, 1);
  assert.equal(
    (await db.store.find(TENANT, 'oob_record', { state: 'await-response', role: 'sender' })).rows.filter(
      (row) => row.id === answers[0]!.oob_id,
    ).length,
    1,
  );
});
