import type { Api, Body } from './api.ts';
import { plain, quoted } from './text.ts';

/** Names for people: of contacts and of credentials. */

/** A test for the connection with the mailbox. */
const isMailbox = async (api: Api): Promise<(id: string) => boolean> => {
  const { results } = await api.get('/mediation/requests');
  const ids = new Set(results.map((one: Body) => one.connection_id));
  return (id) => ids.has(id);
};

/** All connections but the one with the mailbox, the oldest first. */
export async function contacts(api: Api): Promise<Body[]> {
  const [{ results }, mailbox] = await Promise.all([api.get('/connections?limit=1000'), isMailbox(api)]);
  return results.filter((one: Body) => !mailbox(one.connection_id)).sort((a: Body, b: Body) => (a.created_at < b.created_at ? -1 : 1));
}

/** The name that a contact gave itself. Nobody has checked it. */
export const nameOf = (contact: Body): string => quoted(contact.their_label || contact.alias || 'no name', 60);

/**
 * The contact with this number in the list, or with this name or a part of it.
 * @throws Error in one clause for none and for several
 */
export async function contactOf(api: Api, word: string): Promise<Body> {
  const whole = await contacts(api);
  const numbered = /^\d+$/.test(word) ? whole[Number(word) - 1] : undefined;
  if (numbered) return numbered;
  const all = whole.filter(({ state }) => state === 'active');
  const wanted = word.toLowerCase();
  const label = (one: Body): string => plain(one.their_label ?? one.alias ?? '').toLowerCase();
  const exact = all.filter((one) => label(one) === wanted);
  const found = exact.length > 0 ? exact : all.filter((one) => label(one).includes(wanted));
  if (found.length === 1) return found[0];
  if (found.length === 0) throw new Error(`nobody whom you are connected with is called ${quoted(word)}: who shows your contacts`);
  throw new Error(`${found.length} contacts are called ${quoted(word)}: give the number that who shows`);
}

export interface Named {
  /** The name of its schema, in quotes; its id where the ledger does not answer. */
  readonly name: string;
  /** The DID of its issuer; undefined where the ledger does not answer. */
  readonly issuer?: string;
}

const known = new Map<string, Named>();
const MOST_KNOWN = 1000;

/** The name and the issuer of a kind of credential, by the ledger and not by the word of a peer. */
export async function nameOfCredential(api: Api, credDefId: string): Promise<Named> {
  const there = known.get(credDefId);
  if (there) return there;
  try {
    const { credential_definition: definition } = await api.get(`/anoncreds/credential-definition/${encodeURIComponent(credDefId)}`);
    const { schema } = await api.get(`/anoncreds/schema/${encodeURIComponent(definition.schemaId)}`);
    const named = { name: `${quoted(schema.name)} ${plain(schema.version, 20)}`, issuer: plain(definition.issuerId) };
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(credDefId, named);
    return named;
  } catch {
    return { name: quoted(credDefId, 200) };
  }
}

/** A time in the zone of the person. */
export const timeOf = (iso: string): string => {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? plain(iso, 30) : at.toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
};
