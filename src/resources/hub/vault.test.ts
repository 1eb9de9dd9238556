import { NOW, REMOVED, table } from '../../../test/support/steps.ts';
import { revocationId } from '../../records/edv-revocation.ts';

const OWNER = `did:key:z6Mk${'a'.repeat(44)}`;
const OTHER = `did:key:z6Mk${'b'.repeat(44)}`;
const THIRD = `did:key:z6Mk${'c'.repeat(44)}`;
const ROOM = { vaults: { rows: [], total: 9 } };
const FULL = { vaults: { rows: [], total: 10 } };
const NO_OTHERS = { others: { rows: [], total: 0 } };
const DOC = `z1${'a'.repeat(22)}`;
const VAULT = `z1${'v'.repeat(22)}`;
const NEW_VAULT = 'z19inukNyWQTotxStJvsXAtVv';
const hub = { endpoint: 'https://hub.example', quota: 1000, vaults: 10 };
const REVOCATION = revocationId(VAULT, { id: 'urn:uuid:1', delegator: OWNER });
const keys = { keyAgreementKey: { id: 'k', type: 'X25519KeyAgreementKey2020' }, hmac: { id: 'h', type: 'Sha256HmacKey2019' } };
const config = { controller: OWNER, sequence: 0, ...keys };
const vault = (more: object = {}) => ({
  id: VAULT,
  state: 'active',
  value: { ...config, quota: 2000, bytes: 100, documents: 1, ...more },
});
const owner = (made: number, allowed = 1) => ({
  id: OWNER,
  state: 'registered',
  value: { controller: OWNER, allowed, made, quota: 500 },
});

const epk = { kty: 'OKP', crv: 'X25519', x: 'x' };
const jwe = {
  protected: 'p',
  recipients: [{ header: { kid: `${OWNER}#k`, alg: 'ECDH-ES+A256KW', epk }, encrypted_key: 'e' }],
  iv: 'i',
  ciphertext: 'c',
  tag: 't',
};
const attributes = [
  { name: 'n', value: 'v', unique: true },
  { name: 'm', value: 'w' },
];
const document = { id: DOC, sequence: 0, indexed: [{ hmac: keys.hmac, sequence: 0, attributes }], jwe };
const size = JSON.stringify(document).length;
const place = `${VAULT}.${DOC}`;
const kept = (more: object = {}) => ({
  category: 'edv_document',
  id: place,
  state: 'stored',
  value: { vault: VAULT, document: { ...document, ...more }, size },
});
const LOADS = {
  stored: { category: 'edv_document', id: place },
  'unique 0': { category: 'edv_document', tag: `! ${VAULT} h n`, equals: 'v' },
};

table('hub-vault', [
  {
    title: 'is made by the tenant, and counted for its controller',
    command: 'POST /hub/vaults',
    body: config,
    settings: { hub },
    pages: ROOM,
    loads: { owner: { category: 'hub_controller', id: OWNER } },
    effects: {
      record: {
        id: NEW_VAULT,
        states: ['active'],
        patch: { ...config, quota: 1000, bytes: 0, documents: 0 },
      },
      others: [
        { def: 'hub_controller', id: OWNER, states: ['registered'], patch: { controller: OWNER, allowed: 0, made: 1, quota: 1000 } },
      ],
      answer: { id: `https://hub.example/hub/tenant-1/edvs/${NEW_VAULT}`, ...config },
    },
  },
  { title: 'is not made where there is no hub', command: 'create', body: config, error: 'not-implemented', text: /--hub/ },
  { title: 'begins with the sequence 0', command: 'create', body: { ...config, sequence: 1 }, settings: { hub }, error: 'bad-request' },
  {
    title: 'has a name that its controller has not given before',
    command: 'create',
    body: { ...config, referenceId: 'primary' },
    settings: { hub },
    loaded: { same: vault() },
    error: 'not-current',
  },
  {
    title: 'is made by a controller that may',
    command: 'claim',
    body: config,
    settings: { hub },
    pages: ROOM,
    loaded: { owner: owner(0) },
    effects: {
      record: { id: NEW_VAULT, states: ['active'], patch: { ...config, quota: 500, bytes: 0, documents: 0 } },
      others: [{ def: 'hub_controller', base: OWNER, patch: { made: 1 } }],
      answer: { id: `https://hub.example/hub/tenant-1/edvs/${NEW_VAULT}`, ...config },
    },
  },
  {
    title: 'is one more than the wallet may have',
    command: 'claim',
    body: config,
    settings: { hub },
    pages: FULL,
    loaded: { owner: owner(0) },
    error: 'vault-full',
    text: /--hub-vaults/,
  },
  { title: 'is one too many of the tenant', command: 'create', body: config, settings: { hub }, pages: FULL, error: 'vault-full' },
  {
    title: 'has no more room than the hub gives',
    command: 'create',
    body: { ...config, quota_bytes: 1001 },
    settings: { hub },
    pages: ROOM,
    error: 'bad-request',
    text: /--hub-quota/,
  },
  { title: 'is one too many', command: 'claim', body: config, settings: { hub }, loaded: { owner: owner(1) }, error: 'forbidden' },
  { title: 'of a controller that nobody knows', command: 'claim', body: config, settings: { hub }, error: 'forbidden' },
  {
    title: 'has a new controller',
    command: 'configure',
    record: vault(),
    body: { ...config, controller: OTHER, sequence: 1 },
    effects: {
      record: { patch: { ...config, controller: OTHER, handed_over: true, sequence: 1 } },
      answer: {},
    },
  },
  {
    title: 'is given to one who has another of that name, which stays the one of that name',
    command: 'configure',
    record: vault({ referenceId: 'primary' }),
    body: { ...config, controller: OTHER, sequence: 1, referenceId: 'primary' },
    loaded: { same: vault() },
    effects: { record: { patch: { ...config, controller: OTHER, handed_over: true, referenceId: 'primary', sequence: 1 } }, answer: {} },
  },
  {
    title: 'is taken by its new controller, under a name of its own',
    command: 'configure',
    record: vault({ controller: OTHER, handed_over: true, referenceId: 'primary' }),
    body: { ...config, controller: OTHER, sequence: 1, referenceId: 'second' },
    effects: {
      record: { patch: { ...config, controller: OTHER, handed_over: REMOVED, referenceId: 'second', sequence: 1 } },
      answer: {},
    },
  },
  {
    title: 'is not taken under the name of another one of the controller',
    command: 'configure',
    record: vault({ controller: OTHER, handed_over: true }),
    body: { ...config, controller: OTHER, sequence: 1, referenceId: 'primary' },
    loaded: { same: vault() },
    error: 'not-current',
  },
  {
    title: 'keeps its name with its controller',
    command: 'configure',
    record: vault({ referenceId: 'primary' }),
    body: { ...config, sequence: 1, referenceId: 'second' },
    error: 'not-current',
  },
  { title: 'is changed from its last sequence on', command: 'configure', record: vault(), body: config, error: 'not-current' },
  {
    title: 'takes a document',
    command: 'insert',
    record: vault(),
    body: { document },
    loads: LOADS,
    effects: {
      record: { patch: { bytes: 100 + size, documents: 2 } },
      others: [{ def: 'edv_document', id: place, states: ['stored'], patch: { vault: VAULT, document, size } }],
      answer: {},
    },
  },
  {
    title: 'has a document of the id',
    command: 'insert',
    record: vault(),
    body: { document },
    loaded: { stored: kept() },
    error: 'not-current',
  },
  {
    title: 'has another document with the unique attribute',
    command: 'insert',
    record: vault(),
    body: { document },
    loaded: { 'unique 0': { ...kept(), id: `${VAULT}.z2` } },
    error: 'not-current',
  },
  { title: 'is full', command: 'insert', record: vault({ quota: size + 99 }), body: { document }, error: 'vault-full' },
  {
    title: 'takes no clear text',
    command: 'insert',
    record: vault(),
    body: { document: { ...document, content: {} } },
    error: 'unprocessable',
  },
  {
    title: 'has the next version of a document',
    command: 'update',
    record: vault({ quota: 100 }),
    body: { document: { ...document, sequence: 1 } },
    loads: LOADS,
    loaded: { stored: kept() },
    effects: {
      record: { patch: { bytes: 100, documents: 1 } },
      others: [
        {
          ...{ def: 'edv_document', base: place, id: place, states: ['stored'] },
          patch: { vault: VAULT, document: { ...document, sequence: 1 }, size },
        },
      ],
      answer: {},
    },
  },
  {
    title: 'drops what is behind the end of a stream',
    command: 'update',
    record: vault(),
    body: { document: { ...document, sequence: 1, stream: { sequence: 0, chunks: 2 } } },
    loaded: { stored: kept({ stream: {} }) },
    effects: {
      record: (one: object) => 'patch' in one,
      others: (all: object[]) => all.length === 1,
      next: [{ command: 'prune', input: { document: DOC }, after: 0 }],
      answer: {},
    },
  },
  {
    title: 'keeps the chunks of a stream that is on its way',
    command: 'update',
    record: vault(),
    body: { document: { ...document, sequence: 1, stream: {} } },
    loaded: { stored: kept({ stream: { sequence: 0, chunks: 2 } }) },
    effects: { record: (one: object) => 'patch' in one, others: (all: object[]) => all.length === 1, answer: {} },
  },
  {
    title: 'has no version in between',
    command: 'update',
    record: vault(),
    body: { document: { ...document, sequence: 2 } },
    loaded: { stored: kept() },
    error: 'not-current',
  },
  {
    title: 'has nothing to update',
    command: 'update',
    record: vault(),
    body: { document: { ...document, sequence: 1 } },
    error: 'not-current',
  },
  {
    title: 'finds a document by other attributes',
    command: 'index',
    record: vault(),
    body: { document: DOC, entry: { hmac: keys.hmac, sequence: 0, attributes: [] } },
    loads: { stored: LOADS.stored },
    loaded: { stored: kept() },
    effects: {
      record: (one: object) => 'patch' in one,
      others: (all: { patch: { document: { indexed: unknown } } }[]) =>
        JSON.stringify(all[0]!.patch.document.indexed) === JSON.stringify([{ hmac: keys.hmac, sequence: 0, attributes: [] }]),
      answer: {},
    },
  },
  {
    title: 'takes no index of another version',
    command: 'index',
    record: vault(),
    body: { document: DOC, entry: { hmac: keys.hmac, sequence: 1, attributes: [] } },
    loaded: { stored: kept() },
    error: 'not-current',
  },
  {
    title: 'has no document to index',
    command: 'index',
    record: vault(),
    body: { document: DOC, entry: { hmac: keys.hmac, sequence: 0, attributes: [] } },
    error: 'not-found',
  },
  {
    title: 'takes a chunk in the place of another',
    command: 'chunk',
    record: vault(),
    body: { document: DOC, index: 0, sequence: 0, size: 50, blob: 'new' },
    loads: { stored: LOADS.stored, former: { category: 'edv_chunk', id: `${place}.0` } },
    loaded: { stored: kept({ stream: {} }), former: { category: 'edv_chunk', id: `${place}.0`, value: { size: 20, blob: 'old' } } },
    effects: {
      record: { patch: { bytes: 130, documents: 1 } },
      others: [
        {
          ...{ def: 'edv_chunk', base: `${place}.0`, id: `${place}.0`, states: ['stored'] },
          patch: { document: place, index: 0, sequence: 0, size: 50, blob: 'new' },
        },
      ],
      answer: { blob: 'new', former: 'old' },
    },
  },
  {
    title: 'takes a chunk of a document with a stream alone',
    command: 'chunk',
    record: vault(),
    body: { document: DOC, index: 0, sequence: 0, size: 50, blob: 'new' },
    loaded: { stored: kept() },
    error: 'not-current',
  },
  {
    title: 'takes no chunk of another version',
    command: 'chunk',
    record: vault(),
    body: { document: DOC, index: 0, sequence: 1, size: 50, blob: 'new' },
    loaded: { stored: kept({ stream: {} }) },
    error: 'not-current',
  },
  {
    title: 'has no document of the chunk',
    command: 'chunk',
    record: vault(),
    body: { document: DOC, index: 0, sequence: 0, size: 1, blob: 'x' },
    error: 'not-found',
  },
  {
    title: 'removes chunks behind the end, and looks for more',
    command: 'prune',
    record: vault(),
    body: { document: DOC },
    loaded: { stored: kept({ stream: { chunks: 1 } }) },
    pages: { chunks: { rows: [2, 1].map((index) => ({ category: 'edv_chunk', id: `c${index}`, value: { index, size: 30 } })), total: 3 } },
    effects: {
      record: { patch: { bytes: 40, documents: 1 } },
      others: [
        { def: 'edv_chunk', base: 'c2', remove: true },
        { def: 'edv_chunk', base: 'c1', remove: true },
      ],
      next: [{ command: 'prune', input: { document: DOC }, after: 0 }],
    },
  },
  {
    title: 'keeps chunks before the end',
    command: 'prune',
    record: vault(),
    body: { document: DOC },
    loaded: { stored: kept({ stream: { chunks: 1 } }) },
    pages: { chunks: { rows: [{ category: 'edv_chunk', id: 'c0', value: { index: 0, size: 30 } }], total: 1 } },
    effects: {},
  },
  {
    title: 'keeps all while a stream is on its way',
    command: 'prune',
    record: vault(),
    body: { document: DOC },
    loaded: { stored: kept({ stream: {} }) },
    pages: { chunks: { rows: [{ category: 'edv_chunk', id: 'c0', value: { index: 0, size: 30 } }], total: 1 } },
    effects: {},
  },
  {
    title: 'remembers a revoked capability until its time is over',
    command: 'revoke',
    record: vault(),
    body: { capability: 'urn:uuid:1', delegator: OWNER, controller: OTHER, expires: NOW + 1000 },
    pages: NO_OTHERS,
    effects: {
      record: { patch: { ended: [OTHER] } },
      others: [
        {
          ...{ def: 'edv_revocation', id: REVOCATION, states: ['revoked'] },
          patch: { vault: VAULT, capability: 'urn:uuid:1', delegator: OWNER, expires: NOW + 1000, by: OWNER },
        },
      ],
      next: [
        {
          ...{ protocol: 'hub-revocation', command: 'forget', after: 86_401_000 },
          record: { category: 'edv_revocation', id: REVOCATION },
        },
      ],
    },
  },
  {
    title: 'has no trace of what a grantee has delegated on',
    command: 'revoke',
    record: vault({ ended: [OTHER] }),
    body: { capability: 'urn:uuid:1', delegator: OTHER, controller: THIRD, expires: NOW, by: OTHER },
    pages: NO_OTHERS,
    effects: {
      record: { patch: { ended: [OTHER] } },
      others: [
        {
          ...{ def: 'edv_revocation', id: revocationId(VAULT, { id: 'urn:uuid:1', delegator: OTHER }), states: ['revoked'] },
          patch: { vault: VAULT, capability: 'urn:uuid:1', delegator: OTHER, expires: NOW, by: OTHER },
        },
      ],
      next: [
        {
          ...{ protocol: 'hub-revocation', command: 'forget', after: 86_400_000 },
          record: { category: 'edv_revocation', id: revocationId(VAULT, { id: 'urn:uuid:1', delegator: OTHER }) },
        },
      ],
    },
  },
  {
    title: 'remembers no number of revocations that fills the store',
    command: 'revoke',
    record: vault(),
    body: { capability: 'urn:uuid:1', delegator: OTHER, controller: THIRD, expires: NOW, by: OTHER },
    pages: { others: { rows: [], total: 10_000 } },
    error: 'vault-full',
  },
  {
    title: 'remembers it once',
    command: 'revoke',
    record: vault(),
    body: { capability: 'urn:uuid:1', delegator: OWNER, controller: OTHER, expires: NOW },
    loaded: { known: { category: 'edv_revocation' } },
    effects: {},
  },
  {
    title: 'has no end of a controller that has a right again',
    command: 'admit',
    record: vault({ ended: [OWNER, OTHER] }),
    body: { controller: OTHER },
    effects: { record: { patch: { ended: [OWNER] } } },
  },
  { title: 'has none of one whose right has not ended', command: 'admit', record: vault(), body: { controller: OTHER }, effects: {} },
]);

table('hub-revocation', [
  { title: 'is forgotten', command: 'forget', record: { id: 'r1', state: 'revoked' }, effects: { record: { remove: true } } },
]);

table('hub-controller', [
  {
    title: 'may have a vault',
    command: 'POST /hub/controllers',
    body: { controller: OWNER },
    settings: { hub },
    about: { category: 'hub_controller', id: OWNER },
    effects: {
      record: { id: OWNER, states: ['registered'], patch: { controller: OWNER, allowed: 1, made: 0, quota: 1000 } },
    },
  },
  {
    title: 'may have no more, and keeps those that it has',
    command: 'register',
    body: { controller: OWNER, vaults: 0 },
    record: owner(3),
    effects: { record: { id: OWNER, states: ['registered'], patch: { controller: OWNER, allowed: 0, made: 3, quota: 500 } } },
  },
  {
    title: 'gives no vault more room than the hub does',
    command: 'register',
    body: { controller: OWNER, quota_bytes: 1001 },
    settings: { hub },
    error: 'bad-request',
  },
  { title: 'is a did:key', command: 'register', body: { controller: 'did:web:a' }, error: 'unprocessable' },
]);
