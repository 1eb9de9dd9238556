import type { Effects } from '../../kernel/effects.ts';
import type { StepContext } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import { type ConnectionValue, connection, invitationMediated } from '../../records/connection.ts';

/** Changes that the handshakes make to the connection of an invitation. */

/** A connection is complete: nobody writes to the key of its invitation any more. */
export const completed = ({ value }: LoadedRecord<ConnectionValue>): { patch: Partial<ConnectionValue>; deregisterKeys: string[] } => ({
  patch: { invitation_mediated: undefined },
  deregisterKeys: invitationMediated(value),
});

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
  const next = invited.value.accept === 'auto' ? [{ command: 'accept-request', record: { category: connection.category, id } }] : [];
  if (!multi) return { record: { states: ['request'], patch }, ...used, next };
  const value: ConnectionValue = { ...invited.value, ...patch, invitation_mode: 'once' };
  return { ...used, others: [{ def: connection, id, role: 'inviter', states: ['request'], patch: value }, ...(used.others ?? [])], next };
}
