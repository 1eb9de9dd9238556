import { CONNECTION, table } from '../../test/support/steps.ts';
import { OWN_PREFIX } from '../didcomm/message-types.ts';

const TYPE = `${OWN_PREFIX}recovery-share/1.0`;
const SHARE = 'flexid-share-1.2.abcdefgh.AAECAwQFBgcICQ';
const one = (role: string, state: string, value: object = {}, id = 's1') => ({
  ...{ id, role, state, connection: 'c1', category: 'recovery_share' },
  value: { thread_id: 'thread-1', ...value },
});
const kept = one('trustee', 'kept', { share: SHARE }, 'k1');
const FULL = { code: 'request-not-accepted', text: 'This connection has as many shares or requests here as it may' };
const room = (total: number) => ({ waiting: { rows: [], total } });
const invited = { ...CONNECTION, state: 'invitation' };

table('recovery-share', [
  {
    title: 'is kept, and confirmed',
    message: 'store',
    body: { share: SHARE, label: 'Alice' },
    pages: room(15),
    effects: {
      record: { role: 'trustee', connection: 'c1', states: ['kept'], patch: { thread_id: 'message-1', share: SHARE, label: 'Alice' } },
      send: [{ message: { '@type': `${TYPE}/stored`, '@id': 'id-1', '~thread': { thid: 'message-1' } } }],
    },
  },
  { title: 'beyond what one peer may have kept', message: 'store', body: { share: SHARE }, pages: room(16), effects: { problem: FULL } },
  { title: 'that is asked for again and again', message: 'release-request', body: {}, pages: room(16), effects: { problem: FULL } },
  { title: 'that is no share', message: 'store', body: { share: 'short' }, error: 'message-invalid' },
  { title: 'with a label that is too long', message: 'store', body: { share: SHARE, label: 'x'.repeat(201) }, error: 'message-invalid' },
  {
    title: 'ends the giving',
    message: 'stored',
    thid: 'thread-1',
    record: one('owner', 'sent'),
    effects: { record: { states: ['stored'] } },
  },
  { title: 'of what was kept here', message: 'stored', thid: 'thread-1', record: kept, error: 'wrong-state' },
  {
    title: 'waits for the owner of the trustee',
    message: 'release-request',
    body: { label: 'it is me' },
    pages: room(15),
    effects: {
      record: { role: 'guardian', connection: 'c1', states: ['requested'], patch: { thread_id: 'message-1', label: 'it is me' } },
    },
  },
  {
    title: 'brings the share back',
    message: 'release',
    thid: 'thread-1',
    record: one('claimant', 'requested'),
    body: { share: SHARE },
    effects: { record: { states: ['released'], patch: { share: SHARE } } },
  },
  {
    title: 'that nobody asked for',
    message: 'release',
    thid: 'thread-1',
    record: one('guardian', 'requested'),
    body: { share: SHARE },
    error: 'wrong-state',
  },
  {
    title: 'ends the request',
    message: 'decline',
    thid: 'thread-1',
    record: one('claimant', 'requested'),
    body: { explain: 'who are you?' },
    effects: { record: { states: ['declined'], patch: { explain: 'who are you?' } } },
  },
  {
    title: 'gives a share away and does not keep it',
    command: 'POST /recovery-shares/{conn_id}/store',
    body: { share: SHARE, label: 'Alice' },
    effects: {
      record: { role: 'owner', connection: 'c1', states: ['sent'], patch: { thread_id: 'id-1', label: 'Alice' } },
      send: [{ message: { '@type': `${TYPE}/store`, '@id': 'id-1', share: SHARE, label: 'Alice' } }],
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'store',
    connection: invited,
    body: { share: SHARE },
    error: 'forbidden',
  },
  {
    title: 'asks for a share',
    command: 'POST /recovery-shares/{conn_id}/request-release',
    body: { label: 'it is me' },
    effects: {
      record: { role: 'claimant', connection: 'c1', states: ['requested'], patch: { thread_id: 'id-1', label: 'it is me' } },
      send: [{ message: { '@type': `${TYPE}/release-request`, '@id': 'id-1', label: 'it is me' } }],
    },
  },
  {
    title: 'sends the share that is named',
    command: 'POST /recovery-shares/{share_id}/release',
    record: one('guardian', 'requested'),
    body: { kept: 'k1' },
    loaded: { kept },
    effects: {
      record: { states: ['released'], patch: { released: 'k1' } },
      send: [{ message: { '@type': `${TYPE}/release`, '@id': 'id-1', '~thread': { thid: 'thread-1' }, share: SHARE } }],
    },
  },
  {
    title: 'of a record that is no share which is kept',
    command: 'release',
    record: one('guardian', 'requested'),
    body: { kept: 'k1' },
    loaded: { kept: one('claimant', 'released', { share: SHARE }, 'k1') },
    error: 'not-found',
  },
  { title: 'twice', command: 'release', record: one('guardian', 'released'), body: { kept: 'k1' }, loaded: { kept }, error: 'wrong-state' },
  {
    title: 'refuses a request',
    command: 'POST /recovery-shares/{share_id}/decline',
    record: one('guardian', 'requested'),
    body: { explain: 'who are you?' },
    effects: {
      record: { states: ['declined'], patch: { explain: 'who are you?' } },
      send: [{ message: { '@type': `${TYPE}/decline`, '@id': 'id-1', '~thread': { thid: 'thread-1' }, explain: 'who are you?' } }],
    },
  },
]);
