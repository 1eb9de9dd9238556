import { CONNECTION, key, NOW, OUR_KEY, REMOVED, table } from '../../../test/support/steps.ts';
import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { routingReference } from '../../dids/own-documents.ts';

const [A, B] = [key(103), key(104)];
const DID_A = verkeyToDidKey(A);
const mediation = (role: string, state: string, value = {}) => ({
  id: 'm1',
  role,
  state,
  connection: 'c1',
  value: { connection_id: 'c1', role, ...value },
});
const serving = (state: string, value = {}) => mediation('server', state, value);
const served = (state: string, value = {}) => mediation('client', state, value);
const granted = served('granted', { endpoint: 'https://mediator.example', routing_verkeys: [B] });
const entry = (verkey: string, role: string, value = {}, connection = 'c1') => ({
  category: 'keylist',
  id: `k ${role}`,
  role,
  connection,
  value: { connection_id: connection, recipient_key: verkeyToDidKey(verkey), role, verkey, ...value },
});
const known = (role: string, value = {}) => ({ [`key ${A}`]: entry(A, role, value) });
const update = (action: string, recipient_key = DID_A) => ({ updates: [{ recipient_key, action }] });
const answer = (action: string, result: string) => ({ updated: [{ recipient_key: DID_A, action, result }] });
const keys = (total: number, ...rows: object[]) => ({ keys: { rows, total } });
const current = {
  current: {
    category: 'mediation',
    id: 'm0',
    role: 'client',
    state: 'granted',
    value: { connection_id: 'c0', role: 'client', is_default: true },
  },
};

table('coordinate-mediation', [
  {
    title: 'waits for the controller',
    message: 'mediate-request',
    about: { category: 'mediation', tag: 'server', equals: 'c1' },
    effects: {
      record: {
        id: '5f9d8537-00bf-89b1-998d-7524b244fc8b',
        role: 'server',
        connection: 'c1',
        states: ['request'],
        patch: { connection_id: 'c1', role: 'server', thread_id: 'message-1' },
      },
      others: [{ def: 'connection', base: 'c1', patch: { mediation: ['server'] } }],
    },
  },
  {
    title: 'is granted by itself where mediation is open',
    message: 'mediate-request',
    settings: { openMediation: true },
    connection: { ...CONNECTION, value: { ...CONNECTION.value, mediation: ['server'] } },
    effects: {
      next: [{ command: 'grant' }],
      record: {
        id: '5f9d8537-00bf-89b1-998d-7524b244fc8b',
        role: 'server',
        connection: 'c1',
        states: ['request'],
        patch: { connection_id: 'c1', role: 'server', thread_id: 'message-1' },
      },
    },
  },
  {
    title: 'is granted again: the answer may have been lost',
    message: 'mediate-request',
    record: serving('granted', { routing_key: B }),
    effects: {
      send: [
        {
          type: 'mediate-grant',
          body: {
            endpoint: 'https://agent.example',
            routing_keys: ['did:key:z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf#z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf'],
          },
        },
      ],
      record: { patch: { thread_id: 'message-1' } },
    },
  },
  {
    title: 'is asked again while the controller waits',
    message: 'mediate-request',
    record: serving('request'),
    effects: {
      record: {
        id: '5f9d8537-00bf-89b1-998d-7524b244fc8b',
        role: 'server',
        connection: 'c1',
        patch: { connection_id: 'c1', role: 'server', thread_id: 'message-1' },
      },
      others: [{ def: 'connection', base: 'c1', patch: { mediation: ['server'] } }],
    },
  },
  {
    title: 'begins again after it was denied',
    message: 'mediate-request',
    record: serving('denied'),
    effects: {
      record: {
        id: '5f9d8537-00bf-89b1-998d-7524b244fc8b',
        role: 'server',
        connection: 'c1',
        states: ['request'],
        patch: { connection_id: 'c1', role: 'server', thread_id: 'message-1' },
      },
      others: [{ def: 'connection', base: 'c1', patch: { mediation: ['server'] } }],
    },
  },
  {
    title: 'adds a key, with its route',
    message: 'keylist-update',
    body: update('add'),
    record: serving('granted'),
    pages: keys(0),
    loads: { [`key ${A}`]: { category: 'keylist', tag: 'server', equals: A } },
    effects: {
      keyOwners: [{ kid: `mediated tenant-1 ${key(103)}`, kind: 'relay', target: 'c1' }],
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'success' }],
          },
        },
      ],
      record: {},
      others: [
        {
          def: 'keylist',
          role: 'server',
          connection: 'c1',
          patch: { connection_id: 'c1', recipient_key: key(103), role: 'server', verkey: key(103) },
        },
      ],
    },
  },
  {
    title: 'of a peer without an address has its mail kept',
    message: 'keylist-update',
    body: update('add', A),
    record: serving('granted'),
    pages: keys(0),
    connection: { ...CONNECTION, value: {} },
    effects: {
      keyOwners: [{ kid: `mediated tenant-1 ${key(103)}`, kind: 'keylist', target: 'c1' }],
      send: [{ type: 'keylist-update-response', body: { updated: [{ recipient_key: key(103), action: 'add', result: 'success' }] } }],
      record: {},
      others: [
        {
          def: 'keylist',
          role: 'server',
          connection: 'c1',
          patch: { connection_id: 'c1', recipient_key: key(103), role: 'server', verkey: key(103) },
        },
      ],
    },
  },
  {
    title: 'adds a key that is there',
    message: 'keylist-update',
    body: update('add'),
    record: serving('granted'),
    pages: keys(1),
    loaded: known('server'),
    effects: {
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'no_change' }],
          },
        },
      ],
    },
  },
  {
    title: 'removes a key',
    message: 'keylist-update',
    body: update('remove'),
    record: serving('granted'),
    pages: keys(1),
    loaded: known('server'),
    effects: {
      removedKeyOwners: [`mediated tenant-1 ${key(103)}`],
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'remove', result: 'success' }],
          },
        },
      ],
      record: {},
      others: [{ def: 'keylist', base: 'k server', remove: true }],
    },
  },
  {
    title: 'adds the key of another',
    message: 'keylist-update',
    body: update('add'),
    record: serving('granted'),
    pages: keys(0),
    loaded: { [`key ${A}`]: entry(A, 'server', {}, 'c2') },
    effects: {
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'client_error' }],
          },
        },
      ],
    },
  },
  {
    title: 'removes the key of another',
    message: 'keylist-update',
    body: update('remove'),
    record: serving('granted'),
    pages: keys(0),
    loaded: { [`key ${A}`]: entry(A, 'server', {}, 'c2') },
    effects: {
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'remove', result: 'no_change' }],
          },
        },
      ],
    },
  },
  {
    title: 'adds one key too many',
    message: 'keylist-update',
    body: update('add'),
    record: serving('granted'),
    pages: keys(2),
    settings: { mediatorMaxKeys: 2 },
    effects: {
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'server_error' }],
          },
        },
      ],
    },
  },
  {
    title: 'adds and removes a key in one message',
    message: 'keylist-update',
    body: { updates: [...update('add').updates, ...update('remove').updates] },
    record: serving('granted'),
    pages: keys(0),
    effects: {
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [
              { recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'success' },
              { recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'remove', result: 'success' },
            ],
          },
        },
      ],
    },
  },
  {
    title: 'of what is no key, and no action',
    message: 'keylist-update',
    body: { updates: [...update('add', 'x').updates, ...update('burn').updates] },
    record: serving('granted'),
    pages: keys(0),
    effects: {
      send: [
        {
          type: 'keylist-update-response',
          body: {
            updated: [
              { recipient_key: 'x', action: 'add', result: 'client_error' },
              { recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'burn', result: 'client_error' },
            ],
          },
        },
      ],
    },
  },
  {
    title: 'before mediation is granted',
    message: 'keylist-update',
    body: update('add'),
    record: serving('request'),
    pages: keys(0),
    error: 'wrong-state',
  },
  {
    title: 'lists the keys',
    message: 'keylist-query',
    record: serving('granted'),
    pages: keys(1, entry(A, 'server')),
    effects: {
      send: [{ type: 'keylist', body: { keys: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV' }] } }],
    },
  },
  {
    title: 'lists a page of the keys',
    message: 'keylist-query',
    body: { paginate: { limit: 1, offset: 1 } },
    record: serving('granted'),
    pages: keys(3, entry(A, 'server')),
    effects: {
      send: [
        {
          type: 'keylist',
          body: {
            keys: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV' }],
            pagination: { count: 1, offset: 1, remaining: 1 },
          },
        },
      ],
    },
  },
  {
    title: 'is kept, with its keys in both forms',
    message: 'mediate-grant',
    body: { endpoint: 'https://mediator.example', routing_keys: [routingReference(B)] },
    record: served('request'),
    effects: {
      invalidate: ['tenant-1'],
      record: {
        states: ['granted'],
        patch: {
          endpoint: 'https://mediator.example',
          routing_keys: ['did:key:z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf#z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf'],
          routing_verkeys: [key(104)],
        },
      },
    },
  },
  {
    title: 'again may name other keys',
    message: 'mediate-grant',
    body: { endpoint: 'https://mediator.example', routing_keys: [A] },
    record: granted,
    effects: {
      invalidate: ['tenant-1'],
      record: {
        patch: {
          endpoint: 'https://mediator.example',
          routing_keys: ['did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV#z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV'],
          routing_verkeys: [key(103)],
        },
      },
    },
  },
  {
    title: 'with what is no key',
    message: 'mediate-grant',
    body: { endpoint: 'https://mediator.example', routing_keys: ['x'] },
    record: served('request'),
    error: 'message-invalid',
    text: 'a routing key is no key',
  },
  {
    title: 'that nobody asked for',
    message: 'mediate-grant',
    body: { endpoint: 'https://mediator.example', routing_keys: [B] },
    error: 'wrong-state',
  },
  {
    title: 'ends the request',
    message: 'mediate-deny',
    record: served('request'),
    effects: { invalidate: ['tenant-1'], record: { states: ['denied'] } },
  },
  {
    title: 'confirms a key',
    message: 'keylist-update-response',
    thid: 'u1',
    body: answer('add', 'success'),
    record: granted,
    loaded: known('client', { target: 'c7' }),
    effects: {
      emit: [
        {
          topic: 'keylist',
          payload: {
            connection_id: 'c1',
            thread_id: 'u1',
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'success' }],
            mediated_connections: { 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV': 'c7' },
          },
        },
      ],
      others: [{ def: 'keylist', base: 'k client', role: 'client', connection: 'c1', patch: { confirmed: true } }],
    },
  },
  {
    title: 'confirms a key that the controller has given',
    message: 'keylist-update-response',
    body: answer('add', 'no_change'),
    record: granted,
    loaded: { [`invited ${A}`]: { category: 'connection', id: 'c8', value: {} } },
    effects: {
      emit: [
        {
          topic: 'keylist',
          payload: {
            connection_id: 'c1',
            thread_id: 'message-1',
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'no_change' }],
            mediated_connections: { 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV': 'c8' },
          },
        },
      ],
      others: [
        {
          def: 'keylist',
          role: 'client',
          connection: 'c1',
          patch: {
            connection_id: 'c1',
            recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV',
            role: 'client',
            verkey: key(103),
            confirmed: true,
          },
        },
      ],
    },
  },
  {
    title: 'refuses a key',
    message: 'keylist-update-response',
    body: answer('add', 'server_error'),
    record: granted,
    loaded: known('client'),
    effects: {
      emit: [
        {
          topic: 'keylist',
          payload: {
            connection_id: 'c1',
            thread_id: 'message-1',
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'server_error' }],
            mediated_connections: {},
          },
        },
      ],
      others: [{ def: 'keylist', base: 'k client', role: 'client', connection: 'c1', patch: { refused: 'server_error' } }],
    },
  },
  {
    title: 'does not take a confirmed key back',
    message: 'keylist-update-response',
    body: answer('add', 'server_error'),
    record: granted,
    loaded: known('client', { confirmed: true }),
    effects: {
      emit: [
        {
          topic: 'keylist',
          payload: {
            connection_id: 'c1',
            thread_id: 'message-1',
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add', result: 'server_error' }],
            mediated_connections: {},
          },
        },
      ],
      others: [{ def: 'keylist', base: 'k client', role: 'client', connection: 'c1' }],
    },
  },
  {
    title: 'removes a key',
    message: 'keylist-update-response',
    body: answer('remove', 'success'),
    record: granted,
    loaded: known('client', { confirmed: true }),
    effects: {
      emit: [
        {
          topic: 'keylist',
          payload: {
            connection_id: 'c1',
            thread_id: 'message-1',
            updated: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'remove', result: 'success' }],
            mediated_connections: {},
          },
        },
      ],
      others: [{ def: 'keylist', base: 'k client', remove: true }],
    },
  },
  { title: 'has no effect', message: 'keylist', body: { keys: [{ recipient_key: DID_A }] }, record: granted, effects: {} },
  {
    title: 'asks the mediator',
    command: 'POST /mediation/request/{conn_id}',
    loads: { known: { category: 'mediation', tag: 'client', equals: 'c1' } },
    effects: {
      send: [{ type: 'mediate-request', id: 'id-1', thid: 'id-1' }],
      record: {
        id: '916065ca-4c34-8e19-ba8e-988d9c747079',
        role: 'client',
        connection: 'c1',
        states: ['request'],
        patch: { connection_id: 'c1', role: 'client', thread_id: 'id-1' },
      },
      others: [{ def: 'connection', base: 'c1', patch: { mediation: ['client'] } }],
    },
  },
  {
    title: 'was asked for',
    command: 'request',
    loaded: { known: granted },
    error: 'bad-request',
    text: 'MediationRecord already exists for connection c1',
  },
  {
    title: 'needs a connection that can be written to',
    command: 'request',
    connection: { ...CONNECTION, state: 'invitation' },
    error: 'bad-request',
    text: 'requested connection is not ready',
  },
  {
    title: 'makes the routing key',
    command: 'POST /mediation/requests/{mediation_id}/grant',
    record: serving('request'),
    effects: {
      keyOwners: [{ kid: key(1), kind: 'mediation', target: 'default' }],
      send: [
        {
          type: 'mediate-grant',
          body: {
            endpoint: 'https://agent.example',
            routing_keys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX#z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
          },
        },
      ],
      record: { states: ['granted'], patch: { routing_key: key(1) } },
      others: [{ def: 'routing_key', id: 'default', patch: { verkey: key(1) } }],
      keys: [key(1)],
    },
  },
  {
    title: 'names the routing key of all',
    command: 'grant',
    record: serving('denied'),
    loaded: { routing: { category: 'routing_key', id: 'default', value: { verkey: B } } },
    effects: {
      send: [
        {
          type: 'mediate-grant',
          body: {
            endpoint: 'https://agent.example',
            routing_keys: ['did:key:z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf#z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf'],
          },
        },
      ],
      record: { states: ['granted'], patch: { routing_key: key(104) } },
    },
  },
  {
    title: 'needs an endpoint',
    command: 'grant',
    record: serving('request'),
    settings: { endpoint: '' },
    error: 'bad-request',
    text: 'This agent has no endpoint that mail could be sent to',
  },
  { title: 'of our own request', command: 'grant', record: served('request'), error: 'wrong-state' },
  {
    title: 'takes the keys away',
    command: 'POST /mediation/requests/{mediation_id}/deny',
    record: serving('granted'),
    effects: {
      send: [{ type: 'mediate-deny' }],
      next: [
        {
          command: 'purge',
          record: { category: 'mediation', id: '5f9d8537-00bf-89b1-998d-7524b244fc8b' },
          input: { connection: 'c1', role: 'server', before: 1893553445000 },
        },
      ],
      record: { states: ['denied'] },
    },
  },
  {
    title: 'takes the keys away',
    command: 'DELETE /mediation/requests/{mediation_id}',
    record: serving('granted'),
    effects: {
      next: [
        {
          command: 'purge',
          record: { category: 'mediation', id: '5f9d8537-00bf-89b1-998d-7524b244fc8b' },
          input: { connection: 'c1', role: 'server', before: 1893553445000 },
        },
      ],
      invalidate: ['tenant-1'],
      answer: {
        state: 'granted',
        created_at: '2030-01-02T03:04:04.000000Z',
        updated_at: '2030-01-02T03:04:04.000000Z',
        mediation_id: 'm1',
        role: 'server',
        connection_id: 'c1',
        routing_keys: [],
      },
      record: { remove: true },
    },
  },
  {
    title: 'removes keys of before, and goes on while there are more',
    command: 'purge',
    body: { connection: 'c1', role: 'server', before: NOW },
    pages: keys(3, entry(A, 'server'), { ...entry(B, 'server'), created: NOW + 1 }),
    effects: {
      removedKeyOwners: [`mediated tenant-1 ${key(103)}`],
      next: [
        {
          command: 'purge',
          record: { category: 'mediation', id: '5f9d8537-00bf-89b1-998d-7524b244fc8b' },
          input: { connection: 'c1', role: 'server', before: 1893553445000 },
        },
      ],
      others: [{ def: 'keylist', base: 'k server', remove: true }],
    },
  },
  {
    title: 'removes the mediation with its connection',
    command: 'purge',
    body: { connection: 'c1', role: 'client' },
    record: granted,
    pages: keys(1, entry(A, 'client')),
    effects: { invalidate: ['tenant-1'], record: { remove: true }, others: [{ def: 'keylist', base: 'k client', remove: true }] },
  },
  {
    title: 'tells the mediator',
    command: 'POST /mediation/keylists/{mediation_id}/send-keylist-update',
    body: update('add', A),
    record: granted,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-update',
            '@id': 'id-1',
            updates: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add' }],
          },
        },
      ],
      answer: {
        '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-update',
        '@id': 'id-1',
        updates: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add' }],
      },
    },
  },
  { title: 'of nothing', command: 'update-keylist', record: granted, error: 'bad-request', text: 'Updates cannot be empty.' },
  {
    title: 'of what is no key',
    command: 'update-keylist',
    body: update('add', 'x'),
    record: granted,
    error: 'unprocessable',
    text: 'recipient_key: x is no key',
  },
  {
    title: 'asks for a page',
    command: 'POST /mediation/keylists/{mediation_id}/send-keylist-query',
    query: { paginate_limit: '10' },
    record: granted,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-query',
            '@id': 'id-1',
            paginate: { limit: 10, offset: 0 },
          },
        },
      ],
      answer: { '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-query', '@id': 'id-1', paginate: { limit: 10, offset: 0 } },
    },
  },
  {
    title: 'registers the key of the connection',
    command: 'POST /mediation/update-keylist/{conn_id}',
    body: { mediation_id: 'm1' },
    loaded: { mediation: granted },
    effects: {
      next: [
        {
          command: 'register',
          record: { category: 'mediation', id: 'm1' },
          input: { keys: [{ verkey: OUR_KEY, connection: 'c1' }], id: 'id-1' },
        },
      ],
      answer: {
        '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-update',
        '@id': 'id-1',
        updates: [{ recipient_key: 'did:key:z6MktsLs7ByDkjGWBmDQMgZin2gPpd2H4i8PWmz1qVua7dmq', action: 'add' }],
      },
    },
  },
  { title: 'without a mediator has no effect', command: 'route-connection', effects: { answer: {} } },
  {
    title: 'by a mediation that is not granted',
    command: 'route-connection',
    body: { mediation_id: 'm1' },
    loaded: { mediation: served('request') },
    error: 'bad-request',
    text: 'Mediation is not granted for mediation identified by m1',
  },
  {
    title: 'answers the default mediator',
    command: 'GET /mediation/default-mediator',
    loaded: current,
    effects: {
      answer: {
        state: 'granted',
        created_at: '2030-01-02T03:04:04.000000Z',
        updated_at: '2030-01-02T03:04:04.000000Z',
        mediation_id: 'm0',
        role: 'client',
        connection_id: 'c0',
        routing_keys: [],
      },
    },
  },
  { title: 'answers that there is none', command: 'default', effects: { answer: {} } },
  {
    title: 'takes the place of the one before',
    command: 'PUT /mediation/{mediation_id}/default-mediator',
    record: granted,
    loaded: current,
    effects: {
      invalidate: ['tenant-1'],
      record: { patch: { is_default: true } },
      others: [{ def: 'mediation', base: 'm0', patch: { is_default: REMOVED } }],
    },
  },
  { title: 'of no mediation', command: 'set-default', error: 'bad-request', text: 'Record not found: there is no such mediation' },
  {
    title: 'is adopted once',
    command: 'adopt',
    record: granted,
    effects: { invalidate: ['tenant-1'], record: { patch: { is_default: true, adopted: true } } },
  },
  { title: 'that was adopted before stays as it is', command: 'adopt', record: served('granted', { adopted: true }), effects: {} },
  {
    title: 'has no default any more',
    command: 'DELETE /mediation/default-mediator',
    loaded: current,
    effects: {
      invalidate: ['tenant-1'],
      answer: {
        state: 'granted',
        created_at: '2030-01-02T03:04:04.000000Z',
        updated_at: '2030-01-02T03:04:04.000000Z',
        mediation_id: 'm0',
        role: 'client',
        connection_id: 'c0',
        routing_keys: [],
      },
      others: [{ def: 'mediation', base: 'm0', patch: { is_default: REMOVED } }],
    },
  },
  {
    title: 'sends the mediator new keys',
    command: 'register',
    body: { keys: [{ verkey: A, connection: 'c7' }, { verkey: B }] },
    record: granted,
    loads: {
      [`key ${A}`]: { category: 'keylist', tag: 'client', equals: A },
      [`key ${B}`]: { category: 'keylist', tag: 'client', equals: B },
    },
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-update',
            '@id': 'id-1',
            updates: [
              { recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add' },
              { recipient_key: 'did:key:z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf', action: 'add' },
            ],
          },
        },
      ],
      others: [
        {
          def: 'keylist',
          role: 'client',
          connection: 'c1',
          patch: {
            connection_id: 'c1',
            recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV',
            role: 'client',
            verkey: key(103),
            target: 'c7',
            confirmed: false,
            thread_id: 'id-1',
          },
        },
        {
          def: 'keylist',
          role: 'client',
          connection: 'c1',
          patch: {
            connection_id: 'c1',
            recipient_key: 'did:key:z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf',
            role: 'client',
            verkey: key(104),
            confirmed: false,
            thread_id: 'id-1',
          },
        },
      ],
    },
  },
  {
    title: 'of a key that the mediator knows has no effect',
    command: 'register',
    body: { keys: [{ verkey: A }] },
    record: granted,
    loaded: known('client', { confirmed: true }),
    effects: {},
  },
  {
    title: 'of a key that was added a moment ago has no effect',
    command: 'register',
    body: { keys: [{ verkey: A }] },
    record: granted,
    loaded: known('client', { thread_id: 'u1' }),
    effects: {},
  },
  {
    title: 'of a key that it refused is sent again',
    command: 'register',
    body: { id: 'u2', keys: [{ verkey: A }] },
    record: granted,
    loaded: known('client', { thread_id: 'u1', refused: 'server_error' }),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-update',
            '@id': 'u2',
            updates: [{ recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV', action: 'add' }],
          },
        },
      ],
      others: [
        {
          def: 'keylist',
          base: 'k client',
          role: 'client',
          connection: 'c1',
          patch: {
            connection_id: 'c1',
            recipient_key: 'did:key:z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV',
            role: 'client',
            verkey: key(103),
            confirmed: false,
            thread_id: 'u2',
            refused: REMOVED,
          },
        },
      ],
    },
  },
  {
    title: 'takes keys back',
    command: 'unregister',
    body: { keys: [OUR_KEY] },
    record: granted,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/coordinate-mediation/1.0/keylist-update',
            '@id': 'id-1',
            updates: [{ recipient_key: 'did:key:z6MktsLs7ByDkjGWBmDQMgZin2gPpd2H4i8PWmz1qVua7dmq', action: 'remove' }],
          },
        },
      ],
    },
  },
]);
