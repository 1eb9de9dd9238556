import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { AppError } from '../errors.ts';

/** The headers for browsers, and the refusal of requests that a foreign page may have made a browser send. */
export interface BrowserRules {
  /** The headers by which a page of a configured origin may read an answer; nothing for any other. */
  cors(origin: string | undefined, asked?: string): Record<string, string>;
  /**
   * Refuses what a foreign web page may have a browser do, where there is no key that the page would have to know.
   * @throws AppError `forbidden` for a foreign `Host` or origin, `unsupported-media-type` for a body that a page may send unasked
   */
  admit(request: Pick<IncomingMessage, 'method' | 'url' | 'headers'> & { readonly socket: { readonly localAddress?: string } }): void;
}

export interface BrowserOptions {
  /** Origins whose pages may call, as in `https://console.example`; `*` for all. */
  readonly origins: readonly string[];
  /** Whether nothing but the address decides who may call. */
  readonly insecure: boolean;
  /** The address that the admin API is bound to, and names under which it is called too. */
  readonly hosts: readonly string[];
}

const METHODS = 'GET, POST, PUT, PATCH, DELETE, OPTIONS';
/** The pages for people: who follows a link to them from another site reads them, that site does not. */
const PAGES = ['/', '/api/doc', '/console', '/console/'];
const LOOPBACK_NAME = /^(?:[a-z0-9-]+\.)*localhost$/;

/** The name or address in a `Host` header, without brackets and port, in small letters. */
function nameOf(host: string): string | undefined {
  if (!/^[\w.:[\]-]{1,255}$/.test(host) || !URL.canParse(`http://${host}/`)) return undefined;
  return new URL(`http://${host}/`).hostname.replace(/^\[|\]$/g, '');
}

const isLoopback = (name: string): boolean => LOOPBACK_NAME.test(name) || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));

/** Whether a body comes with the request: whoever sends none needs no type for it. */
const hasBody = ({ 'content-length': length, 'transfer-encoding': coded }: IncomingHttpHeaders): boolean =>
  coded !== undefined || (length !== undefined && length !== '0');

/** A page sends these only after a preflight (Fetch Standard, CORS-safelisted request-header), which is not granted. */
const isJson = (type: string | undefined): boolean => /^\s*application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i.test(type ?? '');

/**
 * With a key a page can do nothing, since it does not know it: it only may not read answers unless its origin is configured. Without one the browser of whoever
 * can reach the agent would lend every page its reach: there `Host` must be a name of this agent (a foreign name that resolves to loopback is none), the page one
 * of the agent's own or of a configured origin, and a body JSON, for which a browser asks first.
 */
export function browserRules({ origins, insecure, hosts }: BrowserOptions): BrowserRules {
  const any = origins.includes('*');
  const configured = new Set(origins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
  const known = new Set(hosts.map((host) => nameOf(isIP(host) === 6 ? `[${host}]` : host) ?? host.toLowerCase()));
  const isConfigured = (origin: string): boolean => any || configured.has(origin.toLowerCase());

  function isOwnName(host: string, localAddress = ''): boolean {
    const name = nameOf(host);
    if (name === undefined) return false;
    return isLoopback(name) || known.has(name) || name === localAddress.replace(/^::ffff:(?=\d+\.)/i, '');
  }

  /** A page under the name by which it calls, be it by TLS in front. */
  const isOwnOrigin = (origin: string, host: string): boolean =>
    origin.toLowerCase() === `http://${host}` || origin.toLowerCase() === `https://${host}`;

  return {
    cors(origin, asked): Record<string, string> {
      if (configured.size === 0) return {};
      if (origin === undefined || !isConfigured(origin)) return { vary: 'origin' };
      return {
        vary: 'origin',
        'access-control-allow-origin': origin,
        'access-control-allow-methods': METHODS,
        'access-control-allow-headers': asked ?? 'authorization, content-type, idempotency-key, x-api-key',
      };
    },
    admit({ method, url, headers, socket }) {
      if (!insecure) return;
      const host = headers.host?.toLowerCase() ?? '';
      if (!isOwnName(host, socket.localAddress))
        throw new AppError(
          'forbidden',
          'Host is no name of this agent: without a key it takes calls under its own address (see --admin-allowed-host)',
        );
      const { origin } = headers;
      const site = headers['sec-fetch-site'];
      const foreign =
        origin === undefined
          ? site !== undefined && site !== 'same-origin' && site !== 'none'
          : !isOwnOrigin(origin, host) && !isConfigured(origin);
      const reads = method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && PAGES.includes((url ?? '').split('?')[0]!);
      if (foreign && !reads)
        throw new AppError('forbidden', 'Pages of other origins may not call an agent without a key (see --admin-cors-origin)');
      if (hasBody(headers) && !isJson(headers['content-type']))
        throw new AppError('unsupported-media-type', 'An agent without a key takes bodies of type application/json only');
    },
  };
}
