import type { Effects } from '../../kernel/effects.ts';
import { defineProtocol } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import { deviceName } from '../../mediation/names.ts';
import { type DeviceValue, device } from '../../records/device.ts';

const Text = Type.Optional(Type.Union([Type.String({ maxLength: 4096 }), Type.Null()]));

/** RFC 0734. A peer with a registered device has it called when mail waits: by a webhook, since which service calls it is the operator's choice. */
export const pushNotificationsFcm = defineProtocol<DeviceValue>({
  name: 'push-notifications-fcm',
  uris: ['https://didcomm.org/push-notifications-fcm/1.0'],
  roles: ['notification-sender'],
  binds: device,
  messages: {
    'set-device-info': {
      schema: Type.Object({ device_token: Text, device_platform: Text }),
      from: '*',
      about: (_message, by) => (by === undefined ? undefined : { category: device.category, id: by }),
      step(ctx, { body }): Effects {
        const id = ctx.connection!.id;
        const { device_token: token, device_platform: platform } = body as {
          device_token?: string | null;
          device_platform?: string | null;
        };
        const invalidate = [deviceName(id)];
        if (!token) return ctx.record ? { record: { remove: true }, invalidate } : {};
        return { record: { id, connection: id, patch: { device_token: token, device_platform: platform ?? undefined } }, invalidate };
      },
    },
    'get-device-info': {
      schema: Type.Object({}),
      from: '*',
      repeatable: true,
      about: (_message, by) => (by === undefined ? undefined : { category: device.category, id: by }),
      step: (ctx) => ({
        send: [
          {
            type: 'device-info',
            body: {
              device_token: ctx.record?.value.device_token ?? null,
              device_platform: ctx.record?.value.device_platform ?? null,
            },
            transient: true,
          },
        ],
      }),
    },
  },
  commands: {
    // ordered with the mail, and run a little later: who was there has it by then
    call: {
      from: '*',
      mail: true,
      step(ctx): Effects {
        const { id, value } = ctx.record!;
        const count = ctx.mail?.status.messages ?? 0;
        if (count === 0) return {};
        const { device_token, device_platform = null } = value;
        return {
          emit: [{ topic: 'push_notification', payload: { connection_id: id, device_token, device_platform, message_count: count } }],
        };
      },
    },
  },
});
