import { CONNECTION, NOW, OUR_KEY, PEER_KEY, some, table } from '../../../test/support/steps.ts';
import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { newKeyPair, signBytes } from '../../didcomm/keys.ts';
import { statement } from './backup-parts.ts';

const pair = newKeyPair(Buffer.alloc(32, 9));
const controller = verkeyToDidKey(pair.verkey);
const signed = (text: string): string => Buffer.from(signBytes(Buffer.from(text), pair)).toString('base64url');
const signature = signed(statement(controller, PEER_KEY, OUR_KEY));
/** The signature for another connection. */
const elsewhere = signed(statement(controller, PEER_KEY, PEER_KEY));

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const settings = { agency: true, agencyBackupBytes: 100, agencyBackupGenerations: 2 };
const about = { generation: 2, sha256: B, bytes: 5, parts: 2 };
const part = (n: number, data: string, more = {}) => ({ controller, ...about, part: n, data, ...more });
const first = part(1, 'AAAA');
const kept = (generation: number, more = {}) => ({
  ...{ controller, generation, sha256: A, bytes: 4, parts: 1, upload: `up-${generation}`, stored: NOW - 1000 },
  ...more,
});
const upload = (more = {}) => ({ controller, ...about, upload: 'up-b', accepted: 1, written: 1, received: 3, ...more });
const NONE = { controllers: [controller], kept: [], uploads: [] };
const cloud = (backups?: object, devices: object[] = [{ connection: 'c1', added: NOW }]) => ({
  cloud: { category: 'cloud_agent', id: 'cloud-1', state: 'provisioned', value: { devices, routes: 0, backups } },
});
const stores = (...all: object[]) => ({
  stores: {
    rows: all.map((backups, n) => ({ category: 'cloud_agent', id: `cloud-${n}`, value: { devices: [], routes: 0, backups } })),
    total: all.length,
  },
});
const refused = (code: string, text = /./) => ({ problem: { code, text } });
const backups = (value: object) => ({ def: 'cloud_agent', base: 'cloud-1', patch: { backups: value } });
const storing = { role: 'agency', state: 'storing', connection: 'c1', value: { thread_id: 'thread-1' } };
const asked = (asked: string, state = 'asked') => ({ role: 'owner', state, connection: 'c1', value: { thread_id: 'thread-1', asked } });
const clearing = (...uploads: object[]) => ({ op: 'wallet-backup/clear', input: { uploads }, result: 'cleared' });
const invited = { ...CONNECTION, state: 'invitation' };
const owner = (type: string, asked: string, body: object) => ({
  record: { role: 'owner', connection: 'c1', states: ['asked'], patch: { thread_id: 'id-1', asked } },
  send: [{ type, id: 'id-1', body }],
  next: [{ command: 'forget', after: 600_000 }],
});

table('wallet-backup', [
  {
    title: 'lets the devices of a cloud agent add backups',
    message: 'open',
    body: { controller, signature },
    settings,
    loaded: cloud(),
    loads: { cloud: { category: 'cloud_agent', tag: 'device', equals: 'c1' } },
    effects: {
      send: [{ type: 'opened', body: { quota: { bytes: 100, generations: 2 } } }],
      others: [backups(NONE)],
    },
  },
  {
    title: 'again changes nothing',
    message: 'open',
    body: { controller, signature },
    settings,
    loaded: cloud(NONE),
    effects: { send: [some({ type: 'opened' })] },
  },
  { title: 'needs a signature', message: 'open', body: { controller }, error: 'message-invalid' },
  {
    title: 'of another connection’s signature',
    message: 'open',
    body: { controller, signature: elsewhere },
    settings,
    loaded: cloud(),
    effects: refused('unauthorized'),
  },
  { title: 'of no device', message: 'open', body: { controller, signature }, settings, effects: refused('request-not-accepted') },
  {
    title: 'where no backups are kept',
    message: 'open',
    body: { controller, signature },
    settings: { ...settings, agencyBackupBytes: 0 },
    loaded: cloud(),
    effects: refused('request-not-accepted'),
  },
  {
    title: 'of too many wallets',
    message: 'open',
    body: { controller, signature },
    settings,
    loaded: cloud({ ...NONE, controllers: Array.from({ length: 16 }, (_, n) => `did:key:${n}`) }),
    effects: refused('over-quota'),
  },
  {
    title: 'has the first part stored',
    message: 'put',
    body: first,
    settings,
    loaded: cloud(NONE),
    effects: {
      record: { role: 'agency', connection: 'c1', states: ['storing'], patch: { thread_id: 'message-1' } },
      others: [backups({ ...NONE, uploads: [upload({ upload: '1'.padStart(32, '0'), written: 0 })] })],
      work: [
        {
          op: 'wallet-backup/keep',
          input: { cloud: 'cloud-1', upload: '1'.padStart(32, '0'), part: 1, parts: 2, sha256: B, data: 'AAAA' },
          result: 'kept',
        },
      ],
    },
  },
  {
    title: 'begins again, and removes what was begun',
    message: 'put',
    body: { ...first, generation: 3 },
    settings,
    loaded: cloud({ ...NONE, uploads: [upload()] }),
    effects: {
      record: some({ states: ['storing'] }),
      others: [some({ def: 'cloud_agent' })],
      work: [clearing({ upload: 'up-b', parts: 2 }), some({ op: 'wallet-backup/keep' })],
    },
  },
  {
    title: 'has the last part stored',
    message: 'put',
    body: part(2, 'AAA='),
    settings,
    loaded: cloud({ ...NONE, uploads: [upload()] }),
    effects: {
      record: some({ states: ['storing'] }),
      others: [backups({ ...NONE, uploads: [upload({ accepted: 2, received: 5 })] })],
      work: [some({ op: 'wallet-backup/keep' })],
    },
  },
  {
    title: 'of a part that is stored has the same answer',
    message: 'put',
    body: first,
    settings,
    loaded: cloud({ ...NONE, uploads: [upload()] }),
    effects: { send: [{ type: 'stored', body: { generation: 2, part: 1, complete: false } }] },
  },
  {
    title: 'of a backup that is whole has the same answer',
    message: 'put',
    body: first,
    settings,
    loaded: cloud({ ...NONE, kept: [kept(2, about)] }),
    effects: { send: [{ type: 'stored', body: { generation: 2, part: 1, complete: true } }] },
  },
  {
    title: 'of a part behind the next one',
    message: 'put',
    body: part(2, 'AAA='),
    settings,
    loaded: cloud(NONE),
    effects: refused('out-of-order'),
  },
  {
    title: 'of a part while the one before is written',
    message: 'put',
    body: part(2, 'AAA='),
    settings,
    loaded: cloud({ ...NONE, uploads: [upload({ written: 0 })] }),
    effects: refused('out-of-order'),
  },
  {
    title: 'of a part that there is not',
    message: 'put',
    body: part(3, 'AAAA'),
    settings,
    loaded: cloud(NONE),
    effects: refused('out-of-order'),
  },
  {
    title: 'does not overwrite a backup',
    message: 'put',
    body: first,
    settings,
    loaded: cloud({ ...NONE, kept: [kept(2)] }),
    effects: refused('out-of-order', /Backup 2 is here/),
  },
  {
    title: 'does not use up the numbers',
    message: 'put',
    body: { ...first, generation: 100_003 },
    settings,
    loaded: cloud({ ...NONE, kept: [kept(2)] }),
    effects: refused('out-of-order', /close to it/),
  },
  {
    title: 'of more bytes than announced',
    message: 'put',
    body: part(1, 'AAAAAAAA'),
    settings,
    loaded: cloud(NONE),
    effects: refused('over-long'),
  },
  {
    title: 'of fewer bytes than announced',
    message: 'put',
    body: part(2, 'AA=='),
    settings,
    loaded: cloud({ ...NONE, uploads: [upload()] }),
    effects: refused('over-long'),
  },
  {
    title: 'of a part that is too long',
    message: 'put',
    body: part(1, 'A'.repeat(131_076)),
    error: 'message-invalid',
  },
  {
    title: 'beyond the quota, beside what stays',
    message: 'put',
    body: { ...first, generation: 9 },
    settings,
    loaded: cloud({ ...NONE, kept: [kept(1, { bytes: 90 }), kept(2, { bytes: 96 })] }),
    effects: refused('over-quota', /100 bytes, and 96 are taken/),
  },
  {
    title: 'in the place of an old one',
    message: 'put',
    body: { ...first, generation: 9 },
    settings,
    loaded: cloud({ ...NONE, kept: [kept(1, { bytes: 90 }), kept(2, { bytes: 95 })] }),
    effects: { record: some({ states: ['storing'] }), others: [some({})], work: [some({ op: 'wallet-backup/keep' })] },
  },
  { title: 'for words that were not opened', message: 'put', body: first, settings, loaded: cloud(), effects: refused('unauthorized') },
  { title: 'from no device', message: 'put', body: first, settings, effects: refused('unauthorized') },
  {
    title: 'shows a device its backups',
    message: 'list',
    body: { controller },
    loaded: cloud({ ...NONE, kept: [kept(1), kept(2), kept(3, { controller: 'did:key:other' })] }),
    effects: {
      send: [
        {
          type: 'backups',
          body: {
            backups: [2, 1].map((generation) => ({
              ...{ generation, sha256: A, bytes: 4, parts: 1 },
              stored: new Date(NOW - 1000).toISOString(),
            })),
          },
        },
      ],
    },
  },
  {
    title: 'shows the words all of the agency',
    message: 'list',
    body: { controller, signature },
    pages: stores({ ...NONE, kept: [kept(1)] }, { ...NONE, kept: [kept(4)] }),
    effects: { send: [{ type: 'backups', body: { backups: [some({ generation: 4 }), some({ generation: 1 })] } }] },
  },
  {
    title: 'without backups',
    message: 'list',
    body: { controller, signature },
    pages: stores(),
    effects: { send: [{ type: 'backups', body: { backups: [] } }] },
  },
  { title: 'of a stranger', message: 'list', body: { controller }, effects: refused('unauthorized') },
  {
    title: 'with a signature that is none',
    message: 'list',
    body: { controller, signature: elsewhere },
    loaded: cloud({ ...NONE, kept: [kept(1)] }),
    effects: refused('unauthorized'),
  },
  {
    title: 'has a part read',
    message: 'get',
    body: { controller, signature, sha256: A, part: 1 },
    pages: stores({ ...NONE, kept: [kept(1)] }),
    effects: {
      record: { role: 'agency', connection: 'c1', states: ['reading'], patch: { thread_id: 'message-1' } },
      work: [{ op: 'wallet-backup/read', input: { upload: 'up-1', part: 1 }, result: 'read' }],
    },
  },
  {
    title: 'of another part',
    message: 'get',
    body: { controller, signature, sha256: A, part: 2 },
    pages: stores({ ...NONE, kept: [kept(1)] }),
    effects: refused('not-found'),
  },
  {
    title: 'of a device without the words',
    message: 'get',
    body: { controller, signature: elsewhere, sha256: A, part: 1 },
    effects: refused('unauthorized'),
  },
  {
    title: 'is the answer',
    message: 'opened',
    thid: 'thread-1',
    record: asked('opened'),
    effects: { record: { states: ['answered'], patch: { answer: {} } } },
  },
  {
    title: 'is the answer',
    message: 'stored',
    thid: 'thread-1',
    body: { generation: 1, part: 1 },
    record: asked('stored'),
    effects: { record: { states: ['answered'], patch: { answer: { generation: 1, part: 1 } } } },
  },
  {
    title: 'to something else',
    message: 'stored',
    thid: 'thread-1',
    body: { generation: 1, part: 1 },
    record: asked('part'),
    error: 'wrong-state',
  },
  {
    title: 'is the answer',
    message: 'backups',
    thid: 'thread-1',
    body: { backups: [{ ...about }] },
    record: asked('backups'),
    effects: { record: { states: ['answered'], patch: { answer: { backups: [about] } } } },
  },
  {
    title: 'is the answer',
    message: 'part',
    thid: 'thread-1',
    body: { data: 'AAAA' },
    record: asked('part'),
    effects: { record: { states: ['answered'], patch: { answer: { data: 'AAAA' } } } },
  },
  { title: 'that nobody asked for', message: 'part', thid: 'thread-1', body: { data: 'AAAA' }, error: 'wrong-state' },
  {
    title: 'ends what was asked',
    problem: { description: { code: 'over-quota', en: 'it is full' } },
    record: asked('stored'),
    effects: { record: { states: ['refused'], patch: { error_msg: 'over-quota: it is full' } } },
  },
  { title: 'needs a connection', command: 'open', connection: invited, body: { controller, signature }, error: 'bad-request' },
  {
    title: 'asks',
    command: 'POST /wallet-backups/{conn_id}/open',
    body: { controller, signature },
    effects: owner('open', 'opened', { controller, signature }),
  },
  { title: 'asks', command: 'put', body: first, effects: owner('put', 'stored', first) },
  { title: 'asks', command: 'list', body: { controller }, effects: owner('list', 'backups', { controller }) },
  {
    title: 'asks',
    command: 'get',
    body: { controller, signature, sha256: A, part: 1 },
    effects: owner('get', 'part', { controller, signature, sha256: A, part: 1 }),
  },
  {
    title: 'names both keys of the connection',
    command: 'statement',
    body: { controller },
    effects: { answer: { statement: statement(controller, OUR_KEY, PEER_KEY) } },
  },
  { title: 'removes the request', command: 'forget', record: asked('part', 'answered'), effects: { record: { remove: true } } },
  {
    title: 'removes the backups of a cloud agent without devices',
    command: 'forget-backups',
    body: { cloud: 'cloud-1' },
    loaded: cloud({ ...NONE, kept: [kept(1)], uploads: [upload()] }, []),
    effects: {
      record: { role: 'agency', states: ['clearing'], patch: { thread_id: 'id-1' } },
      others: [{ def: 'cloud_agent', base: 'cloud-1', remove: true, silent: true }],
      work: [clearing({ upload: 'up-1', parts: 1 }, { upload: 'up-b', parts: 2 })],
    },
  },
  {
    title: 'removes nothing while there is a device',
    command: 'forget-backups',
    body: { cloud: 'cloud-1' },
    loaded: cloud({ ...NONE, kept: [kept(1)] }),
    effects: {},
  },
  {
    title: 'is confirmed',
    result: 'kept',
    output: { cloud: 'cloud-1', upload: 'up-b', part: 1, parts: 2, isWhole: false },
    record: storing,
    loaded: cloud({ ...NONE, uploads: [upload({ written: 0 })] }),
    effects: {
      record: { remove: true },
      others: [backups({ ...NONE, uploads: [upload()] })],
      send: [{ type: 'stored', body: { generation: 2, part: 1, complete: false } }],
    },
  },
  {
    title: 'is whole with the last part, and the oldest goes',
    result: 'kept',
    output: { cloud: 'cloud-1', upload: 'up-b', part: 2, parts: 2, isWhole: true },
    record: storing,
    settings,
    loaded: cloud({ ...NONE, kept: [kept(0), kept(1)], uploads: [upload({ accepted: 2, received: 5 })] }),
    effects: {
      record: { states: ['clearing'] },
      others: [backups({ ...NONE, kept: [kept(1), { controller, ...about, upload: 'up-b', stored: NOW }] })],
      work: [clearing({ upload: 'up-0', parts: 1 })],
      send: [{ type: 'stored', body: { generation: 2, part: 2, complete: true } }],
    },
  },
  {
    title: 'with other bytes than announced is removed',
    result: 'kept',
    output: { cloud: 'cloud-1', upload: 'up-b', part: 2, parts: 2, isWhole: false },
    record: storing,
    loaded: cloud({ ...NONE, uploads: [upload({ accepted: 2 })] }),
    effects: {
      record: { states: ['clearing'] },
      others: [backups(NONE)],
      work: [clearing({ upload: 'up-b', parts: 2 })],
      ...refused('damaged'),
    },
  },
  {
    title: 'of an upload whose place another one has taken',
    result: 'kept',
    output: { cloud: 'cloud-1', upload: 'up-x', part: 1, parts: 2, isWhole: false },
    record: storing,
    loaded: cloud({ ...NONE, uploads: [upload()] }),
    effects: { record: { states: ['clearing'] }, work: [clearing({ upload: 'up-x', parts: 2 })], ...refused('out-of-order') },
  },
  {
    title: 'of a connection that is gone',
    result: 'kept',
    output: { cloud: 'cloud-1', upload: 'up-b', part: 1, parts: 2, isWhole: false },
    record: storing,
    connection: null,
    loaded: cloud({ ...NONE, uploads: [upload({ written: 0 })] }),
    effects: { record: { remove: true }, others: [backups({ ...NONE, uploads: [upload()] })] },
  },
  {
    title: 'is sent',
    result: 'read',
    output: { data: 'AAAA' },
    record: { ...storing, state: 'reading' },
    effects: { record: { remove: true }, send: [{ type: 'part', body: { data: 'AAAA' } }] },
  },
  { title: 'ends the transfer', result: 'cleared', record: { ...storing, state: 'clearing' }, effects: { record: { remove: true } } },
  { title: 'of a former upload', result: 'cleared', record: storing, effects: {} },
  {
    title: 'that cannot be read',
    failed: { result: 'read', code: 'not-found', text: 'The backup is not there any more' },
    record: { ...storing, state: 'reading' },
    effects: { record: { remove: true }, ...refused('not-found') },
  },
]);
