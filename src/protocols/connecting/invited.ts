import type { Effects, NextCommand } from '../../kernel/effects.ts';
import type { CommandStep, StepContext } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import { type ConnectionValue, connection, invitationMediated } from '../../records/connection.ts';

/** Changes that the handshakes make to the connection of an invitation. */

/** A connection is complete: nobody writes to the key of its invitation any more. */
export const completed = ({ value }: LoadedRecord<ConnectionValue>): { patch: Partial<ConnectionValue>; deregisterKeys: string[] } => ({
  patch: { invitation_mediated: undefined },
  deregisterKeys: invitationMediated(value),
});

/** The commands that follow a request. @param id of its connection */
export const nextOfRequest = (ctx: StepContext, { accept }: Partial<ConnectionValue>, id: string): readonly NextCommand[] =>
  ctx.auto('connection-request', {
    message: 'request',
    automatic: accept === 'auto',
    accept: 'accept-request',
    reject: 'decline',
    record: { category: connection.category, id },
  });

/** The commands that follow an invitation. */
export const nextOfInvitation = (
  ctx: StepContext,
  automatic: boolean,
  of: { protocol?: string; record?: NextCommand['record'] } = {},
): readonly NextCommand[] =>
  ctx.auto('connection-invitation', { message: 'invitation', automatic, accept: 'accept-invitation', reject: 'decline', ...of });

/** The end of a handshake that a rule or an owner has declined. */
export const decline: CommandStep<ConnectionValue> = {
  from: ['invitation', 'request'],
  step(ctx) {
    const { value } = ctx.record!;
    const text = 'The request was declined';
    return {
      record: { states: ['error'], patch: { error_msg: text } },
      problem: value.their_keys ? { code: 'request_not_accepted', text, thid: value.request_id } : undefined,
    };
  },
};

/**
 * A request for an invitation: it takes the invitation's own record, or begins one where the invitation is of many uses.
 * @param used what comes of the invitation itself
 */
export function requested(
  ctx: StepContext<ConnectionValue>,
  patch: Partial<ConnectionValue>,
  used: Pick<Effects, 'others' | 'emit'>,
): Effects {
  const invited = ctx.record!;
  const multi = invited.value.invitation_mode === 'multi';
  const id = multi ? ctx.newId() : invited.id;
  const next = nextOfRequest(ctx, invited.value, id);
  if (!multi) return { record: { states: ['request'], patch }, ...used, next };
  const value: ConnectionValue = { ...invited.value, ...patch, invitation_mode: 'once' };
  return { ...used, others: [{ def: connection, id, role: 'inviter', states: ['request'], patch: value }, ...(used.others ?? [])], next };
}
