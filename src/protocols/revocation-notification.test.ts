import { table } from '../../test/support/steps.ts';

const notice = { rev_reg_id: 'did:algo:i/REV_REG_DEF/r', cred_rev_id: '7', comment: 'lost' };

table('revocation-notification-1.0', [
  {
    title: 'names the credential by its index, where no thread is given',
    command: 'notify',
    body: notice,
    effects: { send: [{ type: 'revoke', body: { thread_id: 'indy::did:algo:i/REV_REG_DEF/r::7', comment: 'lost' } }] },
  },
  {
    title: "names the issuer's thread",
    command: 'notify',
    body: { rev_reg_id: 'r', cred_rev_id: '1', thread_id: 't' },
    effects: { send: [{ type: 'revoke', body: { thread_id: 't' } }] },
  },
  { title: 'is read in silence', message: 'revoke', body: { thread_id: 't' }, effects: {} },
  {
    title: 'is shown to the controller that wants it',
    message: 'revoke',
    body: { thread_id: 't', comment: 'lost' },
    settings: { monitorRevocationNotification: true },
    effects: { emit: [{ topic: 'revocation-notification', payload: { thread_id: 't', comment: 'lost' } }] },
  },
  { title: 'without a thread', message: 'revoke', body: {}, error: 'message-invalid' },
]);

table('revocation-notification-2.0', [
  {
    title: 'names the credential by its index, in the format that wallets read',
    command: 'notify',
    body: notice,
    effects: {
      send: [
        {
          type: 'revoke',
          body: { revocation_format: 'indy-anoncreds', credential_id: 'did:algo:i/REV_REG_DEF/r::7', comment: 'lost' },
        },
      ],
    },
  },
  {
    title: 'is acknowledged where that is asked for',
    message: 'revoke',
    body: { revocation_format: 'anoncreds', credential_id: 'r::7' },
    pleaseAck: true,
    thid: 'thread-1',
    effects: { send: [{ type: 'https://didcomm.org/notification/1.0/ack', thid: 'thread-1', body: { status: 'OK' } }] },
  },
  {
    title: 'is shown to the controller that wants it',
    message: 'revoke',
    body: { revocation_format: 'anoncreds', credential_id: 'r::7' },
    settings: { monitorRevocationNotification: true },
    effects: {
      emit: [
        {
          topic: 'revocation-notification-v2',
          payload: { revocation_format: 'anoncreds', credential_id: 'r::7', comment: null },
        },
      ],
    },
  },
  { title: 'without a credential', message: 'revoke', body: { revocation_format: 'anoncreds' }, error: 'message-invalid' },
]);
