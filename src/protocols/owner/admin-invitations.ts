import { compact, isoTime, loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type OutOfBandValue, outOfBand } from '../../records/out-of-band.ts';
import { Flag, Id, PAGE, pageOf } from './members.ts';
import { ownerFamily } from './owner-family.ts';

/** The toolbox's admin-invitations 0.1, over out-of-band: an invitation names every handshake of this agent. */
export const adminInvitations = ownerFamily({
  name: 'admin-invitations',
  toolbox: true,
  orders: {
    create: {
      schema: Type.Object({
        label: Type.Optional(Type.String({ maxLength: 500 })),
        alias: Type.Optional(Type.String({ maxLength: 500 })),
        auto_accept: Flag,
        multi_use: Flag,
        mediation_id: Type.Optional(Id),
      }),
      order(ctx, { body }) {
        const { label: my_label, alias, mediation_id, auto_accept = false, multi_use = false } = body;
        return {
          protocol: 'out-of-band',
          command: 'create-invitation',
          body: compact({ my_label, alias, mediation_id, handshake_protocols: [...ctx.declared.handshakes.keys()] }),
          query: { auto_accept: String(auto_accept), multi_use: String(multi_use) },
        };
      },
      reply: 'invitation',
      answer: ({ oob_id, invi_msg_id, invitation, invitation_url }) => {
        const { label } = invitation as JsonObject;
        return compact({ id: oob_id, invi_msg_id, label, invitation_url, raw_repr: { invitation } });
      },
      keeps: ['id', 'invi_msg_id'],
    },
  },
  lists: {
    'get-list': {
      schema: Type.Object(PAGE),
      rows: (message) => ({ category: outOfBand.category, query: { state: 'await-response', role: 'sender', ...pageOf(message) } }),
      reply: 'list',
      answer: (_ctx, rows) => ({
        results: rows.map((row) => {
          const { id, created, value } = loadedRecord<OutOfBandValue>(row);
          const { multi_use, auto_accept, invi_msg_id, invitation } = value;
          const { label } = invitation as JsonObject;
          return compact({ id, invi_msg_id, label, multi_use, auto_accept, created_date: isoTime(created), raw_repr: { invitation } });
        }),
      }),
    },
  },
});
