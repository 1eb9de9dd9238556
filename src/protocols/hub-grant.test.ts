import { NOW, table } from '../../test/support/steps.ts';

const SERVICE = `did:key:z6Mk${'s'.repeat(44)}`;
const OWNER = `did:key:z6Mk${'a'.repeat(44)}`;
const VAULT = `z1${'v'.repeat(22)}`;
const END = new Date(NOW + 60_000).toISOString();
const hub = { endpoint: 'https://hub.example', quota: 1000, vaults: 10 };
const capability = {
  id: 'urn:uuid:1',
  controller: SERVICE,
  invocationTarget: `https://hub.example/hub/tenant-1/edvs/${VAULT}/documents/z1`,
  expires: END,
  proof: { verificationMethod: `${OWNER}#key` },
};
const wanted = { controller: SERVICE, recipient: `${SERVICE}#k`, types: ['playlist'], purpose: 'to play', duration: 60 };
const given = { controller: SERVICE, capabilities: [capability], expires: NOW + 60_000 };
const expire = { command: 'expire', after: 60_000 };
const inVault = (command: string, input: object) => ({ protocol: 'hub-vault', command, record: { category: 'edv', id: VAULT }, input });
const grant = (state: string, role: string, value: object = {}) => ({
  ...{ id: 'g1', state, role, connection: 'c1' },
  value: { thread_id: 'thread-1', connection_id: 'c1', ...value },
});
const waiting = (total: number) => ({ waiting: { rows: [], total } });
const thread = { connection_id: 'c1', thread_id: 'message-1' };

table('hub-grant', [
  {
    title: 'waits for the owner',
    message: 'request',
    body: wanted,
    pages: waiting(99),
    effects: { record: { role: 'owner', connection: 'c1', states: ['request-received'], patch: { ...thread, ...wanted } } },
  },
  {
    title: 'is one more than a connection may have waiting',
    message: 'request',
    body: wanted,
    pages: waiting(100),
    effects: { problem: { code: 'request-not-accepted', text: '100 requests of this connection wait already' } },
  },
  { title: 'names a did:key', message: 'request', body: { ...wanted, controller: 'did:web:a' }, error: 'message-invalid' },
  { title: 'asks for no more than 90 days', message: 'request', body: { ...wanted, duration: 8_000_000 }, error: 'message-invalid' },
  {
    title: 'answers the request',
    message: 'grant',
    record: grant('request-sent', 'service', { controller: SERVICE }),
    thid: 'thread-1',
    body: { capabilities: [capability] },
    effects: {
      record: {
        ...{ role: 'service', connection: 'c1', states: ['granted'] },
        patch: { connection_id: 'c1', thread_id: 'thread-1', ...given },
      },
      next: [expire],
    },
  },
  {
    title: 'comes unasked',
    message: 'grant',
    body: { capabilities: [capability] },
    effects: { record: { role: 'service', connection: 'c1', states: ['granted'], patch: { ...thread, ...given } }, next: [expire] },
  },
  {
    title: 'is of another controller than the one that asked',
    message: 'grant',
    record: grant('request-sent', 'service', { controller: OWNER }),
    body: { capabilities: [capability] },
    error: 'message-invalid',
  },
  {
    title: 'ends at a time that there is',
    message: 'grant',
    body: { capabilities: [capability, { ...capability, expires: '2030-99-01T00:00:00Z' }] },
    error: 'message-invalid',
  },
  {
    title: 'is given until a time that there is',
    command: 'give',
    body: { connection_id: 'c1', capabilities: [capability, { ...capability, expires: '2030-99-01T00:00:00Z' }] },
    error: 'bad-request',
  },
  { title: 'has a capability', message: 'grant', body: { capabilities: [] }, error: 'message-invalid' },
  {
    title: 'ends the request',
    message: 'decline',
    record: grant('request-sent', 'service'),
    body: { reason: 'no' },
    effects: { record: { states: ['declined'], patch: { reason: 'no' } } },
  },
  { title: 'ends no grant', message: 'decline', record: grant('granted', 'service'), error: 'wrong-state' },
  {
    title: 'ends the grant',
    message: 'revoked',
    record: grant('granted', 'service'),
    body: {},
    effects: { record: { states: ['revoked'] } },
  },
  { title: 'is for the owner to say', message: 'revoked', record: grant('granted', 'owner'), error: 'wrong-state' },
  {
    title: 'is asked for',
    command: 'POST /hub/grants/request',
    body: { connection_id: 'c1', ...wanted },
    effects: {
      record: { role: 'service', connection: 'c1', states: ['request-sent'], patch: { connection_id: 'c1', thread_id: 'id-1', ...wanted } },
      send: [{ type: 'request', id: 'id-1', body: wanted }],
    },
  },
  {
    title: 'is not asked for over a connection that is not ready',
    command: 'request',
    connection: { category: 'connection', id: 'c1', state: 'request' },
    body: { connection_id: 'c1', ...wanted },
    error: 'forbidden',
  },
  {
    title: 'is given unasked',
    command: 'POST /hub/grants',
    body: { connection_id: 'c1', capabilities: [capability] },
    settings: { hub },
    effects: {
      record: { role: 'owner', connection: 'c1', states: ['granted'], patch: { connection_id: 'c1', thread_id: 'id-1', ...given } },
      send: [{ type: 'grant', id: 'id-1', body: { capabilities: [capability] } }],
      next: [expire, inVault('admit', { controller: SERVICE })],
    },
  },
  {
    title: 'is not given when it is over',
    command: 'give',
    body: { connection_id: 'c1', capabilities: [{ ...capability, expires: '2020-01-01T00:00:00Z' }] },
    error: 'bad-request',
  },
  {
    title: 'is given to who asks',
    command: 'POST /hub/grants/{grant_id}/accept',
    record: grant('request-received', 'owner', { controller: SERVICE }),
    body: { capabilities: [capability] },
    effects: {
      record: { states: ['granted'], patch: given },
      send: [{ type: 'grant', body: { capabilities: [capability] } }],
      next: [expire],
    },
  },
  {
    title: 'is given to nobody else',
    command: 'accept',
    record: grant('request-received', 'owner', { controller: OWNER }),
    body: { capabilities: [capability] },
    error: 'bad-request',
  },
  { title: 'waits for capabilities', command: 'wait', record: grant('request-received', 'owner'), effects: {} },
  {
    title: 'is refused',
    command: 'POST /hub/grants/{grant_id}/decline',
    record: grant('request-received', 'owner'),
    body: { reason: 'no' },
    effects: { record: { states: ['declined'], patch: { reason: 'no' } }, send: [{ type: 'decline', body: { reason: 'no' } }] },
  },
  {
    title: 'ends, in the vaults of this agent too',
    command: 'DELETE /hub/grants/{grant_id}',
    record: grant('granted', 'owner', given),
    settings: { hub },
    effects: {
      record: { states: ['revoked'] },
      send: [{ type: 'revoked', body: {} }],
      next: [inVault('revoke', { capability: 'urn:uuid:1', delegator: OWNER, controller: SERVICE, expires: NOW + 60_000 })],
    },
  },
  {
    title: 'of a vault elsewhere ends there by its owner',
    command: 'revoke',
    record: grant('granted', 'owner', given),
    settings: { hub: { ...hub, endpoint: 'https://other.example' } },
    effects: { record: { states: ['revoked'] }, send: [{ type: 'revoked', body: {} }] },
  },
  { title: 'of a service ends by its owner', command: 'revoke', record: grant('granted', 'service', given), error: 'wrong-state' },
  {
    title: 'is over',
    command: 'expire',
    record: grant('granted', 'owner', { expires: NOW }),
    effects: { record: { states: ['expired'] } },
  },
  { title: 'is not over', command: 'expire', record: grant('granted', 'owner', { expires: NOW + 1 }), effects: {} },
]);
