import type { Body } from '../api.ts';
import { contactOf, nameOf } from '../names.ts';
import type { Session } from '../session.ts';

/** `ask`: sends a proof request to a contact. */

const COMPARISON = /^(.+?)(>=|<=|>|<)(-?\d{1,10})$/;

export async function ask({ api, terminal, mailbox, finish }: Session, args: readonly string[]): Promise<void> {
  const [contact, ...wishes] = args;
  if (contact === undefined || wishes.length === 0)
    throw new Error('ask takes a contact and what you want to know, as in: ask alice name "age>=18"');
  await mailbox();
  const to = await contactOf(api, contact);
  const made = await api.post('/present-proof-2.0/send-request', {
    connection_id: to.connection_id,
    presentation_request: { anoncreds: requestOf(wishes) },
  });
  terminal.print(`Asked ${nameOf(to)}.`);
  await finish('present_proof_v2_0', async () => {
    const record = await api.get(`/present-proof-2.0/records/${made.pres_ex_id}`);
    if (record.state === 'abandoned') throw new Error('they did not prove it');
    return record.state === 'done' ? record : undefined;
  });
}

/** A proof request. Every value must come out of a credential: self-attested ones do not count. */
function requestOf(wishes: readonly string[]): Body {
  const requested_attributes: Body = {};
  const requested_predicates: Body = {};
  const from = (name: string) => ({ restrictions: [{ [`attr::${name}::marker`]: '1' }] });
  for (const [at, wish] of wishes.entries()) {
    const [, name, p_type, bound] = COMPARISON.exec(wish) ?? [];
    if (name !== undefined) requested_predicates[`p${at}`] = { name, p_type, p_value: Number(bound), ...from(name) };
    else requested_attributes[`a${at}`] = { name: wish, ...from(wish) };
  }
  return { name: wishes.join(', ').slice(0, 200), version: '1.0', requested_attributes, requested_predicates };
}
