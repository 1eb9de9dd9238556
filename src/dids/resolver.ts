import { BoundedMap } from '../bounded-map.ts';
import { AppError } from '../errors.ts';
import type { DidDocument, Ledger, ResolvedDid } from '../ports/ledger.ts';
import type { WebDocuments } from '../ports/web.ts';
import { canonicalAlgoId, parseDidAlgo } from './did-algo.ts';
import { checkDidDocument, isDid } from './did-doc.ts';
import { resolveDidKey } from './did-key.ts';
import { peer4ShortDocument, resolvePeer, shortPeerDid } from './did-peer.ts';
import { resolveWeb } from './did-web.ts';

export interface Resolver {
  /**
   * Resolves a DID. The answer is shared and frozen.
   * @param options whether nothing in memory is believed, and who asks
   * @throws AppError `did-invalid`, `did-unsupported`, `did-not-found`, and what the ledger and the web throw
   */
  resolve(did: string, options?: { fresh?: boolean; tenant?: string }): Promise<ResolvedDid>;
  /** Believes nothing of a DID that is in memory: it was written to the ledger, here or by another process. */
  invalidate(did: string): void;
}

export interface ResolverOptions {
  /** Resolves did:algo; without one, that is `ledger-none`. */
  ledger?: Ledger;
  /** Fetches did:web; without it, that is `did-unsupported`. */
  web?: WebDocuments;
  /** Whether did:web of loopback hosts is fetched by http. */
  webOverHttp?: boolean;
  /** How many answers are kept. Default 10,000. */
  max?: number;
  /** How long an answer from the network is good, in ms. Default 30 s. Self-certifying DIDs never change. */
  ttl?: number;
  now?: () => number;
}

/** How many DIDs are remembered as written lately. */
const MAX_MOVED = 10_000;
/** Documents of the web may be as large as their servers like: of these, only so many are kept. */
const MAX_WEB = 256;

/** One resolver for all methods: bounded cache, one request at a time for one DID, errors never cached. */
export function resolver({ ledger, web, webOverHttp, max = 10_000, ttl = 30_000, now = Date.now }: ResolverOptions = {}): Resolver {
  type Cache = BoundedMap<string, { answer: ResolvedDid; until: number }>;
  const caches: { web: Cache; other: Cache } = { web: new BoundedMap(MAX_WEB), other: new BoundedMap(max) };
  const cacheOf = (did: string): Cache => (did.startsWith('did:web:') ? caches.web : caches.other);
  const flying = new Map<string, Promise<ResolvedDid>>();
  /** DIDs to be asked for past every cache, the ledger's own too. */
  const moved = new Set<string>();

  const keep = (did: string, answer: ResolvedDid, until: number): ResolvedDid => {
    cacheOf(did).set(did, { answer, until });
    return answer;
  };

  const local = (did: string, document: DidDocument): ResolvedDid => {
    const answer = freeze({ document, metadata: {} });
    // The short form of a did:peer:4 resolves where its long form was seen.
    const short = shortPeerDid(did);
    if (short !== did) keep(short, freeze({ document: peer4ShortDocument(did), metadata: { canonicalId: did } }), Number.POSITIVE_INFINITY);
    return keep(did, answer, Number.POSITIVE_INFINITY);
  };

  const fromLedger = async (did: string, fresh: boolean): Promise<ResolvedDid> => {
    if (!ledger) throw new AppError('ledger-none');
    const { document, metadata } = await ledger.resolve(did, fresh);
    if (fresh) moved.delete(did);
    const checked = checkDidDocument(document);
    // A document may use the other spelling of its own name; a deactivated DID may have lost its document.
    if (canonicalAlgoId(checked.id) !== did) throw new AppError('did-invalid', 'The ledger holds the document of another DID');
    return keep(did, freeze({ document: checked, metadata: { canonicalId: did, ...metadata } }), now() + ttl);
  };

  const fromWeb = async (did: string, tenant: string | undefined): Promise<ResolvedDid> =>
    keep(did, freeze({ document: await resolveWeb(web!, did, webOverHttp, tenant), metadata: {} }), now() + ttl);

  return Object.freeze({
    invalidate(did: string): void {
      cacheOf(did).delete(did);
      if (moved.size >= MAX_MOVED) moved.clear();
      moved.add(did);
    },
    async resolve(did: string, given: { fresh?: boolean; tenant?: string } = {}): Promise<ResolvedDid> {
      if (!isDid(did)) throw new AppError('did-invalid', 'Not a DID');
      const method = did.slice(4, did.indexOf(':', 4));
      const name = method === 'algo' ? parseDidAlgo(did).did : did;
      const options = { fresh: given.fresh === true || moved.has(name) };
      const known = cacheOf(name).get(name);
      if (known && known.until > now() && (!options.fresh || known.until === Number.POSITIVE_INFINITY))
        return keep(name, known.answer, known.until);
      if (method === 'key') return local(name, resolveDidKey(name));
      if (method === 'peer') return local(name, resolvePeer(name));
      if (method !== 'algo' && !(method === 'web' && web))
        throw new AppError('did-unsupported', `DIDs of method ${method.slice(0, 32)} are not supported`);
      // A request for a fresh answer does not join one that may have been answered from a cache.
      const slot = options.fresh ? `fresh ${name}` : name;
      const running = flying.get(slot);
      if (running) return running;
      const request = (method === 'web' ? fromWeb(name, given.tenant) : fromLedger(name, options.fresh)).finally(() => flying.delete(slot));
      flying.set(slot, request);
      return request;
    },
  });
}

function freeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) freeze(item);
  }
  return value;
}
