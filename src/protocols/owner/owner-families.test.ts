import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONNECTION, type Some, some, table } from '../../../test/support/steps.ts';
import { OLD_PREFIX, TOOLBOX_PREFIX } from '../../didcomm/message-types.ts';
import { AppError } from '../../errors.ts';
import type { WorkContext } from '../../kernel/work.ts';
import type { StoredRecord } from '../../ports/store.ts';
import { ownerWork } from './work.ts';

const DID = 'did:algo:custom:app:1:ab';
const PUBLIC: Some = { category: 'did', value: { did: DID, verkey: 'v', posture: 'public' } };
const OWNER: Some = { ...CONNECTION, value: { ...CONNECTION.value, grants: ['admin-schemas', 'admin-issuer', 'admin-revocation'] } };
const KEY = 'c1 message-1';

/** The record of a message that was asked. */
const requested = (family: string, type: string) => ({
  connection: 'c1',
  states: ['requested'],
  patch: { protocol: family, thread_id: 'message-1', initiator: 'external', message_type: type, message_id: 'message-1' },
});
const action = (family: string, message: string): Some => ({
  category: 'owner_action',
  state: 'requested',
  connection: 'c1',
  value: { protocol: family, thread_id: 'thread-1', message_type: `${OLD_PREFIX}${family}/0.1/${message}`, message_id: 'thread-1' },
});
const calls = (protocol: string, command: string, body: object, result: string) => ({
  op: 'owner/call',
  input: { protocol, command, body, key: KEY },
  result,
});
const page = (...rows: Some[]) => ({ asked: { rows, total: 7 } });
const TIMES = { created_at: '2030-01-02T03:04:04.000000Z', updated_at: '2030-01-02T03:04:04.000000Z' };

const SCHEMAS = `${TOOLBOX_PREFIX}admin-schemas/0.1`;
const SEND_SCHEMA = { schema_name: 'degree', schema_version: '1.0', attributes: ['name'] };
table('admin-schemas', [
  {
    title: 'is the registration of a schema under the public DID',
    message: 'send-schema',
    body: SEND_SCHEMA,
    loaded: { issuer: PUBLIC },
    loads: { issuer: { category: 'did', tag: 'posture', equals: 'public' } },
    effects: {
      record: requested('admin-schemas', `${SCHEMAS}/send-schema`),
      work: [
        calls(
          'anoncreds-schema',
          'register',
          { schema: { issuerId: DID, name: 'degree', version: '1.0', attrNames: ['name'] } },
          'send-schema',
        ),
      ],
    },
  },
  {
    title: 'comes in the older spelling too, under a DID that it names',
    message: `${OLD_PREFIX}admin-schemas/0.1/send-schema`,
    body: { ...SEND_SCHEMA, issuer_id: 'did:algo:other' },
    effects: {
      record: requested('admin-schemas', `${OLD_PREFIX}admin-schemas/0.1/send-schema`),
      work: [some({ input: some({ body: { schema: some({ issuerId: 'did:algo:other' }) } }) })],
    },
  },
  {
    title: 'fails at once where nobody can issue, and its owner has the reason',
    message: 'send-schema',
    body: SEND_SCHEMA,
    connection: OWNER,
    effects: {
      record: some({ states: ['requested', 'failed'], patch: some({ error_msg: /no public DID/ }) }),
      problem: { code: 'bad-request', text: /no public DID/ },
    },
  },
  { title: 'without attributes', message: 'send-schema', body: { ...SEND_SCHEMA, attributes: [] }, error: 'message-invalid' },
  {
    title: 'is answered in the spelling of its question',
    result: 'send-schema',
    record: action('admin-schemas', 'send-schema'),
    connection: OWNER,
    output: { schema_state: { state: 'finished', schema_id: 's' } },
    effects: {
      record: { states: ['done'], patch: { result: { schema_id: 's' } } },
      send: [{ type: `${OLD_PREFIX}admin-schemas/0.1/schema-id`, thid: 'thread-1', body: { schema_id: 's' } }],
    },
  },
  {
    title: 'is not answered where the grant was taken meanwhile',
    result: 'send-schema',
    record: action('admin-schemas', 'send-schema'),
    output: { schema_state: { schema_id: 's' } },
    effects: { record: { states: ['done'], patch: { result: { schema_id: 's' } } } },
  },
  {
    title: 'reads one of the ledger',
    message: 'schema-get',
    body: { schema_id: 's' },
    effects: {
      record: requested('admin-schemas', `${SCHEMAS}/schema-get`),
      work: [{ op: 'owner/schema', input: { schema_id: 's', key: KEY }, result: 'schema-get' }],
    },
  },
  {
    title: 'answers with it',
    result: 'schema-get',
    record: action('admin-schemas', 'schema-get'),
    connection: OWNER,
    output: { schema_id: 's', schema_name: 'degree' },
    effects: {
      record: { states: ['done'], patch: { result: { schema_id: 's' } } },
      send: [some({ type: `${OLD_PREFIX}admin-schemas/0.1/schema`, body: { schema_id: 's', schema_name: 'degree', state: 'written' } })],
    },
  },
  {
    title: 'lists what this wallet registered',
    message: 'schema-get-list',
    pages: page({ value: { schema_id: 's', schema: { issuerId: DID, name: 'degree', version: '1.0', attrNames: ['name'] } } }),
    effects: {
      send: [
        {
          type: `${SCHEMAS}/schema-list`,
          body: {
            results: [
              {
                ...{ schema_id: 's', schema_name: 'degree', schema_version: '1.0', attributes: ['name'] },
                ...{ author: 'self', state: 'written', ...TIMES },
              },
            ],
            total: 7,
          },
        },
      ],
    },
  },
  { title: 'lists no more than a hundred', message: 'schema-get-list', body: { limit: 101 }, pages: page(), error: 'message-invalid' },
  {
    title: 'its owner has the reason of what failed',
    failed: { result: 'send-schema', code: 'ledger-rejected', text: 'The ledger rejected the transaction' },
    record: action('admin-schemas', 'send-schema'),
    connection: OWNER,
    effects: {
      record: { states: ['failed'], patch: { error_msg: 'The ledger rejected the transaction' } },
      problem: { code: 'ledger-rejected', text: 'The ledger rejected the transaction' },
    },
  },
]);

table('admin-credential-definitions', [
  {
    title: 'is the registration of a credential definition',
    message: 'send-credential-definition',
    body: { schema_id: 's', support_revocation: true, revocation_registry_size: 10 },
    loaded: { issuer: PUBLIC },
    effects: {
      record: some({ states: ['requested'] }),
      work: [
        calls(
          'anoncreds-credential-definition',
          'register',
          {
            credential_definition: { issuerId: DID, schemaId: 's', tag: 'default' },
            options: { support_revocation: true, revocation_registry_size: 10 },
          },
          'send-credential-definition',
        ),
      ],
    },
  },
  {
    title: 'is answered with the id',
    result: 'send-credential-definition',
    record: action('admin-credential-definitions', 'send-credential-definition'),
    connection: { ...OWNER, value: { ...OWNER.value, grants: ['admin-credential-definitions'] } },
    output: { credential_definition_state: { credential_definition_id: 'cd' } },
    effects: {
      record: { states: ['done'], patch: { result: { cred_def_id: 'cd' } } },
      send: [some({ type: `${OLD_PREFIX}admin-credential-definitions/0.1/credential-definition-id`, body: { cred_def_id: 'cd' } })],
    },
  },
  {
    title: 'reads one of the ledger',
    message: 'credential-definition-get',
    body: { cred_def_id: 'cd' },
    effects: {
      record: some({ states: ['requested'] }),
      work: [{ op: 'owner/credential-definition', input: { cred_def_id: 'cd', key: KEY }, result: 'credential-definition-get' }],
    },
  },
  {
    title: 'answers with it, to who may have it',
    result: 'credential-definition-get',
    record: action('admin-credential-definitions', 'credential-definition-get'),
    output: { cred_def_id: 'cd' },
    effects: { record: { states: ['done'], patch: { result: { cred_def_id: 'cd' } } } },
  },
  {
    title: 'lists what this wallet registered',
    message: 'credential-definition-get-list',
    pages: page({ value: { cred_def_id: 'cd', schemaId: 's', tag: 'default' } }),
    effects: {
      send: [
        some({
          body: {
            results: [{ cred_def_id: 'cd', schema_id: 's', tag: 'default', author: 'self', state: 'written', ...TIMES }],
            total: 7,
          },
        }),
      ],
    },
  },
  {
    title: 'fails without a word to who lost the grant',
    failed: { result: 'send-credential-definition', code: 'bad-request', text: 'no' },
    record: action('admin-credential-definitions', 'send-credential-definition'),
    effects: { record: { states: ['failed'], patch: { error_msg: 'no' } } },
  },
]);

const ATTRIBUTES = [{ name: 'name', value: 'Alice' }];
table('admin-issuer', [
  {
    title: 'is a credential that is issued without further questions',
    message: 'send-credential',
    body: {
      ...{ connection_id: 'c2', cred_def_id: 'cd', issuer_did: DID, comment: 'yours', auto_remove: false },
      credential_proposal: { '@type': 'preview', attributes: ATTRIBUTES },
    },
    effects: {
      record: some({ states: ['requested'] }),
      work: [
        calls(
          'issue-credential-2.0',
          'send',
          {
            connection_id: 'c2',
            credential_preview: { attributes: ATTRIBUTES },
            filter: { anoncreds: { cred_def_id: 'cd', issuer_id: DID } },
            comment: 'yours',
            auto_remove: false,
          },
          'send-credential',
        ),
      ],
    },
  },
  {
    title: 'keeps no value of the credential in its record',
    result: 'send-credential',
    record: action('admin-issuer', 'send-credential'),
    connection: OWNER,
    output: { cred_ex_id: 'x', connection_id: 'c2', cred_preview: { attributes: ATTRIBUTES } },
    effects: {
      record: { states: ['done'], patch: { result: { cred_ex_id: 'x', connection_id: 'c2' } } },
      send: [
        some({ type: `${OLD_PREFIX}admin-issuer/0.1/credential-exchange`, body: some({ cred_ex_id: 'x', credential_exchange_id: 'x' }) }),
      ],
    },
  },
  {
    title: 'is a request for a proof, which is verified by itself',
    message: 'request-presentation',
    body: { connection_id: 'c2', proof_request: { name: 'p' } },
    effects: {
      record: some({ states: ['requested'] }),
      work: [
        calls(
          'present-proof-2.0',
          'send-free-request',
          { connection_id: 'c2', presentation_request: { anoncreds: { name: 'p' } }, auto_verify: true },
          'request-presentation',
        ),
      ],
    },
  },
  {
    title: 'is answered with the exchange',
    result: 'request-presentation',
    record: action('admin-issuer', 'request-presentation'),
    connection: OWNER,
    output: { pres_ex_id: 'x', connection_id: 'c2' },
    effects: {
      record: some({ states: ['done'] }),
      send: [some({ body: { pres_ex_id: 'x', connection_id: 'c2', presentation_exchange_id: 'x' } })],
    },
  },
  {
    title: 'lists credentials of this issuer',
    message: 'credentials-get-list',
    body: { connection_id: 'c2' },
    pages: page({ id: 'x', role: 'issuer', state: 'done', connection: 'c2', value: { initiator: 'self' } }),
    effects: {
      send: [some({ body: some({ total: 7, results: [some({ cred_ex_id: 'x', credential_exchange_id: 'x', state: 'done' })] }) })],
    },
  },
  {
    title: 'lists presentations to this verifier',
    message: 'presentations-get-list',
    pages: page({ id: 'x', role: 'verifier', state: 'done', value: { initiator: 'self', verified: 'true' } }),
    effects: { send: [some({ body: some({ results: [some({ presentation_exchange_id: 'x', verified: 'true' })] }) })] },
  },
  {
    title: 'fails',
    failed: { result: 'send-credential', code: 'not-found', text: 'Connection c2 not found' },
    record: action('admin-issuer', 'send-credential'),
    connection: OWNER,
    effects: {
      record: { states: ['failed'], patch: { error_msg: 'Connection c2 not found' } },
      problem: { code: 'not-found', text: 'Connection c2 not found' },
    },
  },
]);

table('admin-revocation', [
  {
    title: 'is a revocation by its exchange',
    message: 'revoke',
    body: { cred_ex_id: 'x', publish: true, notify: true, comment: 'lost' },
    effects: {
      record: some({ states: ['requested'] }),
      work: [
        some({
          op: 'owner/revoke',
          input: some({ cred_ex_id: 'x', publish: true, notice: { version: 'v1_0', comment: 'lost' }, key: KEY }),
        }),
      ],
    },
  },
  {
    title: 'is one by registry and index',
    message: 'revoke',
    body: { rev_reg_id: 'r', cred_rev_id: '3' },
    effects: {
      record: some({ states: ['requested'] }),
      work: [some({ input: some({ rev_reg_id: 'r', cred_rev_id: '3', publish: false }) })],
    },
  },
  { title: 'of neither', message: 'revoke', body: { rev_reg_id: 'r' }, error: 'message-invalid' },
  {
    title: 'is answered with its state',
    result: 'revoke',
    record: action('admin-revocation', 'revoke'),
    connection: OWNER,
    output: { cred_ex_id: 'x', rev_reg_id: 'r', cred_rev_id: '3', state: 'revoked' },
    effects: {
      record: some({ states: ['done'] }),
      send: [some({ body: { cred_ex_id: 'x', rev_reg_id: 'r', cred_rev_id: '3', state: 'revoked' } })],
    },
  },
  {
    title: 'tells the state of a credential',
    message: 'get-status',
    body: { cred_ex_id: 'x' },
    pages: page({
      id: 'rev',
      state: 'issued',
      value: { cred_ex_id: 'x', rev_reg_id: 'r', cred_def_id: 'cd', index: 3, cred_ex_version: '2' },
    }),
    effects: { send: [some({ body: some({ results: [some({ state: 'issued', cred_rev_id: '3' })] }) })] },
  },
  {
    title: 'fails',
    failed: { result: 'revoke', code: 'bad-request', text: 'no' },
    record: action('admin-revocation', 'revoke'),
    effects: { record: { states: ['failed'], patch: { error_msg: 'no' } } },
  },
]);

table('admin-invitations', [
  {
    title: 'is an invitation by every handshake of this agent',
    message: 'create',
    body: { label: 'Issuer', auto_accept: true },
    effects: {
      record: some({ states: ['requested'] }),
      work: [
        some({
          input: some({
            protocol: 'out-of-band',
            command: 'create-invitation',
            body: { my_label: 'Issuer', handshake_protocols: ['didexchange/1.1', 'didexchange/1.0', 'connections/1.0'] },
            query: { auto_accept: 'true', multi_use: 'false' },
          }),
        }),
      ],
    },
  },
  {
    title: 'is answered with its URL',
    result: 'create',
    record: action('admin-invitations', 'create'),
    connection: { ...OWNER, value: { ...OWNER.value, grants: ['admin-invitations'] } },
    output: { oob_id: 'o', invi_msg_id: 'i', invitation: { label: 'Issuer' }, invitation_url: 'https://agent.example?oob=e' },
    effects: {
      record: { states: ['done'], patch: { result: { id: 'o', invi_msg_id: 'i' } } },
      send: [some({ body: some({ id: 'o', label: 'Issuer', invitation_url: 'https://agent.example?oob=e' }) })],
    },
  },
  {
    title: 'lists those that are open',
    message: 'get-list',
    pages: page({ id: 'o', value: { invi_msg_id: 'i', multi_use: true, invitation: { label: 'Issuer' } } }),
    effects: { send: [some({ body: some({ results: [some({ id: 'o', multi_use: true, label: 'Issuer' })] }) })] },
  },
  {
    title: 'fails',
    failed: { result: 'create', code: 'bad-request', text: 'no' },
    record: action('admin-invitations', 'create'),
    effects: { record: { states: ['failed'], patch: { error_msg: 'no' } } },
  },
]);

table('admin-connections', [
  {
    title: 'lists connections',
    message: 'get-list',
    pages: page({ ...CONNECTION, value: { ...CONNECTION.value, alias: 'peer', their_did: 'did:peer:2' } }),
    effects: {
      send: [
        some({
          body: some({ total: 7, connections: [some({ connection_id: 'c1', label: 'peer', state: 'active', their_did: 'did:peer:2' })] }),
        }),
      ],
    },
  },
  {
    title: 'fails',
    failed: { result: 'none', code: 'bad-request', text: 'no' },
    record: action('admin-connections', 'get-list'),
    effects: { record: { states: ['failed'], patch: { error_msg: 'no' } } },
  },
]);

const workOf = (rows: Record<string, Partial<StoredRecord>>, objects: Record<string, Record<string, unknown>> = {}) => {
  const called: unknown[] = [];
  const context = {
    tenant: 'tenant-1',
    store: {
      load: async (_tenant: string, [lookup]: readonly [{ category: string; id?: string; equals?: string }]) => {
        const row = rows[`${lookup.category} ${lookup.equals ?? ''}`];
        return [row ? [row] : []];
      },
    },
    ledger: () => ({ read: async (id: string) => objects[id] }),
    call: async (...given: unknown[]) => void called.push(given),
  } as unknown as WorkContext;
  return { context, called };
};

test('the work of an owner reads objects of the ledger, and finds their author', async () => {
  const objects = {
    s: { issuerId: DID, name: 'degree', version: '1.0', attrNames: ['name'] },
    cd: { issuerId: 'did:other', schemaId: 's' },
  };
  const { context } = workOf({ [`did ${DID}`]: { id: 'd' } }, objects);
  assert.deepEqual(await ownerWork['owner/schema']!(context, { schema_id: 's' }), {
    ...{ schema_id: 's', schema_name: 'degree', schema_version: '1.0', attributes: ['name'], author: 'self' },
  });
  assert.deepEqual(await ownerWork['owner/credential-definition']!(context, { cred_def_id: 'cd' }), {
    ...{ cred_def_id: 'cd', schema_id: 's', attributes: ['name'], author: 'other' },
  });
});

test('a revocation is answered when the ledger has it, or when its time is over', async () => {
  const row = { id: 'rev', state: 'issued', connection: 'c2', value: { index: 3, registry: 'reg', rev_reg_id: 'r', cred_ex_id: 'x' } };
  const rows: Record<string, Partial<StoredRecord>> = { 'cred_rev x': row, 'cred_rev ': row, 'connection ': { id: 'c2' } };
  const { context, called } = workOf(rows);
  const order = { cred_ex_id: 'x', publish: true, notice: { version: 'v1_0' }, until: Date.now() + 60_000, key: KEY };
  const revoke = ownerWork['owner/revoke']!;
  await assert.rejects(revoke(context, order), { code: 'unfinished' });
  assert.deepEqual(called[0], [
    ...['revocation-registry', 'revoke'],
    { record: 'reg', body: { index: 3, publish: true, notice: { connection: 'c2', version: 'v1_0' } } },
    KEY,
  ]);
  await assert.rejects(revoke(context, { ...order, until: 0 }), { code: 'timeout' });
  rows['cred_rev '] = { ...row, state: 'revoked' };
  assert.deepEqual(await revoke(context, order), { rev_reg_id: 'r', cred_rev_id: '3', cred_ex_id: 'x', state: 'revoked' });
  await assert.rejects(revoke(workOf({}).context, order), (error) => error instanceof AppError && error.code === 'bad-request');
  await assert.rejects(revoke(workOf({}).context, { rev_reg_id: 'r', cred_rev_id: '1', publish: false, until: 0, key: KEY }), {
    code: 'bad-request',
  });
});
