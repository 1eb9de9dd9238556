import { contactOf, nameOf } from '../names.ts';
import type { Session } from '../session.ts';

/** `leave`: ends a connection. */
export async function leave({ api, terminal }: Session, args: readonly string[]): Promise<void> {
  if (args.length === 0) throw new Error('leave takes a contact: who shows them');
  const contact = await contactOf(api, args.join(' '));
  await api.remove(`/connections/${contact.connection_id}`);
  terminal.print(`No longer connected with ${nameOf(contact)}: nothing of theirs is taken any more.`);
}
