import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { ADMIN, createOwner } from '../../harness/owner.ts';
import { openContainer } from '../../src/backup/container.ts';
import { newWords, recoveryKeys } from '../../src/backup/recovery.ts';
import { OWN_PREFIX } from '../../src/didcomm/message-types.ts';
import { anchor, type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { configOf, newCaller } from '../support/hub.ts';
import { sessionCookie } from '../support/session.ts';
import { MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';

/**
 * Tenants of one instance, apart from each other. Derived from the agent's own document: each operation that takes an identifier, in its path, its query or its
 * body, is called by one tenant with another one's, and with one that nobody has. Nothing may tell the two apart. Each call is made twice: with the tenant's
 * token at the admin API, and by the tenant's session at the console.
 */

const world = createWorld();
let agent: TestAgent;
let first: Tenant;
let other: Tenant;
/** The identifiers of the tenant whose they are, and of the one that calls. */
let theirs: Ids;
let own: Ids;
let operations: { name: string; method: string; path: string; spec: Body }[];
/** The session of the tenant that calls, at the console. */
let session: Awaited<ReturnType<typeof sessionCookie>>;

type Ids = Awaited<ReturnType<typeof populate>>;
type Anchored = Awaited<ReturnType<typeof anchor>> & { revRegId: string; batchId: string; theirs: boolean };
before(async () => {
  agent = await world.start('cloud', {
    devnet: await world.devnet(),
    sponsor: true,
    noWebhook: true,
    // mail goes from tenant to tenant as it does without an agency
    flags: [
      ...MULTITENANT,
      '--anoncreds-workers',
      '2',
      '--agency',
      '--relay-through-agency',
      'off',
      '--hub',
      '--wallet-backup',
      '--store-messages',
    ],
  });
  first = await newTenant(agent, 'first');
  other = await newTenant(agent, 'other');
  const mate = await newTenant(agent, 'mate');
  // what is on the ledger is the third one's: a key pair for it takes its time
  const anchored = await anchor(mate as unknown as TestAgent, ['name'], { support_revocation: true, revocation_registry_size: 100 });
  const [revRegId] = (await mate.get('/anoncreds/revocation/registries')).rev_reg_ids as string[];
  const { batch_id: batchId } = await mate.post('/credential-batches', { csv: 'name\nEve\n', cred_def_id: anchored.credDefId });
  const common = { ...anchored, revRegId: revRegId!, batchId: batchId as string };
  theirs = await populate(first, mate, { ...common, theirs: true });
  own = await populate(other, mate, { ...common, theirs: false });
  session = await sessionCookie(agent.admin, { token: other.token });
  const { body: document } = await agent.call('GET', '/api/docs/swagger.json');
  operations = Object.entries(document.paths as Record<string, Record<string, Body>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spec]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      spec,
    })),
  );
});
after(() => world.close());

const ATTRIBUTES = [{ name: 'name', value: 'Eve' }];
const preview = (version: string): Body => ({ '@type': `issue-credential/${version}/credential-preview`, attributes: ATTRIBUTES });
const PROOF = {
  name: 'p',
  version: '1.0',
  requested_attributes: { shown: { name: 'name' } },
  requested_predicates: {},
};
const STRANGER = 'did:key:z6MkgYGF3thn8k1Fv4p4dWXKtsXCnLH7q9yw4QgNPULDmDKB';
const CALL = { jsonrpc: '2.0', method: 'add', id: 1 };
const SHARE = 'share-of-a-secret-that-nobody-has';
/** A capability as far as an agent reads it. */
const capability = (controller: string, invocationTarget = 'https://hub.example/hub/base/edvs/z1'): Body => ({
  id: 'urn:uuid:2b1c7c1e-7d5b-4a8e-9d55-0a8f4e6f2b11',
  controller,
  invocationTarget,
  expires: '2099-01-01T00:00:00Z',
  proof: { verificationMethod: STRANGER },
});

/** Gives a tenant one of everything, most of it with a third one as its peer. */
async function populate(tenant: Tenant, mate: Tenant, anchored: Anchored) {
  const search =
    (of: Tenant) =>
    async (path: string, what: string, fits: (one: Body) => unknown = () => true, count = 1): Promise<Body[]> =>
      await until(async () => {
        const found = ((await of.get(path)).results as Body[]).map((one) => one.cred_ex_record ?? one).filter(fits);
        return found.length >= count && found;
      }, what);
  const [listed, hers] = [search(tenant), search(mate)];
  const state = (name: string) => (one: Body) => one.state === name;

  const { result: keyDid } = await tenant.post('/wallet/did/create', { method: 'key' });
  const { multikey } = await tenant.post('/wallet/keys', { kid: `kid-${tenant.id}` });
  const made = await tenant.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: 'made' });
  const open = await tenant.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: 'open' });
  const { connection_id: mateSide } = await mate.post('/out-of-band/receive-invitation', made.invitation);
  await hers('/connections?state=active', 'the connection', (one) => one.connection_id === mateSide);
  const [active] = await listed('/connections?state=active', 'the connection');
  const [pending] = await listed('/connections?state=invitation', 'an open connection');
  const { connection_id } = active!;
  // nobody may be reached there: its mail is a dead letter at once
  const their_seed = tenant.id.replaceAll('-', '');
  await tenant.post('/connections/create-static', { their_seed, their_endpoint: 'http://169.254.1.1', alias: 'nowhere' });
  const [nowhere] = await listed('/connections', 'a connection to nowhere', (one) => one.alias === 'nowhere');
  await tenant.post(`/connections/${nowhere!.connection_id}/send-message`, { content: 'nobody there' });
  const [dead] = await listed('/dead-letters', 'a dead letter');

  const cred_def_id = anchored.credDefId;
  const offer = { filter: { anoncreds: { cred_def_id } }, credential_preview: preview('2.0') };
  const at2 = '/issue-credential-2.0/records';
  const kept = await mate.post('/issue-credential-2.0/send', { ...offer, connection_id: mateSide });
  const [offered] = await listed(`${at2}?thread_id=${kept.thread_id}`, 'the offer', state('offer-received'));
  await tenant.post(`${at2}/${offered!.cred_ex_id}/send-request`);
  await listed(`${at2}?thread_id=${kept.thread_id}`, 'the credential', state('credential-received'));
  await tenant.post(`${at2}/${offered!.cred_ex_id}/store`, {});
  const open2 = await mate.post('/issue-credential-2.0/send', { ...offer, connection_id: mateSide });
  await listed(`${at2}?thread_id=${open2.thread_id}`, 'an offer that waits', state('offer-received'));
  const sent2 = await tenant.post('/issue-credential-2.0/send-proposal', { connection_id, filter: { anoncreds: { cred_def_id } } });
  const old = { cred_def_id, credential_preview: preview('1.0') };
  const cred1 = await mate.post('/issue-credential/send-offer', { ...old, connection_id: mateSide });
  await listed('/issue-credential/records', 'an offer of version 1', state('offer_received'));
  await tenant.post('/present-proof-2.0/send-request', { connection_id, presentation_request: { anoncreds: PROOF } });
  const pres2 = await mate.post('/present-proof-2.0/send-request', {
    connection_id: mateSide,
    presentation_request: { anoncreds: PROOF },
  });
  await listed('/present-proof-2.0/records', 'a proof request', state('request-received'));
  const pres1 = await mate.post('/present-proof/send-request', { connection_id: mateSide, proof_request: PROOF });
  await listed('/present-proof/records', 'a proof request of version 1', state('request_received'));
  const drpc = await mate.post(`/drpc/${mateSide}/request`, { request: CALL });
  const records = await listed('/drpc/records', 'a call');
  await tenant.get(`/discover-features/query?connection_id=${connection_id}&query=*`);
  await tenant.get(`/discover-features-2.0/queries?connection_id=${connection_id}&query_protocol=*`);
  await listed('/discover-features/records', 'what was discovered');

  // one where it is the client, and one where it is the mediator
  await tenant.post(`/mediation/request/${connection_id}`);
  const [asked] = await hers('/mediation/requests', 'a request for mediation', (one) => one.connection_id === mateSide);
  await mate.post(`/mediation/requests/${asked!.mediation_id}/grant`);
  const [granted] = await listed('/mediation/requests?state=granted', 'a mediation', (one) => one.connection_id === connection_id);
  await mate.post(`/mediation/request/${mateSide}`);
  const [requested] = await listed('/mediation/requests', 'a request for mediation', (one) => one.mediation_id !== granted!.mediation_id);

  // a decision of a handler
  const match = { types: ['presentation-proposal'] };
  const { handler_id } = await tenant.post('/agent-config/handlers', { match, mode: 'consult', deliver: 'webhook' });
  await mate.post('/present-proof-2.0/send-proposal', { connection_id: mateSide, presentation_proposal: { anoncreds: PROOF } });
  const [waiting] = await listed('/agent-config/decisions', 'a decision');

  // a write that waits for its endorser
  await tenant.post(`/transactions/${connection_id}/set-endorser-role?transaction_my_job=TRANSACTION_AUTHOR`);
  await tenant.post(`/transactions/${connection_id}/set-endorser-info?endorser_did=${encodeURIComponent(anchored.did)}`);
  const { result: unpublished } = await tenant.post('/wallet/did/create', { method: 'algo' });
  const publish = `/wallet/did/public?did=${encodeURIComponent(unpublished.did)}&conn_id=${connection_id}`;
  const { txn } = await tenant.post(`${publish}&create_transaction_for_endorser=true`);

  const edge = { connection: connection_id, mateSide };
  const more = {
    ...(await withAgency(tenant, mate, edge)),
    ...(await withHub(tenant, mate, edge)),
    ...(await withShares(tenant, mate, edge)),
  };
  const action = await withOwner(tenant);

  // a message that is stored, a short link, and a token of the wallet
  await mate.post(`/connections/${mateSide}/send-message`, { content: 'hello' });
  const [message] = await listed('/basicmessages', 'a message');
  const { short_link_id } = await tenant.post('/short-links', { oob_id: open.oob_id });
  const [token] = (await agent.get(`/multitenancy/wallet/${tenant.id}/tokens`)).results;

  const of = async (path: string, member: string): Promise<string[]> =>
    ((await tenant.get(path)).results as Body[]).map((one) => (one.cred_ex_record ?? one)[member] as string);
  const dids = (await tenant.get('/wallet/did')).results as Body[];
  const [event] = (await tenant.get('/events?limit=1')).results;
  return {
    wallet: [tenant.id],
    connection: [connection_id, pending!.connection_id, nowhere!.connection_id] as string[],
    // the first one is the caller's: an exchange that waits for it
    cred2: [...new Set([...(await of(`${at2}?thread_id=${open2.thread_id}`, 'cred_ex_id')), ...(await of(at2, 'cred_ex_id'))])],
    cred1: await of('/issue-credential/records', 'credential_exchange_id'),
    pres2: [
      ...(await of(`/present-proof-2.0/records?thread_id=${pres2.thread_id}`, 'pres_ex_id')),
      ...(await of('/present-proof-2.0/records', 'pres_ex_id')),
    ],
    pres1: await of('/present-proof/records', 'presentation_exchange_id'),
    credential: await of('/credentials', 'referent'),
    drpc: records.map((one) => one.id as string),
    thread: [drpc['@id'], sent2.thread_id, cred1.thread_id, pres2.thread_id, pres1.thread_id, more.grantThread, action.thread] as string[],
    oob: [open.oob_id, made.oob_id] as string[],
    invitation: [open.invi_msg_id, made.invi_msg_id] as string[],
    did: [
      ...(anchored.theirs ? [anchored.did] : []),
      keyDid.did,
      ...dids.map((one) => one.did as string).filter((one) => one.startsWith('did:peer')),
    ].slice(0, 3) as string[],
    verkey: [keyDid.verkey] as string[],
    multikey: [multikey] as string[],
    kid: [`kid-${tenant.id}`],
    schema: [anchored.schemaId],
    credDef: [anchored.credDefId],
    // the third one's, as what is on the ledger
    revReg: [anchored.revRegId],
    batch: [anchored.batchId],
    message: [message!.message_id as string],
    shortLink: [short_link_id as string],
    // by the id of its definition, and so the same for whoever knows that
    ocaBundle: ['look-of-nobody'],
    token: [token.token_id as string],
    // nobody may reserve here: test/flows/tenants.test.ts has what reservations say
    reservation: ['reservation-of-nobody'],
    transaction: [txn.transaction_id as string],
    dead: [dead!.id as string],
    mediation: [granted!.mediation_id, requested!.mediation_id] as string[],
    event: [event.event_id as string],
    handler: [handler_id as string],
    decision: [waiting!.decision_id as string],
    device: more.device,
    cloudAgent: more.cloudAgent,
    vault: more.vault,
    controller: more.controller,
    grant: more.grant,
    share: more.share,
    action: [action.id],
    question: [action.question],
  };
}

/** A connection with the third one, by its ids on both sides. */
interface Edge {
  readonly connection: string;
  readonly mateSide: string;
}

const waitFor = (of: Tenant, path: string, fits: (one: Body) => unknown): Promise<Body> =>
  until(async () => ((await of.get(path)).results as Body[]).find(fits), `a record at ${path}`);

/** Both sides of an agency: a device of the tenant at the third one, and the other way round. */
async function withAgency(tenant: Tenant, mate: Tenant, { connection, mateSide }: Edge) {
  const { device_id } = await tenant.post(`/agency/provision/${connection}`);
  await waitFor(tenant, '/agency/devices?role=edge', (one) => one.state === 'provisioned');
  await mate.post(`/agency/provision/${mateSide}`);
  const kept = await waitFor(tenant, '/agency/devices?role=agency', (one) => one.state === 'provisioned');
  return { device: [device_id, kept.device_id] as string[], cloudAgent: [kept.cloud_agent_id as string] };
}

/** A vault, its controller, a grant that is asked for, and one that is given. */
async function withHub(tenant: Tenant, mate: Tenant, { connection, mateSide }: Edge) {
  const [owner, service] = [newCaller(), newCaller()];
  await tenant.post('/hub/controllers', { controller: owner.did });
  const { id } = await tenant.post('/hub/vaults', configOf(owner, { referenceId: REFERENCE }));
  const { thread_id } = await mate.post('/hub/grants/request', {
    connection_id: mateSide,
    controller: service.did,
    recipient: `${service.did}#key`,
  });
  const asked = await waitFor(tenant, '/hub/grants', (one) => one.thread_id === thread_id);
  const given = await tenant.post('/hub/grants', { connection_id: connection, capabilities: [capability(service.did)] });
  return {
    vault: [(id as string).split('/').at(-1)!],
    controller: [owner.did],
    grant: [asked.grant_id, given.grant_id] as string[],
    grantThread: thread_id as string,
  };
}

/** The reference of each tenant's vault. */
const REFERENCE = 'primary';

/** A request for a share, a share that is kept, and one that was given away. */
async function withShares(tenant: Tenant, mate: Tenant, { connection, mateSide }: Edge) {
  await mate.post(`/recovery-shares/${mateSide}/request-release`);
  await mate.post(`/recovery-shares/${mateSide}/store`, { share: SHARE });
  const given = await tenant.post(`/recovery-shares/${connection}/store`, { share: SHARE });
  const requested = await waitFor(tenant, '/recovery-shares', (one) => one.role === 'guardian');
  const kept = await waitFor(tenant, '/recovery-shares', (one) => one.role === 'trustee');
  return { share: [requested.share_id, kept.share_id, given.share_id] as string[] };
}

/** The order of an owner, as a message. */
async function withOwner(tenant: Tenant) {
  const owner = createOwner();
  const made = await tenant.post('/connections/create-static', { their_verkey: owner.pair.verkey, grants: ['admin-invitations'] });
  owner.to = { verkey: made.my_verkey, url: agent.inbound };
  await owner.send(ADMIN('invitations', 'create'));
  const { action_id, thread_id } = await waitFor(tenant, '/owner-actions', (one) => one.state === 'done');
  await owner.send(`${OWN_PREFIX}agent-config/1.0/decision-request`, { decision_id: 'd1', point: 'connection-request' });
  const question = await waitFor(tenant, '/agent-config/questions', (one) => one.state === 'asked');
  return { id: action_id as string, thread: thread_id as string, question: question.question_id as string };
}

/** What an identifier's name stands for, by operation. */
function kindOf(name: string, path: string): keyof Ids | undefined {
  if (name === 'wallet_id') return 'wallet';
  if (/^(conn_id|connection_id|target_connection_id)$/.test(name)) return 'connection';
  if (name === 'cred_ex_id') return path.startsWith('/issue-credential-2.0') ? 'cred2' : 'cred1';
  if (name === 'pres_ex_id') return path.startsWith('/present-proof-2.0') ? 'pres2' : 'pres1';
  if (/^(credential_id|cred_id)$/.test(name)) return 'credential';
  if (name === 'replacement_id') return 'cred2';
  if (name === 'record_id') return 'drpc';
  if (/^(thread_id|thid)$/.test(name)) return 'thread';
  if (name === 'oob_id') return 'oob';
  if (/^(invi_msg_id|invitation_msg_id)$/.test(name)) return 'invitation';
  if (NOT_ONE.has(name)) return undefined;
  if (/(^|_)did$|^(issuer_id|schema_issuer_id|issuerId|verificationMethod)$/.test(name)) return 'did';
  if (/(^|_)verkey$|^(invitation_key|recipient_keys|routing_keys)$/.test(name)) return 'verkey';
  if (name === 'multikey') return 'multikey';
  if (name === 'kid') return 'kid';
  if (/^schema_?id$/i.test(name)) return 'schema';
  if (/^cred_?def_?id$|^credential_definition_id$/i.test(name)) return 'credDef';
  if (/^rev(oc)?_reg_(def_)?id$/.test(name)) return 'revReg';
  if (name === 'batch_id') return 'batch';
  if (name === 'message_id') return 'message';
  if (name === 'short_link_id') return 'shortLink';
  if (name === 'oca_bundle_id') return 'ocaBundle';
  if (name === 'token_id') return 'token';
  if (name === 'reservation_id') return 'reservation';
  if (name === 'tran_id') return 'transaction';
  if (name === 'ids') return 'dead';
  if (name === 'mediation_id') return 'mediation';
  if (name === 'after') return 'event';
  if (name === 'handler_id') return 'handler';
  if (name === 'decision_id') return 'decision';
  if (name === 'question_id') return 'question';
  if (name === 'approvers') return 'connection';
  if (name === 'device_id') return 'device';
  if (name === 'cloud_agent_id') return 'cloudAgent';
  if (name === 'vault_id') return 'vault';
  if (name === 'controller') return 'controller';
  if (name === 'grant_id') return 'grant';
  if (name === 'share_id' || (name === 'kept' && path.startsWith('/recovery-shares'))) return 'share';
  if (name === 'action_id') return 'action';
  return undefined;
}

/** Names that look like an identifier's and are none of a wallet. */
const NOT_ONE = new Map([
  ['create_unique_did', 'yes or no'],
  ['use_public_did', 'yes or no'],
  ['ledger_id', 'the ledger is the instance’s'],
  ['cred_rev_id', 'a place in a registry'],
  ['referenceId', 'a name that a controller gives to a vault of its own'],
]);

/** Names of members that look like identifiers; `kindOf` must know each, so that a new one cannot be forgotten. */
const LOOKS_LIKE_ONE = /_id$|(^|_)(ids|did|verkey|multikey|kid)$|Id$|^(after|verificationMethod|invitation_key)$/;

/** Of the form of a signature of Ed25519, by nobody. */
const SIGNATURE = 'A'.repeat(86);
/** Bodies that are valid, by operation, with the caller's own identifiers; each identifier in them is then another's. */
const BODIES: Record<string, (ids: Ids) => Body> = {
  'POST /out-of-band/create-invitation': () => HANDSHAKE,
  'POST /connections/{conn_id}/send-message': () => ({ content: 'hello' }),
  'POST /connections/{conn_id}/metadata': () => ({ metadata: { a: 1 } }),
  'POST /action-menu/{conn_id}/perform': () => ({ name: 'x' }),
  'POST /action-menu/{conn_id}/send-menu': () => ({
    menu: { title: 't', description: 'd', options: [{ name: 'x', title: 'y' }] },
  }),
  'POST /did-rotate/{conn_id}/rotate': () => ({ to_did: STRANGER }),
  'POST /drpc/{conn_id}/request': () => ({ request: CALL }),
  'POST /drpc/{conn_id}/response': ({ thread }) => ({ response: { jsonrpc: '2.0', result: 0, id: 1 }, thread_id: thread[0] }),
  ...Object.fromEntries(
    ['send-proposal', 'create-offer', 'create', 'send-offer', 'send'].map((name) => [
      `POST /issue-credential-2.0/${name}`,
      ({ connection, credDef }: Ids): Body => ({
        ...(name.startsWith('create') ? {} : { connection_id: connection[0] }),
        filter: { anoncreds: { cred_def_id: credDef[0] } },
        credential_preview: preview('2.0'),
      }),
    ]),
  ),
  ...Object.fromEntries(
    ['send-proposal', 'create', 'send'].map((name) => [
      `POST /issue-credential/${name}`,
      ({ connection, credDef }: Ids): Body => ({
        ...(name === 'create' ? {} : { connection_id: connection[0] }),
        cred_def_id: credDef[0],
        credential_proposal: preview('1.0'),
      }),
    ]),
  ),
  ...Object.fromEntries(
    ['create-offer', 'send-offer'].map((name) => [
      `POST /issue-credential/${name}`,
      ({ connection, credDef }: Ids): Body => ({
        ...(name === 'create-offer' ? {} : { connection_id: connection[0] }),
        cred_def_id: credDef[0],
        credential_preview: preview('1.0'),
      }),
    ]),
  ),
  ...Object.fromEntries(
    ['issue-credential', 'issue-credential-2.0'].map((name) => [
      `POST /${name}/records/{cred_ex_id}/problem-report`,
      (): Body => ({ description: 'no' }),
    ]),
  ),
  ...Object.fromEntries(
    ['present-proof', 'present-proof-2.0'].map((name) => [
      `POST /${name}/records/{pres_ex_id}/problem-report`,
      (): Body => ({ description: 'no' }),
    ]),
  ),
  'POST /present-proof-2.0/send-proposal': ({ connection }) => ({
    connection_id: connection[0],
    presentation_proposal: { anoncreds: PROOF },
  }),
  'POST /present-proof-2.0/send-request': ({ connection }) => ({
    connection_id: connection[0],
    presentation_request: { anoncreds: PROOF },
  }),
  'POST /present-proof-2.0/create-request': () => ({ presentation_request: { anoncreds: PROOF } }),
  'POST /present-proof-2.0/records/{pres_ex_id}/send-presentation': ({ credential }) => ({
    anoncreds: {
      requested_attributes: { shown: { cred_id: credential[0], revealed: true } },
      requested_predicates: {},
      self_attested_attributes: {},
    },
  }),
  'POST /present-proof/send-proposal': ({ connection, credDef }) => ({
    connection_id: connection[0],
    presentation_proposal: { attributes: [{ name: 'name', cred_def_id: credDef[0] }], predicates: [] },
  }),
  'POST /present-proof/send-request': ({ connection }) => ({ connection_id: connection[0], proof_request: PROOF }),
  'POST /present-proof/create-request': () => ({ proof_request: PROOF }),
  'POST /present-proof/records/{pres_ex_id}/send-presentation': ({ credential }) => ({
    requested_attributes: { shown: { cred_id: credential[0], revealed: true } },
    requested_predicates: {},
    self_attested_attributes: {},
  }),
  'POST /wallet/set-did-endpoint': ({ did }) => ({ did: did[0], endpoint: 'https://a.example' }),
  'PUT /wallet/keys': ({ multikey }) => ({ multikey: multikey[0], kid: 'renamed' }),
  'POST /wallet/jwt/sign': ({ did }) => ({ payload: {}, did: did[1] }),
  'POST /wallet/sd-jwt/sign': ({ did }) => ({ payload: {}, did: did[1] }),
  'POST /anoncreds/schema': ({ did }) => ({ schema: { issuerId: did[0], name: 'new', version: '1.0', attrNames: ['a'] } }),
  'POST /anoncreds/credential-definition': ({ did, schema }) => ({
    credential_definition: { issuerId: did[0], schemaId: schema[0], tag: 'new' },
  }),
  'POST /credential-definitions': ({ schema }) => ({ schema_id: schema[0], tag: 'newer' }),
  'POST /schemas': () => ({ schema_name: 'of the public DID', schema_version: '1.0', attributes: ['a'] }),
  'POST /legacy/connections/requests': ({ did, verkey }) => ({ did: did[0], verkey: verkey[0], endpoint: 'http://127.0.0.1:9' }),
  'POST /didexchange/receive-request': ({ invitation }) => ({
    '@type': 'https://didcomm.org/didexchange/1.1/request',
    '@id': 'r',
    '~thread': { thid: 'r', pthid: invitation[0] },
    did: STRANGER,
  }),
  'POST /out-of-band/receive-invitation': () => ({
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': 'of-nobody',
    ...HANDSHAKE,
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [STRANGER], serviceEndpoint: 'http://127.0.0.1:9' }],
  }),
  'POST /mediation/keylists/{mediation_id}/send-keylist-update': () => ({ updates: [{ action: 'add', recipient_key: STRANGER }] }),
  'POST /multitenancy/reservations/{reservation_id}/check-in': () => ({ reservation_pwd: 'of nobody' }),
  'POST /oca-bundles': ({ credDef }) => ({
    cred_def_id: credDef[0],
    bundle: { capture_base: { type: 'spec/capture_base/1.0', attributes: { name: 'Text' } }, overlays: [] },
  }),
  'POST /credential-batches': ({ credDef }) => ({ csv: 'name\nEve\n', cred_def_id: credDef[0] }),
  'POST /dead-letters/replay': ({ dead }) => ({ ids: [dead[0]] }),
  'POST /anoncreds/revocation-registry-definition': ({ did, credDef }) => ({
    revocation_registry_definition: { issuerId: did[0], credDefId: credDef[0], tag: 'new', maxCredNum: 10 },
  }),
  'POST /anoncreds/revocation/revoke': ({ revReg }) => ({ rev_reg_id: revReg[0], cred_rev_id: '1' }),
  'POST /revocation/revoke': ({ cred1 }) => ({ cred_ex_id: cred1[0] }),
  'PATCH /revocation/registry/{rev_reg_id}': () => ({ tails_public_uri: 'https://tails.example/1' }),
  'POST /agent-config/handlers': ({ connection }) => ({
    match: { types: ['credential-offer'] },
    mode: 'notify',
    deliver: 'webhook',
    approvers: [connection[0]],
  }),
  'PUT /agent-config/policies/{name}': () => ({ value: { action: 'hold' } }),
  'POST /agent-config/decisions/{decision_id}': () => ({ action: 'hold' }),
  'POST /agent-config/questions/{question_id}/answer': () => ({ action: 'reject' }),
  'PUT /connections/{conn_id}/grants': () => ({ grants: ['admin-schemas'] }),
  // the name of a device is the agency's, of whom it is asked
  'POST /agency/devices/{device_id}/remove': () => ({ device: 'another' }),
  'POST /hub/vaults': ({ controller }) => ({ ...configOf(newCaller()), controller: controller[0] }),
  'POST /hub/controllers': ({ controller }) => ({ controller: controller[0] }),
  'POST /hub/grants/request': ({ connection, controller }) => ({
    connection_id: connection[0],
    controller: controller[0],
    recipient: `${controller[0]}#key`,
  }),
  'POST /hub/grants': ({ connection, controller }) => ({ connection_id: connection[0], capabilities: [capability(controller[0]!)] }),
  'POST /hub/grants/{grant_id}/accept': ({ controller }) => ({ capabilities: [capability(controller[0]!)] }),
  'POST /recovery-shares/{conn_id}/store': () => ({ share: SHARE }),
  'POST /recovery-shares/{share_id}/release': ({ share }) => ({ kept: share[1] }),
  'POST /wallet-backups/{conn_id}/open': ({ controller }) => ({ controller: controller[0], signature: SIGNATURE }),
  'POST /wallet-backups/{conn_id}/put': ({ controller }) => ({
    ...{ controller: controller[0], generation: 1, sha256: '0'.repeat(64), bytes: 3, parts: 1, part: 1 },
    data: 'AAAA',
  }),
  'POST /wallet-backups/{conn_id}/list': ({ controller }) => ({ controller: controller[0] }),
  'POST /wallet-backups/{conn_id}/get': ({ controller }) => ({
    ...{ controller: controller[0], signature: SIGNATURE, sha256: '0'.repeat(64), part: 1 },
  }),
  'POST /wallet-backups/{conn_id}/statement': ({ controller }) => ({ controller: controller[0] }),
  'POST /transactions/create-request': () => ({ expires_time: '2099-01-01T00:00:00Z' }),
};

/** Values of query members without which an operation looks for nothing. */
const QUERY: Readonly<Record<string, string>> = { state: 'full', apply_ledger_update: 'false', transaction_my_job: 'reset' };

/** Where an identifier stands: `path conn_id`, `query did`, `body filter.anoncreds.cred_def_id`. */
type Place = readonly ['path' | 'query' | 'body', string];

/** Identifiers that are nobody's secret, by operation and place. Each must still be needed. */
const PUBLIC: readonly { operation: RegExp; place: RegExp; why: string }[] = [
  {
    operation: /^GET \/(schemas|credential-definitions|anoncreds\/schema|anoncreds\/credential-definition)\/\{/,
    place: /^path (schema|cred_def)_id$/,
    why: 'it is on the ledger, where everybody reads it',
  },
  {
    operation: /^GET \/(ledger\/(did-verkey|did-endpoint|get-nym-role)|resolver\/resolve\/\{did\})$/,
    place: /^(query|path) did$/,
    why: 'a DID document is public',
  },
  {
    operation: /\/write_record$/,
    place: /^path /,
    why: 'whether it is on the ledger is public, and that the wallet did not write it is told',
  },
  { operation: /^POST \/wallet\/(sd-)?jwt\/sign$/, place: /^body verificationMethod$/, why: 'whether a DID is on the ledger is public' },
  {
    operation: /^POST \/issue-credential(-2.0)?\/send-proposal$/,
    place: /^body (filter\.anoncreds\.)?(cred_def_id|schema_id|issuer_did|schema_issuer_did)$/,
    why: 'a holder may propose whatever it has heard of',
  },
  { operation: /\/send-request$/, place: /^body holder_did$/, why: 'taken as ACA-Py does, without effect' },
  { operation: /^POST \/didexchange\/create-request$/, place: /^query their_public_did$/, why: 'it is there to be asked for a connection' },
  { operation: /^POST \/(wallet|schemas|credential-definitions)/, place: /^query conn_id$/, why: 'the endorser’s: taken, without effect' },
  { operation: /^(POST|PUT) \/wallet\/keys$/, place: /^body kid$/, why: 'a name that each wallet gives in its own' },
  {
    operation: /^POST \/connections\/(create|receive)-invitation$/,
    place: /^body (recipient_keys|routing_keys|did)$/,
    why: 'not supported, and answered 501',
  },
  {
    operation: /\/(revoke|credential-record)$/,
    place: /^(body|query) (cred_ex|rev_reg)_id$/,
    why: 'an exchange beside a registry is refused, and a registry without an index',
  },
  {
    operation: /^POST \/revocation\/publish-revocations$/,
    place: /^query conn_id$/,
    why: 'the endorser’s, whom nothing is asked where nothing is pending',
  },
  { operation: /\/set-endorser-info$/, place: /^query endorser_did$/, why: 'the name of somebody else, as its endorser' },
  {
    operation: /^POST \/hub\/(vaults|controllers|grants\/request)$/,
    place: /^body controller$/,
    why: 'a DID outside of every wallet, which may have vaults at each tenant',
  },
  {
    operation: /^POST \/wallet-backups\/\{conn_id\}\//,
    place: /^body controller$/,
    why: 'the key of somebody’s words: the agency is asked, and answers by what it has of the caller',
  },
  {
    operation: /^POST \/connections\/create-static$/,
    place: /^body their_verkey$/,
    why: 'the key of a peer, who gives it to whomever it likes',
  },
  { operation: /^GET \/events$/, place: /^query after$/, why: 'a position in time: what follows is the caller’s own' },
];

const exceptionFor = (operation: string, place: Place): (typeof PUBLIC)[number] | undefined =>
  PUBLIC.find((one) => one.operation.test(operation) && one.place.test(place.join(' ')));

function placesOf({ name, path, spec }: (typeof operations)[number]): { place: Place; kind: keyof Ids }[] {
  const found: { place: Place; kind: keyof Ids }[] = [];
  const add = (where: Place[0], at: string, member: string): void => {
    const kind = kindOf(member, path);
    assert.ok(
      kind !== undefined || NOT_ONE.has(member) || !LOOKS_LIKE_ONE.test(member),
      `${name}: ${where} ${at} looks like an identifier that kindOf does not know`,
    );
    if (kind !== undefined) found.push({ place: [where, at], kind });
  };
  for (const { name: member, in: where } of spec.parameters ?? []) add(where, member, member);
  const schema = spec.requestBody?.content['application/json'].schema;
  const walk = (value: unknown, at: string): void => {
    if (Array.isArray(value) || typeof value !== 'object' || value === null) return;
    for (const [member, inner] of Object.entries(value)) {
      const where = at === '' ? member : `${at}.${member}`;
      if (at !== '') add('body', where, member);
      walk(inner, where);
    }
  };
  for (const member of Object.keys(schema?.properties ?? {})) add('body', member, member);
  walk(BODIES[name]?.(own), '');
  return found;
}

/** An identifier of the same shape that nobody has. */
function unknownLike(id: string): string {
  if (id.startsWith('did:key:')) return STRANGER;
  const tail = [...id.slice(-10)].map((char) => {
    if (/[1-8]/.test(char)) return String(Number(char) + 1);
    if (/[a-e]/.test(char)) return String.fromCharCode(char.charCodeAt(0) + 1);
    return char;
  });
  const changed = id.slice(0, -10) + tail.join('');
  return changed === id ? `${id.slice(0, -1)}${id.endsWith('2') ? '3' : '2'}` : changed;
}

function put(body: Body, at: string, value: unknown): Body {
  const [first, ...rest] = at.split('.') as [string, ...string[]];
  const inner = body?.[first];
  const whole = Array.isArray(inner) || /^(ids|recipient_keys|routing_keys|approvers)$/.test(first) ? [value] : value;
  return { ...body, [first]: rest.length > 0 ? put(inner, rest.join('.'), value) : whole };
}

interface Call {
  readonly op: (typeof operations)[number];
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body?: Body;
}

/** The ways by which a tenant calls. */
const FACES = {
  async api({ op, params, query, body }: Call): Promise<{ status: number; text: string }> {
    const path = op.path.replace(/\{([a-z_]+)\}/g, (_all, name: string) => encodeURIComponent(params[name]!));
    const asked = new URLSearchParams(query).toString();
    return await other.call(op.method, asked ? `${path}?${asked}` : path, body);
  },
  async console({ op, params, query, body }: Call): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${agent.admin}/console/call/${op.spec.operationId}`, {
      method: 'POST',
      headers: {
        cookie: `${session.name}=${session.value}`,
        'x-csrf': session.csrf,
        origin: agent.admin,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ params, query, body }),
    });
    return { status: answer.status, text: await answer.text() };
  },
};

async function callWith(
  face: keyof typeof FACES,
  op: (typeof operations)[number],
  place: Place,
  id: string,
): Promise<{ status: number; text: string }> {
  const [where, at] = place;
  const names = [...op.path.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => name!);
  const params = Object.fromEntries(names.map((name) => [name, where === 'path' && at === name ? id : own[kindOf(name, op.path)!][0]!]));
  const query: Record<string, string> = {};
  for (const { name, in: spot, required } of op.spec.parameters ?? []) {
    if (spot !== 'query') continue;
    if (where === 'query' && at === name) query[name] = id;
    else if (required) query[name] = QUERY[name] ?? own[kindOf(name, op.path)!]?.[0] ?? '';
  }
  let body: Body;
  if (op.spec.requestBody) body = BODIES[op.name]?.(own) ?? {};
  if (where === 'body') body = put(body, at, id);
  const { status, text } = await FACES[face]({ op, params, query, body });
  const plain = id.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // a longer one that begins with it is another one
  return { status, text: text.replace(new RegExp(`${plain}(?![\\w/-])`, 'g'), 'ID') };
}

/** What nobody else may see; what is on the ledger may stand in the records of others. */
const secrets = (ids: Ids): string[] =>
  Object.entries(ids)
    .filter(([kind]) => !['schema', 'credDef'].includes(kind))
    .flatMap(([, values]) => values)
    .filter((id) => !id.startsWith('did:algo'));

/** The operations that read without naming anything. */
const reading = (): { op: Call['op']; query: Call['query'] }[] =>
  operations.flatMap((op) => {
    const parameters: Body[] = op.spec.parameters ?? [];
    if (op.method !== 'GET' || op.path === '/shutdown' || parameters.some((one) => one.required)) return [];
    const query: Call['query'] = parameters.some((one) => one.name === 'limit') ? { limit: '1000' } : {};
    return [{ op, query }];
  });

/** All that a tenant can read of its own, by path. */
async function holdings(of: Tenant): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { op, query } of reading()) {
    const asked = new URLSearchParams(query).toString();
    const { status, text } = await of.call('GET', asked ? `${op.path}?${asked}` : op.path);
    if (status === 200) found.set(op.path, text);
  }
  return found;
}

for (const face of ['api', 'console'] as const)
  test(`a list shows the caller’s own and nothing else: ${face}`, async () => {
    const wrong: string[] = [];
    let tellOwn = 0;
    for (const { op, query } of reading()) {
      const { name } = op;
      const { status, text } = await FACES[face]({ op, params: {}, query });
      // of a query that must name one thing or another
      if (![200, 401, 403, 404, 422].includes(status)) wrong.push(`${name}: ${status} ${text}`);
      wrong.push(
        ...secrets(theirs)
          .filter((id) => text.includes(id))
          .map((id) => `${name} tells ${id}`),
      );
      if (secrets(own).some((id) => text.includes(id))) tellOwn++;
    }
    assert.deepEqual(wrong, []);
    assert.ok(tellOwn >= 12, `only ${tellOwn} lists tell anything`);
  });

// the tests below give the caller’s wallet what is the other’s: this one comes before them
test('the backup of a wallet has nothing of another tenant', async () => {
  const { publicKey, secret } = recoveryKeys(newWords());
  const { status, text } = await other.call('POST', '/wallet/backup', { recovery_public_key: publicKey });
  assert.equal(status, 200, text.slice(0, 400));
  const { head, lines } = await openContainer(Readable.from([Buffer.from(text)]), secret);
  assert.equal(head.wallet, other.id);
  const content: string[] = [];
  for await (const line of lines) content.push(JSON.stringify(line));
  const whole = content.join('\n');
  assert.ok(own.vault.every((id) => whole.includes(id)));
  assert.deepEqual(
    secrets(theirs).filter((id) => whole.includes(id)),
    [],
  );
});

test('another tenant’s identifier is answered as one that nobody has, by every operation, at the admin API and at the console', async () => {
  // what does not stay by itself, as counters and the trail of these very calls, is not compared
  const [once, twice] = [await holdings(first), await holdings(first)];
  const before = new Map([...once].filter(([path, text]) => path !== '/audit' && twice.get(path) === text));
  assert.ok(before.size > 40, `${before.size} answers stay as they are`);
  const wrong: string[] = [];
  const needed = new Set<object>();
  let calls = 0;
  const all = operations.flatMap((op) =>
    placesOf(op).map(({ place, kind }) => ({ op, place, kind, exception: exceptionFor(op.name, place) })),
  );
  // what reads comes first, and what may have an effect last: nothing is left behind that another call would see
  const rank = ({ op, exception }: (typeof all)[number]): number => (exception ? 2 : op.method === 'GET' ? 0 : 1);
  const sorted = all.toSorted((a, b) => rank(a) - rank(b));
  const sweep = async (face: keyof typeof FACES, { op, place, kind, exception }: (typeof all)[number]): Promise<void> => {
    const known = `${face} ${op.name} ${place.join(' ')}`;
    const say = (text: string): void => {
      if (exception) needed.add(exception);
      else wrong.push(text.slice(0, 400));
    };
    // the console runs the same operations: one identifier of each kind shows whose they are run as
    for (const id of face === 'console' ? theirs[kind].slice(0, 1) : theirs[kind]) {
      const answer = await callWith(face, op, place, id);
      const nobody = await callWith(face, op, place, unknownLike(id));
      calls++;
      const nothing = answer.status === 200 && /"results": \[\]|_ids": \[\]|^\{"replayed": 0\}$/.test(answer.text);
      if (!(nothing && place[0] !== 'path') && ![400, 401, 403, 404].includes(answer.status))
        say(`${known} ${id}: ${answer.status} ${answer.text}`);
      else if (answer.status !== nobody.status || answer.text !== nobody.text)
        say(`${known} ${id}: ${answer.status} ${answer.text}, but ${nobody.status} ${nobody.text}`);
    }
  };
  for (const face of ['console', 'api'] as const) for (const one of sorted) if (!one.exception) await sweep(face, one);
  const after = await holdings(first);
  assert.deepEqual(
    [...before].filter(([path, text]) => after.get(path) !== text),
    [],
    'what the other tenant has is another now',
  );
  for (const one of sorted) if (one.exception) await sweep('api', one);
  assert.deepEqual(wrong, []);
  assert.deepEqual(
    PUBLIC.filter((one) => !needed.has(one)).map(({ operation, why }) => `${operation}: ${why}`),
    [],
    'exceptions that are none any more',
  );
  assert.ok(calls > 400, `${calls} calls`);
});

test('a controller has a vault of the same reference at each of two tenants', async () => {
  const [controller] = theirs.controller;
  const config = { ...configOf(newCaller()), controller, referenceId: REFERENCE };
  const { status, text } = await other.call('POST', '/hub/vaults', config);
  assert.equal(status, 201, text);
  assert.equal((await other.call('POST', '/hub/vaults', config)).status, 409, 'twice');
});

test('the end of a grant leaves no trace in a vault of another tenant', async () => {
  const [mine, another] = [own.vault[0]!, theirs.vault[0]!];
  const before = await Promise.all([other.get(`/hub/vaults/${mine}`), first.get(`/hub/vaults/${another}`)]);
  const targets = [`${other.id}/edvs/${another}`, `${first.id}/edvs/${another}`, `${other.id}/edvs/${mine}`];
  const { grant_id } = await other.post('/hub/grants', {
    connection_id: own.connection[0],
    capabilities: targets.map((path) => capability(STRANGER, `${agent.inbound}/hub/${path}`)),
  });
  assert.equal((await other.call('DELETE', `/hub/grants/${grant_id}`, {})).status, 200);
  await until(async () => (await other.get(`/hub/vaults/${mine}`)).updated_at !== before[0].updated_at, 'the trace in its own');
  assert.deepEqual(await first.get(`/hub/vaults/${another}`), before[1]);
});
