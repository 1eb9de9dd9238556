import { REMOVED, table } from '../../../test/support/steps.ts';

const ABOUT = { category: 'device', id: 'c1' };
const DEVICE = { id: 'c1', value: { device_token: 'token', device_platform: 'android' } };
const mail = (messages: number) => ({ messages: [], status: { messages, bytes: 0 } });

table('push-notifications-fcm', [
  {
    title: 'is kept under the id of the connection',
    message: 'set-device-info',
    body: { device_token: 'token', device_platform: 'ios' },
    about: ABOUT,
    effects: {
      record: { id: 'c1', connection: 'c1', patch: { device_token: 'token', device_platform: 'ios' } },
      invalidate: ['device:c1'],
    },
  },
  {
    title: 'without a platform takes the former one away',
    message: 'set-device-info',
    record: DEVICE,
    body: { device_token: 'other', device_platform: null },
    effects: {
      record: { id: 'c1', connection: 'c1', patch: { device_token: 'other', device_platform: REMOVED } },
      invalidate: ['device:c1'],
    },
  },
  {
    title: 'without a token removes the device',
    message: 'set-device-info',
    record: DEVICE,
    body: { device_token: null },
    effects: { record: { remove: true }, invalidate: ['device:c1'] },
  },
  { title: 'without a token has no effect where no device is known', message: 'set-device-info', body: { device_token: '' }, effects: {} },
  {
    title: 'with a token that is too long',
    message: 'set-device-info',
    body: { device_token: 'x'.repeat(4097) },
    error: 'message-invalid',
  },
  {
    title: 'is answered with the device',
    message: 'get-device-info',
    about: ABOUT,
    record: DEVICE,
    effects: { send: [{ type: 'device-info', body: { device_token: 'token', device_platform: 'android' }, transient: true }] },
  },
  {
    title: 'is answered with null where no device is known',
    message: 'get-device-info',
    effects: { send: [{ type: 'device-info', body: { device_token: null, device_platform: null }, transient: true }] },
  },
  {
    title: 'makes a webhook of what waits',
    command: 'call',
    record: DEVICE,
    mail: mail(2),
    effects: {
      emit: [
        {
          topic: 'push_notification',
          payload: { connection_id: 'c1', device_token: 'token', device_platform: 'android', message_count: 2 },
        },
      ],
    },
  },
  { title: 'is not made where nothing waits any more', command: 'call', record: DEVICE, mail: mail(0), effects: {} },
]);
