import { jsonOf } from '../../kernel/json.ts';
import { compact, loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import { credentialRevocation } from '../../records/credential-revocation.ts';
import { Flag, Id, Text } from './members.ts';
import { ownerFamily } from './owner-family.ts';
import type { OwnerRevocation } from './work.ts';

/** How long an answer waits for the ledger. */
const PUBLISHED_MS = 60_000;

const Common = {
  publish: Flag,
  notify: Flag,
  notify_version: Type.Optional(Type.Union([Type.Literal('v1_0'), Type.Literal('v2_0')])),
  connection_id: Type.Optional(Id),
  thread_id: Type.Optional(Id),
  comment: Text,
};

/** Revocation by an owner's message; the toolbox has no family for it. Its members are those of `POST /anoncreds/revocation/revoke`. */
export const adminRevocation = ownerFamily({
  name: 'admin-revocation',
  toolbox: false,
  orders: {
    revoke: {
      schema: Type.Union([
        Type.Object({ cred_ex_id: Id, ...Common }),
        Type.Object({ rev_reg_id: Id, cred_rev_id: Type.String({ pattern: '^[1-9][0-9]{0,8}$' }), ...Common }),
      ]),
      order(ctx, { body }) {
        const { cred_ex_id, rev_reg_id, cred_rev_id, publish = false, notify_version: version = 'v1_0' } = body;
        const { connection_id, thread_id, comment } = body;
        const notified = body.notify ?? ctx.settings.notifyRevocation;
        const input: OwnerRevocation = {
          ...(cred_ex_id === undefined
            ? { rev_reg_id: rev_reg_id as string, cred_rev_id: cred_rev_id as string }
            : { cred_ex_id: cred_ex_id as string }),
          publish: publish as boolean,
          ...(notified && { notice: { version, ...compact({ connection_id, thread_id, comment }) } as OwnerRevocation['notice'] }),
          until: ctx.now + PUBLISHED_MS,
        };
        return { op: 'owner/revoke', input: jsonOf(input) };
      },
      reply: 'revoked',
      answer: (revocation) => revocation,
      keeps: ['cred_ex_id', 'rev_reg_id', 'cred_rev_id', 'state'],
    },
  },
  lists: {
    'get-status': {
      schema: Type.Object({ cred_ex_id: Id }),
      rows: ({ body }) => ({
        category: credentialRevocation.category,
        query: { tags: { cred_ex_id: body.cred_ex_id as string }, limit: 10 },
      }),
      reply: 'status',
      answer: (_ctx, rows) => ({ results: rows.map((row) => credentialRevocation.view(loadedRecord(row))) }),
    },
  },
});
