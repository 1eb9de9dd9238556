import { isIP } from 'node:net';
import { JsonRefused, parseJsonObject } from '../didcomm/safe-json.ts';
import { AppError } from '../errors.ts';
import type { DidDocument } from '../ports/ledger.ts';
import type { WebDocuments } from '../ports/web.ts';
import { checkDidDocument } from './did-doc.ts';

const FORM = /^did:web:([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?:%3[Aa](\d{1,5}))?((?::[A-Za-z0-9._%-]+)*)$/;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3})$/;

const invalid = (what: string): never => {
  throw new AppError('did-invalid', `The did:web is not valid: ${what}`);
};

/**
 * Where the document of a did:web is (did:web section 2.5.2). https always, but for loopback hosts that `overHttp` allows; no address but a name.
 * @throws AppError `did-invalid`
 */
export function webDidUrl(did: string, overHttp = false): string {
  const [, host, port, path] = FORM.exec(did) ?? invalid('its form');
  const plain = overHttp && LOOPBACK.test(host!);
  if (!plain && isIP(host!) !== 0) invalid('an address instead of a name');
  const where = path === '' ? '/.well-known' : path!.replaceAll(':', '/');
  const url = `${plain ? 'http' : 'https'}://${host}${port === undefined ? '' : `:${port}`}${where}/did.json`;
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return invalid('its host or port');
  }
  // a segment such as `..` or `%2e%2e` would lead elsewhere
  if (parsed.pathname !== `${where}/did.json` || parsed.hostname !== host!.toLowerCase()) invalid('its path');
  return url;
}

/** Fetches the document of a did:web. @throws AppError `did-invalid`, `did-not-found`, `did-unavailable`, `egress-refused` */
export async function resolveWeb(web: WebDocuments, did: string, overHttp?: boolean, tenant?: string): Promise<DidDocument> {
  const url = webDidUrl(did, overHttp);
  const { status, body } = await web.get(url, { tenant });
  if (status === 404 || status === 410) throw new AppError('did-not-found', `No document at ${url}`);
  if (status !== 200) throw new AppError('did-unavailable', `${url} answered ${status}`);
  try {
    return checkDidDocument(parseJsonObject(body, { maxBytes: 1 << 16, maxDepth: 32 }), did);
  } catch (error) {
    if (error instanceof JsonRefused) return invalid('its document is not JSON');
    throw error;
  }
}
