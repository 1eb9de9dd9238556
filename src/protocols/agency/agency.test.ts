import { CONNECTION, key, NOW, REMOVED, some, table } from '../../../test/support/steps.ts';
import { shortHash } from '../../kernel/jobs.ts';
import { edgeDeviceId, mediationId } from '../../mediation/names.ts';
import { DAY_MS } from '../../records/cloud-agent.ts';

const [THERE, HERE] = [edgeDeviceId('agency', 'c1'), edgeDeviceId('edge', 'c1')];
const OURS = { did: 'did-1', verkey: key(7) };
const settings = { agency: true, agent2018Endpoint: OURS, endpoint: 'https://agency.example', moreEndpoints: ['wss://agency.example'] };
const one = { connection: 'c1', label: 'phone', added: NOW - 1000 };
const two = { connection: 'c2', added: NOW - 1000 };
const cloud = (value = {}) => ({
  cloud: { category: 'cloud_agent', id: 'cloud-1', state: 'provisioned', value: { devices: [one], routes: 0, ...value } },
});
const device = (state = 'provisioned', value = {}) => ({
  id: THERE,
  role: 'agency',
  state,
  connection: 'c1',
  value: { connection_id: 'c1', role: 'agency', generation: 2, cloud_agent: 'cloud-1', ...value },
});
const own = (state = 'provisioned', value = {}) => ({
  id: HERE,
  role: 'edge',
  state,
  connection: 'c1',
  value: { connection_id: 'c1', role: 'edge', generation: 2, ...value },
});
const route = (name: string, value = {}) => ({
  [`route ${name}`]: {
    category: 'agency_route',
    id: `route-${name}`,
    value: { kind: 'did', name, role: 'agency', cloud_agent: 'cloud-1', ...value },
  },
});
const mine = (name: string, value = {}) => ({
  [`route ${name}`]: {
    category: 'agency_route',
    id: `route-${name}`,
    connection: 'c1',
    value: { kind: 'did', name, role: 'edge', ...value },
  },
});
const update = (action: string, value: string, kind = 'did') => ({ kind, value, action });
const MAILBOX = { mailbox: { messages: 100, bytes: 1_000_000, life: 7 * DAY_MS } };
/** As a payload of 2018. */
const SEALED = Buffer.alloc(60, 7).toString('base64');
const provisioned = some({ type: 'provisioned' });
const refused = (text: string) => ({ problem: { code: 'request-not-accepted', text } });
const superseded = { send: [{ type: 'superseded', body: { generation: 2 }, transient: true }] };
const CODE = 'c'.repeat(32);
const coded = { hash: shortHash(CODE), expires: NOW + 1 };
const joined = { coded: cloud({ codes: [coded] }).cloud };

table('agency', [
  { title: 'has mail for the newest copy', message: 'still-current', body: { generation: 2 }, record: device(), effects: {} },
  { title: 'has none for an older copy', message: 'still-current', body: { generation: 1 }, record: device(), effects: superseded },
  {
    title: 'makes a cloud agent of one device',
    message: 'provision',
    body: { label: 'phone' },
    settings,
    loaded: { routing: { value: { verkey: key(8) } } },
    about: { category: 'edge_device', id: THERE },
    effects: {
      record: {
        id: THERE,
        role: 'agency',
        connection: 'c1',
        states: ['provisioned'],
        patch: { label: 'phone', generation: 1, connection_id: 'c1', role: 'agency', cloud_agent: 'id-1' },
      },
      others: [
        {
          def: 'cloud_agent',
          id: 'id-1',
          states: ['provisioned'],
          patch: { devices: [{ connection: 'c1', label: 'phone', added: NOW }], routes: 0 },
        },
        { def: 'connection', base: 'c1', patch: { agency: 'agency' }, silent: true },
      ],
      invalidate: ['fellows:c1'],
      send: [
        {
          type: 'provisioned',
          body: {
            ...OURS,
            endpoint: 'https://agency.example',
            routing_keys: [key(8)],
            generation: 1,
            quotas: some({ routes: 10_000, relays_per_day: 10_000 }),
          },
        },
      ],
    },
  },
  {
    title: 'is refused where nobody has cloud agents',
    message: 'provision',
    settings: { agent2018Endpoint: OURS },
    effects: refused('This mediator has no cloud agents'),
  },
  {
    title: 'is answered again, and the generation may rise',
    message: 'provision',
    body: { generation: 3 },
    settings,
    record: device(),
    effects: { record: { patch: { generation: 3 } }, invalidate: ['copies:tenant-1 c1'], send: [provisioned] },
  },
  {
    title: 'of an older copy of the wallet',
    message: 'provision',
    body: { generation: 1 },
    settings,
    record: device(),
    effects: superseded,
  },
  {
    title: 'joins a cloud agent by the code of another device, which is used up',
    message: 'provision',
    body: { code: CODE },
    settings,
    connection: { ...CONNECTION, id: 'c2' },
    loaded: joined,
    effects: {
      record: some({ patch: { generation: 1, connection_id: 'c2', role: 'agency', cloud_agent: 'cloud-1' } }),
      others: [
        { def: 'cloud_agent', base: 'cloud-1', patch: { devices: [one, { connection: 'c2', added: NOW }], codes: [] } },
        { def: 'connection', base: 'c2', patch: { agency: 'agency' }, silent: true },
      ],
      invalidate: ['fellows:c1', 'fellows:c2'],
      send: [provisioned],
    },
  },
  {
    title: 'does not join by a code that is too old',
    message: 'provision',
    body: { code: CODE },
    settings,
    loaded: { coded: cloud({ codes: [{ ...coded, expires: NOW }] }).cloud },
    effects: refused('The code of the device is unknown, used, or too old'),
  },
  {
    title: 'does not join by a code that nobody gave',
    message: 'provision',
    body: { code: 'guessed' },
    settings,
    effects: refused('The code of the device is unknown, used, or too old'),
  },
  {
    title: 'adds names, removes others, and answers each',
    message: 'route-update',
    record: device(),
    body: {
      updates: [
        { ...update('add', 'n1', 'offer-nonce'), expires_in: 60 },
        update('add', 'd2'),
        update('add', 'd2'),
        update('remove', 'd3'),
        update('remove', 'd4'),
        update('add', 'd5'),
        update('add', 'd6', 'key'),
      ],
    },
    loaded: { ...cloud({ routes: 5 }), ...route('d3'), ...route('d5', { cloud_agent: 'another' }) },
    effects: {
      keyOwners: ['n1', 'd2'].map((name) => ({ kid: `passed on 2018 ${name}`, kind: 'cloud-agent', target: 'cloud-1' })),
      removedKeyOwners: ['passed on 2018 d3'],
      others: [
        {
          def: 'agency_route',
          patch: { kind: 'offer-nonce', name: 'n1', role: 'agency', cloud_agent: 'cloud-1', expires: NOW + 60_000 },
        },
        { def: 'agency_route', patch: { kind: 'did', name: 'd2', role: 'agency', cloud_agent: 'cloud-1' } },
        { def: 'agency_route', base: 'route-d3', remove: true },
        { def: 'cloud_agent', base: 'cloud-1', patch: { routes: 6, expiring: { day: Math.floor(NOW / DAY_MS), names: 1 } } },
      ],
      next: [
        {
          command: 'expire',
          record: { category: 'edge_device', id: THERE },
          input: { cloud: 'cloud-1', names: ['n1'] },
          after: 60_000,
        },
      ],
      send: [
        {
          type: 'routes-updated',
          body: {
            updated: [
              { ...update('add', 'n1', 'offer-nonce'), result: 'success' },
              { ...update('add', 'd2'), result: 'success' },
              { ...update('add', 'd2'), result: 'no_change' },
              { ...update('remove', 'd3'), result: 'success' },
              { ...update('remove', 'd4'), result: 'no_change' },
              { ...update('add', 'd5'), result: 'client_error' },
              { ...update('add', 'd6', 'key'), result: 'client_error' },
            ],
          },
        },
      ],
    },
  },
  {
    title: 'beyond the bound of names',
    message: 'route-update',
    record: device(),
    settings: { mediatorMaxKeys: 3 },
    body: { updates: [update('add', 'd1')] },
    loaded: cloud({ routes: 3 }),
    effects: { send: [{ type: 'routes-updated', body: { updated: [{ ...update('add', 'd1'), result: 'server_error' }] } }] },
  },
  {
    title: 'has no more names with an end in a day than it may have names',
    message: 'route-update',
    record: device(),
    settings: { mediatorMaxKeys: 3 },
    body: { updates: [{ ...update('add', 'd1'), expires_in: 60 }] },
    loaded: cloud({ routes: 0, expiring: { day: Math.floor(NOW / DAY_MS), names: 3 } }),
    effects: { send: [{ type: 'routes-updated', body: { updated: [{ ...update('add', 'd1'), result: 'server_error' }] } }] },
  },
  {
    title: 'of an older copy of the wallet changes nothing',
    message: 'route-update',
    record: device(),
    body: { updates: [update('add', 'd1')], generation: 1 },
    loaded: cloud(),
    effects: superseded,
  },
  { title: 'without a cloud agent', message: 'route-update', body: { updates: [] }, error: 'wrong-state' },
  {
    title: 'sends a message on, in a lane of the cloud agent and the host',
    message: 'relay',
    id: 'relay-1',
    record: device(),
    body: {
      endpoint: 'https://peer.example/in',
      media_type: 'text/plain; charset=us-ascii',
      payload: Buffer.from(SEALED).toString('base64'),
    },
    loaded: cloud(),
    effects: {
      others: [{ def: 'cloud_agent', base: 'cloud-1', patch: { relayed: { day: Math.floor(NOW / DAY_MS), messages: 1 } } }],
      post: [
        {
          envelope: SEALED,
          endpoint: 'https://peer.example/in',
          mediaType: 'text/plain; charset=us-ascii',
          lane: `relay:cloud-1:${shortHash('peer.example')}`,
          until: NOW + DAY_MS,
          onFailure: { protocol: 'agency', command: 'relay-failed', category: 'edge_device', id: THERE, input: { relay: 'relay-1' } },
        },
      ],
      send: [{ type: 'relayed', body: { status: 'accepted' } }],
    },
  },
  {
    title: 'beyond the quota of the day',
    message: 'relay',
    record: device(),
    settings: { agencyRelays: 1 },
    body: { endpoint: 'https://peer.example', payload: 'AAAA' },
    loaded: cloud({ relayed: { day: Math.floor(NOW / DAY_MS), messages: 1 } }),
    effects: { send: [{ type: 'relay-failed', body: { reason: 'quota' } }] },
  },
  {
    title: 'of a text that nobody has sealed',
    message: 'relay',
    record: device(),
    body: { endpoint: 'https://peer.example', payload: Buffer.from('GET / HTTP/1.1').toString('base64') },
    loaded: cloud(),
    effects: { send: [{ type: 'relay-failed', body: { reason: 'The payload is no sealed message' } }] },
  },
  {
    title: 'under a media type of anything but sealed messages',
    message: 'relay',
    record: device(),
    body: { endpoint: 'https://peer.example', media_type: 'text/html', payload: 'AAAA' },
    error: 'message-invalid',
  },
  {
    title: 'to no address',
    message: 'relay',
    record: device(),
    body: { endpoint: 'file:///etc/passwd', payload: 'AAAA' },
    error: 'message-invalid',
  },
  {
    title: 'sets a token, how long mail is kept, and whether 2018 is taken',
    message: 'config',
    record: device(),
    settings: MAILBOX,
    body: { set: { push_token: 'token', push_platform: 'ios', retention_days: 1, legacy: false } },
    loaded: cloud(),
    effects: {
      others: [
        { def: 'cloud_agent', base: 'cloud-1', patch: { retention: DAY_MS, no2018: true } },
        { def: 'device', id: 'c1', connection: 'c1', patch: { device_token: 'token', device_platform: 'ios' } },
      ],
      invalidate: ['fellows:c1', 'device:c1'],
      send: [{ type: 'configuration', body: { push: true, retention_days: 1, legacy: false } }],
    },
  },
  {
    title: 'is answered without a change, and never more than the agency keeps',
    message: 'config',
    record: device(),
    settings: MAILBOX,
    loaded: { ...cloud({ retention: 1000 * DAY_MS }), push: { value: { device_token: 'token' } } },
    effects: { send: [{ type: 'configuration', body: { push: true, retention_days: 7, legacy: true } }] },
  },
  {
    title: 'takes the token away',
    message: 'config',
    record: device(),
    settings: MAILBOX,
    body: { set: { push_token: null, retention_days: null } },
    loaded: { ...cloud({ retention: DAY_MS }), push: { id: 'c1', value: { device_token: 'token' } } },
    effects: {
      others: [
        { def: 'cloud_agent', base: 'cloud-1', patch: { retention: REMOVED } },
        { def: 'device', base: 'c1', remove: true },
      ],
      invalidate: ['fellows:c1', 'device:c1'],
      send: [{ type: 'configuration', body: { push: false, retention_days: 7, legacy: true } }],
    },
  },
  {
    title: 'gives a code, of which the hash is kept',
    message: 'device-add',
    record: device(),
    body: { label: 'tablet' },
    loaded: cloud({ codes: [{ hash: 'old', expires: NOW }] }),
    effects: {
      others: [
        {
          def: 'cloud_agent',
          base: 'cloud-1',
          patch: { codes: [{ hash: shortHash('1'.padStart(32, '0')), label: 'tablet', expires: NOW + 3600_000 }] },
        },
      ],
      send: [{ type: 'device-added', body: { code: '1'.padStart(32, '0'), expires_in: 3600 } }],
    },
  },
  {
    title: 'is answered with the devices',
    message: 'device-list',
    record: device(),
    loaded: cloud({ devices: [one, two] }),
    effects: {
      send: [
        {
          type: 'devices',
          body: {
            devices: [
              some({ device: THERE, label: 'phone', you: true }),
              some({ device: edgeDeviceId('agency', 'c2'), label: null, you: false }),
            ],
          },
        },
      ],
    },
  },
  {
    title: 'takes another device out',
    message: 'device-remove',
    record: device(),
    body: { device: edgeDeviceId('agency', 'c2') },
    loaded: { ...cloud({ devices: [one, two] }), other: { ...device(), id: 'd2' } },
    effects: {
      others: [
        { def: 'cloud_agent', base: 'cloud-1', patch: { devices: [one] } },
        { def: 'edge_device', base: 'd2', remove: true },
      ],
      invalidate: ['fellows:c1', 'fellows:c2'],
      send: [some({ type: 'devices' })],
    },
  },
  {
    title: 'takes itself out',
    message: 'device-remove',
    record: device(),
    body: { device: THERE },
    loaded: cloud({ devices: [one, two] }),
    effects: {
      record: { remove: true },
      others: [{ def: 'cloud_agent', base: 'cloud-1', patch: { devices: [two] } }],
      invalidate: ['fellows:c1', 'fellows:c2'],
      send: [some({ type: 'devices' })],
    },
  },
  {
    title: 'of the last one is refused',
    message: 'device-remove',
    record: device(),
    body: { device: THERE },
    loaded: cloud(),
    effects: refused('The last device stays, as long as its connection does'),
  },
  {
    title: 'of a device of somebody else changes nothing',
    message: 'device-remove',
    record: device(),
    body: { device: edgeDeviceId('agency', 'c9') },
    loaded: cloud(),
    effects: { send: [some({ type: 'devices' })] },
  },
  {
    title: 'says where peers write to',
    message: 'provisioned',
    record: own('request'),
    body: { endpoint: 'https://agency.example', ...OURS, quotas: { messages: 5 } },
    about: { category: 'edge_device', id: HERE },
    effects: {
      record: { states: ['provisioned'], patch: { endpoint: 'https://agency.example', ...OURS, quotas: { messages: 5 } } },
      invalidate: ['tenant-1'],
    },
  },
  {
    title: 'with a key that is none',
    message: 'provisioned',
    record: own('request'),
    body: { endpoint: 'https://agency.example', did: 'did-1', verkey: 'none' },
    error: 'message-invalid',
  },
  { title: 'that nobody asked for', message: 'provisioned', body: { endpoint: 'https://agency.example', ...OURS }, error: 'wrong-state' },
  {
    title: 'ends the mail of the older copy',
    message: 'superseded',
    record: own(),
    body: { generation: 3 },
    loads: { mediation: { category: 'mediation', id: mediationId('client', 'c1') } },
    loaded: { mediation: { id: 'm1', state: 'granted', value: {} } },
    effects: {
      record: { states: ['superseded'], patch: { error_msg: 'A newer copy of this wallet is in use, of generation 3' } },
      others: [{ def: 'mediation', base: 'm1', states: ['denied'] }],
      invalidate: ['tenant-1'],
    },
  },
  { title: 'means nothing to the newest copy', message: 'superseded', record: own(), body: { generation: 2 }, effects: {} },
  {
    title: 'confirms names, and tells of refusals',
    message: 'routes-updated',
    record: own(),
    body: {
      updated: [
        { ...update('add', 'a'), result: 'success' },
        { ...update('add', 'b'), result: 'client_error' },
        { ...update('remove', 'c'), result: 'no_change' },
        { ...update('add', 'unknown'), result: 'success' },
      ],
    },
    loaded: { ...mine('a', { confirmed: false }), ...mine('b'), ...mine('c') },
    effects: {
      others: [
        { def: 'agency_route', base: 'route-a', patch: { confirmed: true } },
        { def: 'agency_route', base: 'route-b', patch: { refused: 'client_error' } },
        { def: 'agency_route', base: 'route-c', remove: true },
      ],
    },
  },
  {
    title: 'is noted',
    message: 'relayed',
    thid: 'relay-1',
    record: own(),
    loads: { relay: { category: 'agency_relay', id: 'relay-1' } },
    loaded: { relay: { id: 'relay-1', state: 'sent', value: { endpoint: 'https://peer.example' } } },
    effects: { others: [{ def: 'agency_relay', base: 'relay-1', states: ['relayed'], silent: true }] },
  },
  { title: 'of what is forgotten', message: 'relayed', record: own(), effects: {} },
  {
    title: 'comes back to its lane, so that what it belongs to shows why',
    message: 'relay-failed',
    thid: 'relay-1',
    record: own(),
    body: { reason: 'quota' },
    loaded: { relay: { id: 'relay-1', state: 'relayed', value: { endpoint: 'https://peer.example', connection: 'c2' } } },
    effects: {
      others: [{ def: 'agency_relay', base: 'relay-1', remove: true, silent: true }],
      post: [{ envelope: '', endpoint: 'https://peer.example', connection: 'c2', returned: 'quota' }],
    },
  },
  { title: 'of what is forgotten', message: 'relay-failed', record: own(), body: {}, effects: {} },
  {
    title: 'is shown',
    message: 'configuration',
    record: own('provisioned', { asked: 'id-0' }),
    body: { push: true, retention_days: 7, legacy: true },
    effects: { record: { patch: { configuration: { push: true, retention_days: 7, legacy: true }, asked: REMOVED } } },
  },
  {
    title: 'shows the code',
    message: 'device-added',
    record: own(),
    body: { code: CODE },
    effects: { record: { patch: { device_code: CODE } } },
  },
  { title: 'are shown', message: 'devices', record: own(), body: { devices: [] }, effects: { record: { patch: { devices: [] } } } },
  {
    title: 'has no effect itself: its inside is received',
    message: 'payload',
    body: { id: 'n1', type: 'urn:x', message: {} },
    effects: {},
  },
  {
    title: 'is shown',
    problem: { description: { code: 'request-not-accepted', en: 'No' } },
    record: own('request'),
    effects: { record: { patch: { error_msg: 'request-not-accepted: No' } } },
  },
  {
    title: 'asks for a cloud agent',
    command: 'provision',
    body: { generation: 4 },
    effects: {
      others: [
        {
          def: 'edge_device',
          id: HERE,
          role: 'edge',
          connection: 'c1',
          states: ['request'],
          patch: { connection_id: 'c1', role: 'edge', label: 'Agent', generation: 4, thread_id: 'id-1' },
        },
        { def: 'connection', base: 'c1', patch: { agency: 'edge' }, silent: true },
      ],
      send: [{ type: 'provision', id: 'id-1', body: { label: 'Agent', generation: 4 } }],
      answer: { device_id: HERE },
    },
    settings: { label: 'Agent' },
  },
  {
    title: 'asks again, as the same copy',
    command: 'provision',
    loaded: { device: own('provisioned', { label: 'phone' }) },
    effects: {
      others: () => true,
      send: [{ type: 'provision', id: 'id-1', body: { label: 'phone', generation: 2 } }],
      invalidate: ['tenant-1'],
      answer: { device_id: HERE },
    },
  },
  {
    title: 'asks the agency',
    command: 'configure',
    record: own('provisioned', { device_code: 'x' }),
    body: { legacy: false },
    effects: {
      record: { patch: { asked: 'id-1', thread_id: 'id-1', device_code: REMOVED } },
      send: [{ type: 'config', id: 'id-1', body: { set: { legacy: false }, generation: 2 } }],
    },
  },
  {
    title: 'asks the agency',
    command: 'add-device',
    record: own(),
    body: { label: 'tablet' },
    effects: { record: () => true, send: [{ type: 'device-add', id: 'id-1', body: { label: 'tablet', generation: 2 } }] },
  },
  {
    title: 'asks the agency',
    command: 'list-devices',
    record: own(),
    effects: { record: () => true, send: [{ type: 'device-list', id: 'id-1', body: { generation: 2 } }] },
  },
  {
    title: 'asks the agency',
    command: 'remove-device',
    record: own(),
    body: { device: 'd2' },
    effects: { record: () => true, send: [{ type: 'device-remove', id: 'id-1', body: { device: 'd2', generation: 2 } }] },
  },
  {
    title: 'registers names, but for those that are known or under way',
    command: 'register',
    record: own(),
    body: { routes: [{ name: 'a', kind: 'did' }, { name: 'b', kind: 'offer-nonce', expires: NOW + 1500 }, { name: 'c' }] },
    loaded: { ...mine('a', { confirmed: true }), ...mine('c', { thread_id: 'before', confirmed: false }) },
    effects: {
      others: [
        {
          def: 'agency_route',
          role: 'edge',
          connection: 'c1',
          patch: { kind: 'offer-nonce', name: 'b', role: 'edge', confirmed: false, thread_id: 'id-1' },
        },
      ],
      send: [
        {
          type: 'route-update',
          id: 'id-1',
          body: { updates: [{ kind: 'offer-nonce', value: 'b', action: 'add', expires_in: 2 }], generation: 2 },
        },
      ],
    },
  },
  { title: 'has nothing to say', command: 'register', record: own(), body: { routes: [] }, effects: {} },
  {
    title: 'takes names back',
    command: 'unregister',
    record: own(),
    body: { names: ['a'] },
    effects: {
      send: [{ type: 'route-update', body: { updates: [{ kind: 'custom', value: 'a', action: 'remove' }], generation: 2 } }],
    },
  },
  {
    title: 'has a message sent on, and remembers it for a day',
    command: 'relay',
    record: own(),
    body: { id: 'job-1', endpoint: 'https://peer.example', envelope: 'sealed', connection: 'c2' },
    effects: {
      others: [
        { def: 'agency_relay', id: 'job-1', states: ['sent'], patch: { endpoint: 'https://peer.example', connection: 'c2' }, silent: true },
      ],
      send: [
        {
          type: 'relay',
          id: 'job-1',
          body: { endpoint: 'https://peer.example', payload: Buffer.from('sealed').toString('base64'), generation: 2 },
        },
      ],
      next: [some({ command: 'forget-relay', input: { relay: 'job-1' } })],
      answer: {},
    },
  },
  {
    title: 'forgets it',
    command: 'forget-relay',
    record: own(),
    body: { relay: 'job-1' },
    loaded: { relay: { id: 'job-1', state: 'sent', value: {} } },
    effects: { others: [{ def: 'agency_relay', base: 'job-1', remove: true, silent: true }] },
  },
  { title: 'has forgotten it', command: 'forget-relay', record: own(), body: { relay: 'job-1' }, effects: {} },
  {
    title: 'gives a message back',
    command: 'relay-failed',
    record: device(),
    body: { relay: 'job-1', reason: 'The endpoint answered 404' },
    effects: { send: [{ type: 'relay-failed', thid: 'job-1', body: { reason: 'The endpoint answered 404' } }] },
  },
  {
    title: 'takes away names whose time is up',
    command: 'expire',
    record: device(),
    body: { cloud: 'cloud-1', names: ['a', 'b', 'c'] },
    loaded: { ...cloud({ routes: 3 }), ...route('a', { expires: NOW }), ...route('b', { expires: NOW + 1 }), ...route('c') },
    effects: {
      others: [
        { def: 'agency_route', base: 'route-a', remove: true },
        { def: 'cloud_agent', base: 'cloud-1', patch: { routes: 2 } },
      ],
      removedKeyOwners: ['passed on 2018 a'],
    },
  },
  { title: 'finds them gone', command: 'expire', body: { cloud: 'cloud-1', names: ['a'] }, loaded: cloud(), effects: {} },
  {
    title: 'leaves the others of a cloud agent',
    command: 'leave',
    record: device(),
    body: { connection: 'c1' },
    loaded: cloud({ devices: [one, two] }),
    effects: {
      record: { remove: true },
      others: [{ def: 'cloud_agent', base: 'cloud-1', patch: { devices: [two] } }],
      invalidate: ['fellows:c1', 'fellows:c1', 'fellows:c2'],
    },
  },
  {
    title: 'takes the cloud agent along, being the last',
    command: 'leave',
    record: device(),
    body: { connection: 'c1' },
    loaded: cloud(),
    effects: {
      record: { remove: true },
      others: [{ def: 'cloud_agent', base: 'cloud-1', remove: true, silent: true }],
      invalidate: ['fellows:c1'],
      next: [{ command: 'purge', record: { category: 'edge_device', id: THERE }, input: { cloud: 'cloud-1' } }],
    },
  },
  {
    title: 'forgets its agency',
    command: 'leave',
    record: own(),
    body: { connection: 'c1' },
    effects: {
      record: { remove: true },
      invalidate: ['fellows:c1', 'tenant-1'],
      next: [{ command: 'purge', record: { category: 'edge_device', id: HERE }, input: { edge: 'c1' } }],
    },
  },
  {
    title: 'removes names of a cloud agent, some at a time',
    command: 'purge',
    body: { cloud: 'cloud-1' },
    pages: { routes: { rows: [{ ...route('a')['route a']!, category: 'agency_route' }], total: 2 } },
    effects: {
      others: [{ def: 'agency_route', base: 'route-a', remove: true }],
      removedKeyOwners: ['passed on 2018 a'],
      next: [some({ command: 'purge', input: { cloud: 'cloud-1' } })],
    },
  },
  {
    title: 'removes what an edge knew of its agency',
    command: 'purge',
    body: { edge: 'c1' },
    pages: { routes: { rows: [{ ...mine('a')['route a']!, category: 'agency_route' }], total: 1 } },
    effects: { others: [{ def: 'agency_route', base: 'route-a', remove: true }] },
  },
]);
