import type { Body } from '../api.ts';
import type { Kind } from '../cards.ts';
import { contactOf, nameOf } from '../names.ts';
import type { Session } from '../session.ts';
import { quoted } from '../text.ts';

/** `offers` and `share`: open questions one after the other, also those that were put off. */

async function askAll({ questions, terminal }: Session, kind: Kind, wait: boolean): Promise<void> {
  const asked = new Set<string>();
  if (wait) await questions.come(kind);
  for (;;) {
    const question = (await questions.open(kind)).find(({ id }) => !asked.has(id));
    if (!question) break;
    asked.add(question.id);
    if ((await questions.ask(question)) === undefined) return;
  }
  if (asked.size === 0) terminal.print(kind === 'offer' ? 'Nothing is offered to you now.' : 'Nobody asks you for a proof now.');
}

export async function offers(session: Session, args: readonly string[]): Promise<void> {
  if (args.length > 1 || (args.length === 1 && args[0] !== 'wait')) throw new Error('offers takes nothing, or the word wait');
  await askAll(session, 'offer', args[0] === 'wait');
}

/** Without words behind it: requests for proof. With a contact and names: a proposal of a presentation. */
export async function share(session: Session, args: readonly string[]): Promise<void> {
  const [contact, ...names] = args;
  if (contact === undefined || (contact === 'wait' && names.length === 0)) return await askAll(session, 'request', contact === 'wait');
  if (names.length === 0) throw new Error('share takes a contact and the names of values in your wallet, as in: share acme name degree');
  const { api, terminal } = session;
  const to = await contactOf(api, contact);
  const { results } = await api.get('/credentials?limit=1000');
  const requested_attributes = Object.fromEntries(names.map((name) => [name, asked(results, name)]));
  await api.post('/present-proof-2.0/send-proposal', {
    connection_id: to.connection_id,
    presentation_proposal: { anoncreds: { name: 'proposed by its owner', version: '1.0', requested_attributes, requested_predicates: {} } },
  });
  terminal.print(`Proposed to ${nameOf(to)}: what they ask for then comes as a question.`);
}

/** An attribute of a credential in the wallet, in the form of a proof request. */
function asked(credentials: readonly Body[], name: string): Body {
  const held = credentials.find(({ attrs }) => Object.keys(attrs ?? {}).some((one) => one.toLowerCase() === name.toLowerCase()));
  if (!held) throw new Error(`no credential in your wallet has ${quoted(name)}: wallet shows them`);
  return { name, restrictions: [{ cred_def_id: held.cred_def_id }] };
}
