import { didKeyToVerkey, looksLikeVerkey } from '../didcomm/encoding.ts';
import { messageInUrl, urlOfInvitation } from '../didcomm/invitation-url.ts';
import { AppError, asAppError } from '../errors.ts';
import { checkedAs } from '../kernel/json.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import type { Params, PublicContext } from '../kernel/public-route.ts';
import { LINK, linkCode, linkName, linkOwner, shortUrl } from '../kernel/short-links.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { PublicAnswer, PublicRequest } from '../ports/public.ts';
import type { StoredRecord } from '../ports/store.ts';
import { isOurs, outOfBand } from '../records/out-of-band.ts';
import { type ShortLinkValue, shortLink } from '../records/short-link.ts';
import { landingPage, languageOf, sentencePage } from '../web/landing.ts';

/** 128 random bits in base64url: nobody finds one that was not given to them. */
const CODE = /^[A-Za-z0-9_-]{22}$/;
/** A longer URL does not fit in the headers that proxies let through: its invitation is answered as it is. */
const MAX_LOCATION = 3500;
const HELD = ['oob', 'c_i', 'd_m'];
const MAX_SECONDS = 10 * 365 * 24 * 3600;

/**
 * Short links to invitations (RFC 0434, "URL Shortening"): the invitation as JSON where that is asked for, a landing page for a browser, else the way to the long URL.
 * 404 for an unknown code, 410 for an invitation that was used or a link that has ended, 503 while its wallet is locked. The long URL has a landing page too, with the
 * texts of our own invitations alone. An invitation has one link by itself; a controller makes others, with an end and a number of uses.
 */
export const shortLinks = defineProtocol<ShortLinkValue>({
  name: 'short-link',
  uris: [],
  binds: shortLink,
  messages: {},
  commands: {
    create: command({
      route: 'POST /short-links',
      tag: 'out-of-band',
      summary: 'Make another short link to an invitation, with an end and a number of uses',
      body: Type.Object({
        oob_id: Type.String({ minLength: 1, maxLength: 100 }),
        expires_in: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_SECONDS })),
        max_uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
      }),
      from: [NEW],
      load: ({ body }) => ({ invitation: { category: outOfBand.category, id: body.oob_id } }),
      step(ctx, { body }) {
        const row = ctx.loaded.invitation;
        if (!row || !isOurs(row))
          throw new AppError('not-found', `Record not found: ${outOfBand.category}/${body.oob_id}. WALLET_ITEM_NOT_FOUND`);
        if (row.state !== 'await-response') throw new AppError('bad-request', 'This invitation was used');
        const code = linkCode(ctx.newToken());
        const url = shortUrl(ctx.settings, code);
        if (url === undefined) throw new AppError('bad-request', 'This agent has no HTTP address that a short link could lead to');
        const id = ctx.newId();
        const patch: ShortLinkValue = {
          oob_id: body.oob_id,
          code,
          short_url: url,
          ends: body.expires_in === undefined ? undefined : ctx.now + body.expires_in * 1000,
          max_uses: body.max_uses,
          uses: 0,
        };
        return { record: { id, states: ['open'], patch }, keyOwners: [linkOwner(code, id)] };
      },
    }),
    /** One use of a link that counts them. */
    use: {
      from: ['open'],
      step(ctx) {
        const { uses, max_uses: most } = checkedAs<ShortLinkValue>(ctx.record!.value);
        const next = uses + 1;
        return { record: { states: most !== undefined && next >= most ? ['used'] : undefined, patch: { uses: next } } };
      },
    },
  },
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
      also: heldIn,
      // an invitation of ours is known by its key; the texts of any other are its maker's alone, and are not shown under our name
      owner: { kind: 'invitation', name: ({ key }) => (key === '' ? undefined : key) },
      unowned: strange,
      locked: strange,
      handle: openLong,
    },
  ],
});

/** The invitation that a target leads to, and the link where it is not the invitation's own. */
async function targetOf(ctx: PublicContext): Promise<{ row?: StoredRecord; link?: StoredRecord }> {
  const id = ctx.target!;
  const [[own] = [], [link] = []] = await ctx.load([
    { category: outOfBand.category, id },
    { category: shortLink.category, id },
  ]);
  if (!link) return { row: own };
  const [[row] = []] = await ctx.load([{ category: outOfBand.category, id: shortLink.of(link).value.oob_id }]);
  return { row, link };
}

/** Whether an invitation can still be taken; the connection that it would become may have been deleted. */
async function isOpen(ctx: PublicContext, row: StoredRecord): Promise<boolean> {
  const { connection_id: id } = outOfBand.of(row).value;
  const [[made] = []] = id ? await ctx.load([{ category: 'connection', id }]) : [];
  return row.state === 'await-response' && (id === undefined || made !== undefined);
}

async function open(ctx: PublicContext, request: PublicRequest): Promise<PublicAnswer> {
  const { row, link } = await targetOf(ctx);
  if (!row) return sentence(request, 404, 'There is no such invitation');
  if (!(await isOpen(ctx, row))) return sentence(request, 410, 'This invitation was used');
  const { ends, max_uses: most, short_url: given } = link ? shortLink.of(link).value : ({} as Partial<ShortLinkValue>);
  if (link?.state === 'used' || (ends !== undefined && ends <= ctx.now)) return sentence(request, 410, 'This link has ended');
  const { invitation, short } = outOfBand.of(row).value;
  const url = urlOfInvitation(ctx.settings.endpoint, invitation);
  const wanted = preferred(request);
  if (wanted === 'html')
    return landing(ctx, request, invitation as JsonObject, given ?? (short && shortUrl(ctx.settings, short)) ?? url, url);
  // a look at the page, or at the headers alone, is no use
  if (most !== undefined && request.method !== 'HEAD') {
    try {
      await ctx.call('short-link', 'use', { record: link!.id, input: { body: {}, query: {} } });
    } catch (error) {
      if (asAppError(error).code === 'wrong-state') return sentence(request, 410, 'This link has ended');
      throw error;
    }
  }
  if (wanted === 'json' || url.length > MAX_LOCATION)
    return { status: 200, headers: { 'content-type': 'application/json', vary: 'accept' }, body: JSON.stringify(invitation) };
  return { status: 302, headers: { location: url, vary: 'accept' } };
}

/** The page of a long URL whose invitation is ours, with the texts as they are stored: the URL may have been changed. */
async function openLong(ctx: PublicContext, request: PublicRequest): Promise<PublicAnswer | undefined> {
  if (preferred(request) !== 'html') return undefined;
  const { row } = await targetOf(ctx);
  if (row?.role !== 'sender') return strange(request);
  const { invitation } = outOfBand.of(row).value;
  if (heldBy(request)?.message['@id'] !== invitation['@id']) return strange(request);
  if (!(await isOpen(ctx, row))) return sentence(request, 410, 'This invitation was used');
  const url = urlOfInvitation(ctx.settings.endpoint, invitation);
  return landing(ctx, request, invitation as JsonObject, url, url);
}

/** The page of a long URL that is not known to be ours; undefined for who wants no page. */
function strange(request: PublicRequest): PublicAnswer | undefined {
  if (preferred(request) !== 'html') return undefined;
  const name = HELD.find((one) => request.query.has(one))!;
  const held = heldBy(request);
  if (!held) return sentencePage(200, 'An invitation');
  const app = appLink(name, held.text);
  return landingPage({ url: app, app }, languageOf(request.headers['accept-language']));
}

function landing({ settings }: PublicContext, { headers }: PublicRequest, invitation: JsonObject, url: string, long: string): PublicAnswer {
  const { label, goal } = invitation;
  const { walletOrigin } = settings;
  const facts = {
    label: typeof label === 'string' ? label : undefined,
    goal: typeof goal === 'string' ? goal : undefined,
    url,
    app: appLink('oob', new URL(long).searchParams.get('oob')!),
    // behind the mark, so that it reaches no log of a server
    wallet: walletOrigin && `${walletOrigin}/#invitation=${encodeURIComponent(url)}`,
  };
  return landingPage(facts, languageOf(headers['accept-language']));
}

const appLink = (name: string, text: string): string => `didcomm://invite?${name}=${encodeURIComponent(text)}`;

/** The message in a long URL, and its text there; undefined where it holds none. */
function heldBy({ url }: Pick<PublicRequest, 'url'>): ReturnType<typeof messageInUrl> {
  try {
    return messageInUrl(`http://host${url.slice(url.indexOf('?') < 0 ? url.length : url.indexOf('?'))}`);
  } catch {
    return undefined;
  }
}

/** The first key of the invitation in a long URL, empty where none can be read; undefined for other URLs. */
function heldIn(_path: string, query: URLSearchParams): Params | undefined {
  if (!HELD.some((name) => query.has(name))) return undefined;
  const { message } = heldBy({ url: `?${query}` }) ?? {};
  const services = message?.services;
  const first: unknown = Array.isArray(services) ? services[0] : message;
  const keys = (first as { recipientKeys?: unknown } | null | undefined)?.recipientKeys;
  const key: unknown = Array.isArray(keys) ? keys[0] : undefined;
  if (typeof key !== 'string' || key.length > 200) return { key: '' };
  return { key: looksLikeVerkey(key) ? key : (didKeyToVerkey(key) ?? '') };
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

/** One sentence, as a page or as text. */
function sentence(request: PublicRequest, status: number, text: string, headers: Readonly<Record<string, string>> = {}): PublicAnswer {
  const answer = preferred(request) === 'html' ? sentencePage(status, text) : { status, headers: { vary: 'accept' }, body: `${text}\n` };
  return { ...answer, headers: { ...answer.headers, ...headers } };
}
