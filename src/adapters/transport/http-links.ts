import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../ports/log.ts';
import type { Door } from '../../ports/transport.ts';
import type { InboundGate } from './http-inbound.ts';

/** The target of a short link, by its code. */
export interface Links {
  open(
    code: string,
  ): Promise<
    { readonly state: 'open'; readonly invitation: object; readonly url: string } | { readonly state: 'used' | 'unknown' | 'locked' }
  >;
}

/** A longer URL does not fit in the headers that proxies let through: its invitation is answered as it is. */
const MAX_LOCATION = 3500;
const HELD = /[?&](?:oob|c_i|d_m)=/;

/** The code that a URL of the message port names, by `/i/<code>` or `?id=<code>`; undefined where it names none. */
export function codeIn(url: string | undefined): string | undefined {
  const [, path, query] = /^([^?]*)(?:\?(.*))?$/s.exec(url ?? '') ?? [];
  return /\/i\/([A-Za-z0-9_-]{1,64})$/.exec(path ?? '')?.[1] ?? /(?:^|&)id=([A-Za-z0-9_-]{1,64})(?:&|$)/.exec(query ?? '')?.[1];
}

/** The one of the two that a client prefers; undefined where it names neither. */
export function preferred(accept: string | undefined): 'json' | 'html' | undefined {
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

/** A page without script, style or picture, which nothing can be loaded by and nobody can put in a frame. */
function page(response: ServerResponse, status: number, title: string, ...paragraphs: readonly string[]): void {
  const body = [`<h1>${escaped(title)}</h1>`, ...paragraphs.map((text) => `<p>${text}</p>`)].join('\n');
  const html = `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>${escaped(title)}</title>\n${body}\n</html>\n`;
  send(response, status, html, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'referrer-policy': 'no-referrer',
  });
}

function send(response: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>>): void {
  response.writeHead(status, {
    ...headers,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    vary: 'accept',
  });
  // the body of an answer to HEAD is left out by the server
  response.end(body);
}

const SCAN = 'It is meant for a wallet app: open this address with one, or scan the QR code that it came as.';

/**
 * Answers a short link (RFC 0434, "URL Shortening"): the invitation as JSON where that is asked for, a page for a browser, else the way to the long URL. 404 for a
 * code that is none, 410 for an invitation that was used, 503 while its wallet is locked.
 */
async function answerLink(links: Links, code: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const link = await links.open(code);
  const wanted = preferred(request.headers.accept);
  if (link.state !== 'open') {
    const [status, text] = {
      used: [410, 'This invitation was used'] as const,
      unknown: [404, 'There is no such invitation'] as const,
      locked: [503, 'This invitation cannot be shown now'] as const,
    }[link.state];
    if (status === 503) response.setHeader('retry-after', '60');
    if (wanted === 'html') return page(response, status, text);
    return send(response, status, `${text}\n`, { 'content-type': 'text/plain; charset=utf-8' });
  }
  const { invitation, url } = link;
  if (wanted === 'html') {
    const { label, goal } = invitation as { label?: unknown; goal?: unknown };
    const who = typeof label === 'string' && label !== '' ? `${label.slice(0, 200)} invites you` : 'An invitation';
    const why = typeof goal === 'string' && goal !== '' ? [escaped(goal.slice(0, 1000))] : [];
    const app = `didcomm://invite${url.slice(url.indexOf('?'))}`;
    return page(response, 200, who, ...why, SCAN, `<a href="${escaped(app)}">Open in a wallet on this device</a>`);
  }
  if (wanted === 'json' || url.length > MAX_LOCATION)
    return send(response, 200, JSON.stringify(invitation), { 'content-type': 'application/json' });
  send(response, 302, '', { location: url });
}

/** The answer of the message port to GET and HEAD: the target of a short link, and otherwise a line about the port. Links are looked up within the limits of messages. */
export function show(
  request: IncomingMessage,
  response: ServerResponse,
  { links, gate, door, log }: { readonly links?: Links; readonly gate: InboundGate; readonly door: Door; readonly log: Log },
): void {
  const plain = (status: number, text: string): void => send(response, status, text, { 'content-type': 'text/plain' });
  const code = links && codeIn(request.url);
  if (!links || code === undefined) {
    // the long URL of an invitation holds anybody's text, and is not shown
    if (HELD.test(request.url ?? '') && preferred(request.headers.accept) === 'html') page(response, 200, 'An invitation', SCAN);
    else plain(200, 'This is a DIDComm endpoint: POST messages to it.\n');
    return;
  }
  const slow = !gate.mayCome(door.nameOf(request));
  if (slow || gate.full) {
    response.setHeader('retry-after', '1');
    plain(slow ? 429 : 503, '');
    return;
  }
  gate.enter();
  answerLink(links, code, request, response)
    .catch((error: unknown) => {
      log.error({ err: error }, 'a short link could not be answered');
      if (!response.headersSent) plain(503, '');
    })
    .finally(gate.leave);
}
