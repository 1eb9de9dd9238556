import { urlOfInvitation } from '../didcomm/invitation-url.ts';
import { checkedAs } from '../kernel/json.ts';
import { defineProtocol } from '../kernel/protocol.ts';
import type { Params, PublicContext } from '../kernel/public-route.ts';
import { LINK, linkName } from '../kernel/short-links.ts';
import type { JsonObject } from '../ports/json.ts';
import type { PublicAnswer, PublicRequest } from '../ports/public.ts';
import { type OutOfBandValue, outOfBand } from '../records/out-of-band.ts';

/** 128 random bits in base64url: nobody finds one that was not given to them. */
const CODE = /^[A-Za-z0-9_-]{22}$/;
/** A longer URL does not fit in the headers that proxies let through: its invitation is answered as it is. */
const MAX_LOCATION = 3500;
const HELD = ['oob', 'c_i', 'd_m'];
const SCAN = 'It is meant for a wallet app: open this address with one, or scan the QR code that it came as.';

/**
 * Short links to invitations (RFC 0434, "URL Shortening"): the invitation as JSON where that is asked for, a page for a browser, else the way to the long URL. 404 for
 * an unknown code, 410 for an invitation that was used, 503 while its wallet is locked. The long URL has a page for browsers too, without what it holds.
 */
export const shortLinks = defineProtocol<OutOfBandValue>({
  name: 'short-link',
  uris: [],
  binds: outOfBand,
  stateless: true,
  messages: {},
  publicRoutes: [
    {
      route: 'GET /i/{code}',
      also: codeIn,
      owner: { kind: LINK, name: ({ code }) => (CODE.test(code ?? '') ? linkName(code!) : undefined) },
      unowned: (request) => sentence(request, 404, 'There is no such invitation'),
      locked: (request) => sentence(request, 503, 'This invitation cannot be shown now', { 'retry-after': '60' }),
      handle: open,
    },
    {
      route: 'GET /i',
      also: (_path, query) => (HELD.some((name) => query.has(name)) ? {} : undefined),
      // the long URL of an invitation holds anybody's text, and is not shown
      handle: (_ctx, request) =>
        HELD.some((name) => request.query.has(name)) && preferred(request) === 'html' ? page(200, 'An invitation', SCAN) : undefined,
    },
  ],
});

async function open(ctx: PublicContext, request: PublicRequest): Promise<PublicAnswer> {
  const [[row] = []] = await ctx.load([{ category: outOfBand.category, id: ctx.target! }]);
  if (!row) return sentence(request, 404, 'There is no such invitation');
  const { invitation, connection_id } = checkedAs<{ invitation: JsonObject; connection_id?: string }>(row.value);
  const [[made] = []] = connection_id ? await ctx.load([{ category: 'connection', id: connection_id }]) : [];
  // the connection that it would become may have been deleted
  if (row.state !== 'await-response' || (connection_id && !made)) return sentence(request, 410, 'This invitation was used');
  const url = urlOfInvitation(ctx.settings.endpoint, invitation);
  const wanted = preferred(request);
  if (wanted === 'html') {
    const { label, goal } = invitation;
    const who = typeof label === 'string' && label !== '' ? `${label.slice(0, 200)} invites you` : 'An invitation';
    const why = typeof goal === 'string' && goal !== '' ? [escaped(goal.slice(0, 1000))] : [];
    const app = `didcomm://invite${url.slice(url.indexOf('?'))}`;
    return page(200, who, ...why, SCAN, `<a href="${escaped(app)}">Open in a wallet on this device</a>`);
  }
  if (wanted === 'json' || url.length > MAX_LOCATION)
    return { status: 200, headers: { 'content-type': 'application/json', vary: 'accept' }, body: JSON.stringify(invitation) };
  return { status: 302, headers: { location: url, vary: 'accept' } };
}

/** The code that a URL names, by `/i/<code>` at the end of any path, or by `?id=<code>`. */
function codeIn(path: string, query: URLSearchParams): Params | undefined {
  const code = /\/i\/([A-Za-z0-9_-]{1,64})$/.exec(path)?.[1] ?? query.get('id') ?? '';
  return /^[A-Za-z0-9_-]{1,64}$/.test(code) ? { code } : undefined;
}

/** The one of the two that a client prefers; undefined where it names neither. */
function preferred({ headers: { accept } }: PublicRequest): 'json' | 'html' | undefined {
  const weightOf = (type: string): number => {
    const named = (accept ?? '').split(',').find((part) => part.split(';')[0]!.trim().toLowerCase() === type);
    if (named === undefined) return 0;
    const weight = Number(/;\s*q=([0-9.]+)/i.exec(named)?.[1] ?? 1);
    return Number.isFinite(weight) ? weight : 0;
  };
  const [json, html] = [weightOf('application/json'), weightOf('text/html')];
  if (json > 0 && json >= html) return 'json';
  return html > 0 ? 'html' : undefined;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]!);

/** One sentence, as a page or as text. */
function sentence(request: PublicRequest, status: number, text: string, headers: Readonly<Record<string, string>> = {}): PublicAnswer {
  const answer = preferred(request) === 'html' ? page(status, text) : { status, headers: { vary: 'accept' }, body: `${text}\n` };
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

/** A page without script, style or picture, which nothing can be loaded by and nobody can put in a frame. */
function page(status: number, title: string, ...paragraphs: readonly string[]): PublicAnswer {
  const body = [`<h1>${escaped(title)}</h1>`, ...paragraphs.map((text) => `<p>${text}</p>`)].join('\n');
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      'referrer-policy': 'no-referrer',
      vary: 'accept',
    },
    body: `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>${escaped(title)}</title>\n${body}\n</html>\n`,
  };
}
