import type { MessageRefused } from '../didcomm/attachments.ts';
import { messageInUrl } from '../didcomm/invitation-url.ts';
import { parseJsonObject } from '../didcomm/safe-json.ts';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { WebDocuments } from '../ports/web.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * The invitation that a URL holds, or leads to (RFC 0434, "URL Shortening"): as JSON, or by one redirect to a URL that holds it, which is read and not followed.
 * @param tenant whose share of fetches at a time it is
 * @throws AppError `bad-request` where it holds and leads to none, `egress-refused`, `link-unavailable`
 */
export async function invitationAt(web: Pick<WebDocuments, 'get'>, tenant: string, url: string, maxBytes: number): Promise<JsonObject> {
  const refuse = (why: string): never => {
    throw new AppError('bad-request', `invitation_url: ${why}`);
  };
  const held = (text: string): JsonObject | undefined => {
    try {
      return messageInUrl(text)?.message as JsonObject | undefined;
    } catch (error) {
      return refuse((error as MessageRefused).reason);
    }
  };
  const there = held(url);
  if (there) return there;
  const { status, body, location } = await web.get(url, { accept: 'application/json', maxBytes, failure: 'link-unavailable', tenant });
  if (REDIRECTS.has(status))
    return (
      (location !== undefined && URL.canParse(location, url) && held(new URL(location, url).href)) ||
      refuse('it leads on to a URL that holds no invitation')
    );
  if (status !== 200) return refuse(`it leads to no invitation: the answer is ${status}`);
  try {
    return parseJsonObject(body, { maxBytes }) as JsonObject;
  } catch {
    return refuse('it leads to no JSON object');
  }
}
