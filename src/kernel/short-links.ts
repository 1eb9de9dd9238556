import type { NewKeyOwner } from './effects.ts';
import type { Settings } from './settings.ts';

/** Short links to invitations of ours (RFC 0434, "URL Shortening"): `resources/short-link.ts` serves them. */

/** The `kind` of a short link's name. */
export const LINK = 'link';

/** The name under which a code's owner is stored; no key has such a name. */
export const linkName = (code: string): string => `link ${code}`;

/** A link's way to its invitation, as the step that makes one returns it. */
export const linkOwner = (code: string, record: string): NewKeyOwner => ({ kid: linkName(code), kind: LINK, target: record });

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
