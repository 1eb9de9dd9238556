import { command, defineProtocol } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import { connection } from '../records/connection.ts';

const Comment = Type.Optional(Type.Union([Type.String({ maxLength: 10_000 }), Type.Null()]));

/** The order of the issuer's registry when the revocation is on the ledger. */
const Notice = Type.Object({
  rev_reg_id: Type.String(),
  cred_rev_id: Type.String(),
  thread_id: Type.Optional(Type.String()),
  comment: Type.Optional(Type.String()),
});

/** How ACA-Py's wallets, and Credo's, name the credentials of whatever ledger; `anoncreds` is RFC 0721's word. */
const FORMAT = 'indy-anoncreds';

/** RFC 0183. A notification names the credential by the thread that issued it, or by its index. */
export const revocationNotification1 = defineProtocol({
  name: 'revocation-notification-1.0',
  uris: ['https://didcomm.org/revocation_notification/1.0'],
  roles: ['issuer', 'holder'],
  binds: connection,
  stateless: true,
  messages: {
    revoke: {
      schema: Type.Object({ thread_id: Type.String({ maxLength: 1000 }), comment: Comment }),
      from: '*',
      step: (ctx, { body: { thread_id, comment } }) => ({
        emit: ctx.settings.monitorRevocationNotification
          ? [{ topic: 'revocation-notification', payload: { thread_id: thread_id!, comment: comment ?? null } }]
          : [],
      }),
    },
  },
  commands: {
    notify: command({
      body: Notice,
      from: '*',
      step: (_ctx, { body: { rev_reg_id, cred_rev_id, thread_id = `indy::${rev_reg_id}::${cred_rev_id}`, comment } }) => ({
        send: [{ type: 'revoke', body: { thread_id, comment } }],
      }),
    }),
  },
});

/** RFC 0721. */
export const revocationNotification2 = defineProtocol({
  name: 'revocation-notification-2.0',
  uris: ['https://didcomm.org/revocation_notification/2.0'],
  roles: ['issuer', 'holder'],
  binds: connection,
  stateless: true,
  messages: {
    revoke: {
      schema: Type.Object({
        revocation_format: Type.String({ maxLength: 100 }),
        credential_id: Type.String({ maxLength: 1000 }),
        comment: Comment,
      }),
      from: '*',
      step: (ctx, { body: { revocation_format, credential_id, comment }, pleaseAck, thid }) => ({
        send: pleaseAck ? [{ type: 'https://didcomm.org/notification/1.0/ack', thid, body: { status: 'OK' } }] : [],
        emit: ctx.settings.monitorRevocationNotification
          ? [
              {
                topic: 'revocation-notification-v2',
                payload: { revocation_format: revocation_format!, credential_id: credential_id!, comment: comment ?? null },
              },
            ]
          : [],
      }),
    },
  },
  commands: {
    notify: command({
      body: Notice,
      from: '*',
      step: (_ctx, { body: { rev_reg_id, cred_rev_id, comment } }) => ({
        send: [{ type: 'revoke', body: { revocation_format: FORMAT, credential_id: `${rev_reg_id}::${cred_rev_id}`, comment } }],
      }),
    }),
  },
});
