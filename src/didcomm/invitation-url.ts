import { MessageRefused } from './attachments.ts';
import { fromBase64 } from './encoding.ts';
import { parseJsonObject } from './safe-json.ts';

/** Where URLs hold messages: `oob` (RFC 0434), `c_i` (RFC 0160), `d_m` (RFC 0056). */
const PARAMETERS = ['oob', 'c_i', 'd_m'];

/**
 * The message that a URL holds, and the text that it is there; undefined where the URL has none of the parameters, as a short one.
 * @throws MessageRefused for a URL that is none, or a parameter that holds no JSON object in base64
 */
export function messageInUrl(given: string): { message: Record<string, unknown>; text: string } | undefined {
  if (!URL.canParse(given)) throw new MessageRefused('not a URL');
  const query = new URL(given).searchParams;
  const text = PARAMETERS.map((name) => query.get(name)).find((value) => value !== null);
  if (text === undefined || text === null) return undefined;
  // a plus that was not escaped reads as a space
  const bytes = fromBase64(text.replaceAll(' ', '+'));
  if (!bytes) throw new MessageRefused('the URL holds no base64');
  try {
    return { message: parseJsonObject(bytes), text };
  } catch {
    throw new MessageRefused('the URL holds no JSON object');
  }
}

/** The URL of an invitation, as ACA-Py makes it; the endpoint may have a query of its own. */
export const urlOfInvitation = (endpoint: string, invitation: object, parameter = 'oob'): string =>
  `${endpoint}${endpoint.includes('?') ? '&' : '?'}${parameter}=${Buffer.from(JSON.stringify(invitation)).toString('base64url')}`;
