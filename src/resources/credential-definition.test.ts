import { key, NOW, REMOVED, SETTINGS, some, table } from '../../test/support/steps.ts';

const wanted = { issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default' };
const body = { credential_definition: wanted };
const issuer = (posture: string) => ({
  issuer: {
    category: 'did',
    id: 'did:algo:issuer',
    value: { did: 'did:algo:issuer', verkey: key(103), method: 'algo', posture, metadata: {} },
  },
});
const record = (state: string, value = {}) => ({ id: 'r1', state, value: { ...wanted, verkey: key(103), ...value } });
const made = {
  id: 'cred-def-1',
  object: { type: 'CL' },
  schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0' },
  secret: Buffer.from('secret'),
};
const register = 'POST /anoncreds/credential-definition';

table('anoncreds-credential-definition', [
  {
    title: 'orders the key',
    command: register,
    body,
    loaded: issuer('public'),
    effects: {
      work: [
        {
          op: 'anoncreds/credential-definition',
          input: { issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default' },
          result: 'made',
        },
      ],
      record: {
        id: '0482485db2887fc054f0ba27caa56723',
        states: ['action'],
        patch: { issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default', verkey: key(103) },
      },
    },
  },
  { title: 'is begun once', command: register, body, record: record('action'), effects: {} },
  {
    title: 'that failed before it had a key orders one',
    command: register,
    body,
    record: record('failed', { error_msg: 'x' }),
    loaded: issuer('posted'),
    effects: {
      work: [
        {
          op: 'anoncreds/credential-definition',
          input: { issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default' },
          result: 'made',
        },
      ],
      record: {
        id: '0482485db2887fc054f0ba27caa56723',
        states: ['action'],
        patch: { issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default', verkey: key(103), error_msg: REMOVED },
      },
    },
  },
  {
    title: 'that failed on the ledger is written again, with the key that it has',
    command: register,
    body,
    record: record('failed', { cred_def_id: 'cred-def-1', credential_definition: { type: 'CL' }, error_msg: 'x' }),
    loaded: issuer('public'),
    effects: {
      ledger: [
        {
          write: { kind: 'object-put', id: 'cred-def-1', did: 'did:algo:issuer', type: 'CLAIM_DEF', object: { type: 'CL' } },
          verkey: key(103),
          result: 'written',
        },
      ],
      record: { states: ['wait'], patch: { error_msg: REMOVED } },
    },
  },
  {
    title: 'of an issuer that is not in the wallet',
    command: register,
    body,
    error: 'bad-request',
    text: "The issuer's DID is not in this wallet: did:algo:issuer",
  },
  {
    title: 'of an issuer that is not on the ledger',
    command: register,
    body,
    loaded: issuer('wallet_only'),
    error: 'bad-request',
    text: "The issuer's DID is not published: POST /wallet/did/public?did=did:algo:issuer",
  },
  {
    title: 'with revocation orders the keys for it, and remembers the size of its registries',
    command: register,
    body: { ...body, options: { support_revocation: true, revocation_registry_size: 4 } },
    loaded: issuer('public'),
    effects: {
      work: [
        {
          op: 'anoncreds/credential-definition',
          input: { issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default', supportRevocation: true },
          result: 'made',
        },
      ],
      record: {
        id: '0482485db2887fc054f0ba27caa56723',
        states: ['action'],
        patch: {
          ...{ issuerId: 'did:algo:issuer', schemaId: 'schema-1', tag: 'default', verkey: key(103) },
          ...{ revocation_size: 4, waits_for_registry: true },
        },
      },
    },
  },
  {
    title: 'with registries of a size that none has',
    command: register,
    body: { ...body, options: { support_revocation: true, revocation_registry_size: 32_769 } },
    loaded: issuer('public'),
    error: 'unprocessable',
  },
  {
    title: 'without a tag',
    command: register,
    body: { credential_definition: { ...wanted, tag: '' } },
    loaded: issuer('public'),
    error: 'unprocessable',
    text: 'credential_definition.tag: must not have fewer than 1 characters',
  },
  {
    title: 'keeps the key before it is written to the ledger',
    result: 'made',
    record: record('action'),
    output: made,
    effects: {
      ledger: [
        {
          write: { kind: 'object-put', id: 'cred-def-1', did: 'did:algo:issuer', type: 'CLAIM_DEF', object: { type: 'CL' } },
          verkey: key(103),
          result: 'written',
        },
      ],
      record: {
        states: ['wait'],
        patch: {
          cred_def_id: 'cred-def-1',
          credential_definition: { type: 'CL' },
          schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0' },
        },
      },
      keys: ['cred-def:cred-def-1'],
    },
  },
  { title: 'comes twice', result: 'made', record: record('wait'), output: made, error: 'wrong-state' },
  {
    title: 'finishes it',
    result: 'written',
    record: record('wait', { error_msg: 'waits' }),
    effects: { record: { states: ['finished'], patch: { error_msg: REMOVED } } },
  },
  {
    title: 'has its first registry made, for which the call waits a while',
    result: 'written',
    record: record('wait', { cred_def_id: 'cd', revocation_size: 4, waits_for_registry: true }),
    effects: {
      record: { states: ['finished'], patch: { waits_for_registry: REMOVED, registry_until: NOW + 60_000 } },
      next: [
        {
          protocol: 'revocation-registry',
          command: 'create',
          record: { category: 'rev_reg', id: 'id-1' },
          input: { id: 'id-1', issuerId: 'did:algo:issuer', cred_def_id: 'cd', tag: '0', max_cred_num: 4, verkey: key(103) },
          after: 0,
        },
      ],
    },
  },
  {
    title: 'of an author has its registries by its controller’s calls',
    result: 'written',
    settings: { endorsement: { ...SETTINGS.endorsement, role: 'author' } },
    record: record('wait', { cred_def_id: 'cd', revocation_size: 4, waits_for_registry: true }),
    effects: { record: { states: ['finished'], patch: { waits_for_registry: REMOVED } } },
  },
  {
    title: 'of an author whose flag says so has its registries by itself, from the same endorser',
    result: 'written',
    settings: { endorsement: { ...SETTINGS.endorsement, role: 'author', autoCreateRevocation: true } },
    record: record('wait', { cred_def_id: 'cd', revocation_size: 4, endorser: { connection: 'e1' } }),
    effects: {
      record: { states: ['finished'] },
      next: [some({ command: 'create', input: some({ endorser: { connection: 'e1' } }) })],
    },
  },
  {
    title: 'is told by the record',
    failed: { result: 'written', code: 'ledger-rejected', text: 'refused' },
    record: record('wait'),
    effects: { record: { states: ['failed'], patch: { error_msg: 'refused' } } },
  },
]);
