import { key, REMOVED, table } from '../../test/support/steps.ts';

const schema = { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] };
const issuer = (posture: string) => ({
  issuer: {
    category: 'did',
    id: 'did:algo:issuer',
    value: { did: 'did:algo:issuer', verkey: key(103), method: 'algo', posture, metadata: {} },
  },
});
const record = (state: string, value = {}) => ({ id: 'r1', state, value: { schema, verkey: key(103), ...value } });
const register = 'POST /anoncreds/schema';

table('anoncreds-schema', [
  {
    title: 'orders the schema',
    command: register,
    body: { schema },
    loaded: issuer('public'),
    effects: {
      work: [
        {
          op: 'anoncreds/schema',
          input: { schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] } },
          result: 'made',
        },
      ],
      record: {
        id: '2da2f74d203a953039751a38ea15b615',
        states: ['action'],
        patch: { schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] }, verkey: key(103) },
      },
    },
  },
  {
    title: 'whose endorsement has ended is ordered again, with the endorser of this call',
    command: register,
    body: { schema, options: { endorser_connection_id: 'c1', create_transaction_for_endorser: true } },
    record: record('wait', { schema_id: 's1' }),
    loaded: { endorsement: { category: 'transaction', state: 'transaction_refused' } },
    effects: {
      record: { patch: { endorser: { connection: 'c1' } } },
      ledger: [
        {
          write: { kind: 'object-put', id: 's1', did: 'did:algo:issuer', type: 'SCHEMA', object: schema },
          verkey: key(103),
          result: 'written',
          endorser: { connection: 'c1' },
        },
      ],
    },
  },
  {
    title: 'that waits for its endorsement is begun once',
    command: register,
    body: { schema },
    record: record('wait', { schema_id: 's1' }),
    loaded: { endorsement: { category: 'transaction', state: 'request_sent' } },
    effects: {},
  },
  {
    title: 'is begun once, whatever the order of its attributes',
    command: register,
    body: { schema: { ...schema, attrNames: ['year', 'name'] } },
    record: record('finished'),
    effects: {},
  },
  {
    title: 'with other attributes',
    command: register,
    body: { schema: { ...schema, attrNames: ['name'] } },
    record: record('finished', { schema_id: 's1' }),
    error: 'bad-request',
    text: 'Schema already exists with other attributes: s1',
  },
  {
    title: 'that failed begins again',
    command: register,
    body: { schema },
    record: record('failed', { error_msg: 'x' }),
    loaded: issuer('public'),
    effects: {
      work: [
        {
          op: 'anoncreds/schema',
          input: { schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] } },
          result: 'made',
        },
      ],
      record: {
        id: '2da2f74d203a953039751a38ea15b615',
        states: ['action'],
        patch: {
          schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] },
          verkey: key(103),
          error_msg: REMOVED,
        },
      },
    },
  },
  {
    title: 'with an attribute twice',
    command: register,
    body: { schema: { ...schema, attrNames: ['name', 'name'] } },
    loaded: issuer('public'),
    error: 'unprocessable',
    text: 'attrNames: the attribute names "name" and "name" differ only in blanks or case',
  },
  {
    title: 'of an issuer that is not on the ledger',
    command: register,
    body: { schema },
    loaded: issuer('wallet_only'),
    error: 'bad-request',
    text: "The issuer's DID is not published: POST /wallet/did/public?did=did:algo:issuer",
  },
  {
    title: 'of an issuer that is not in the wallet',
    command: register,
    body: { schema },
    error: 'bad-request',
    text: "The issuer's DID is not in this wallet: did:algo:issuer",
  },
  {
    title: 'without attributes',
    command: register,
    body: { schema: { ...schema, attrNames: [] } },
    error: 'unprocessable',
    text: 'schema.attrNames: must not have fewer than 1 items',
  },
  {
    title: 'is finished at once',
    command: 'adopt',
    body: { schema, schema_id: 's1' },
    loaded: issuer('public'),
    effects: {
      record: {
        id: '2da2f74d203a953039751a38ea15b615',
        states: ['finished'],
        patch: {
          schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] },
          schema_id: 's1',
          verkey: key(103),
        },
      },
    },
  },
  { title: 'that is known has no effect', command: 'adopt', body: { schema, schema_id: 's1' }, record: record('wait'), effects: {} },
  {
    title: 'is written to the ledger',
    result: 'made',
    record: record('action'),
    output: { id: 's1', object: schema },
    effects: {
      ledger: [
        {
          write: {
            kind: 'object-put',
            id: 's1',
            did: 'did:algo:issuer',
            type: 'SCHEMA',
            object: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] },
          },
          verkey: key(103),
          result: 'written',
        },
      ],
      record: {
        states: ['wait'],
        patch: { schema_id: 's1', schema: { issuerId: 'did:algo:issuer', name: 'degree', version: '1.0', attrNames: ['name', 'year'] } },
      },
    },
  },
  {
    title: 'finishes it',
    result: 'written',
    record: record('wait', { error_msg: 'waits' }),
    effects: { record: { states: ['finished'], patch: { error_msg: REMOVED } } },
  },
  {
    title: 'is told by the record',
    failed: { result: 'written', code: 'ledger-rejected', text: 'refused' },
    record: record('wait'),
    effects: { record: { states: ['failed'], patch: { error_msg: 'refused' } } },
  },
]);
