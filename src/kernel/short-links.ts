import { urlOfInvitation } from '../didcomm/invitation-url.ts';
import { isLocked } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Kernel } from './context.ts';
import type { OwnRoute, Settings } from './protocol.ts';

/** Short links to invitations of ours (RFC 0434, "URL Shortening"): the message port serves what they lead to. */

/** The kind of route that a short link has. */
const LINK = 'link';
/** 128 random bits in base64url: nobody finds one that was not given to them. */
const CODE = /^[A-Za-z0-9_-]{22}$/;
const OUT_OF_BAND = 'oob_record';

/** What a code is called in the table of routes: no key has such a name. */
const linkName = (code: string): string => `link ${code}`;

/** A link's way to its invitation, as the step that makes one returns it. */
export const linkRoute = (code: string, record: string): OwnRoute => ({ kid: linkName(code), kind: LINK, target: record });

/** The names that go with an invitation that is deleted. */
export const linkNames = (code: unknown): string[] => (typeof code === 'string' ? [linkName(code)] : []);

/** A code from 128 random bits in hex. */
export const linkCode = (token: string): string => Buffer.from(token, 'hex').toString('base64url');

/** A short link at our own first HTTP address; undefined where there is none. */
export function shortUrl({ endpoint, moreEndpoints }: Pick<Settings, 'endpoint' | 'moreEndpoints'>, code: string): string | undefined {
  const own = [endpoint, ...moreEndpoints].find((one) => /^https?:/i.test(one));
  if (own === undefined) return undefined;
  return own.includes('?') ? `${own}&id=${code}` : `${own.replace(/\/$/, '')}/i/${code}`;
}

/** What a short link leads to: an invitation and its long URL; or that it was used, that there is none, or that its wallet is locked now. */
export type Link =
  | { readonly state: 'open'; readonly invitation: JsonObject; readonly url: string }
  | { readonly state: 'used' | 'unknown' | 'locked' };

/** Looks up what a code leads to, whosever tenant's it is. */
export async function openLink(kernel: Kernel, code: string): Promise<Link> {
  const route = CODE.test(code) ? await kernel.db.store.route(linkName(code)) : undefined;
  if (route?.kind !== LINK) return { state: 'unknown' };
  const { tenant, target } = route;
  try {
    const { store } = kernel.db;
    const [[row] = []] = await store.load(tenant, [{ category: OUT_OF_BAND, id: target }]);
    if (!row) return { state: 'unknown' };
    const { invitation, connection_id } = row.value as { invitation: JsonObject; connection_id?: string };
    const [[made] = []] = connection_id ? await store.load(tenant, [{ category: 'connection', id: connection_id }]) : [];
    // the connection that it would become may have been deleted
    if (row.state !== 'await-response' || (connection_id && !made)) return { state: 'used' };
    const { settings } = await kernel.profiles.of(tenant);
    return { state: 'open', invitation, url: urlOfInvitation(settings.endpoint, invitation) };
  } catch (error) {
    if (isLocked(error)) return { state: 'locked' };
    if (await kernel.profiles.gone(tenant, error)) return { state: 'unknown' };
    throw error;
  }
}
