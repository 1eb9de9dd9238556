import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { base58 } from '@scure/base';
import { AppError } from '../../errors.ts';
import type { Blobs } from '../../ports/blobs.ts';
import type { Log } from '../../ports/log.ts';
import type { Store } from '../../ports/store.ts';
import type { Tails, TailsReference } from '../../ports/tails.ts';
import type { WebDocuments } from '../../ports/web.ts';

/** How long a tails file may take on its way, in ms. */
export const TAILS_MS = 60_000;
const MAX_CREDENTIALS = 32_768;
/** SHA-256 in base58. */
const HASH = /^[1-9A-HJ-NP-Za-km-z]{43,44}$/;
const MAX_REDIRECTS = 3;

/** The kind of a tails file's name in the table of key owners; `resources/tails.ts` serves them by it. */
const KIND = 'tails';
const ownerName = (hash: string): string => `tails ${hash}`;
const blobName = (hash: string): string => `tails/${hash}`;

/** The bytes of the tails file for so many credentials: two of version, and 2 N + 1 points of 128. */
export const tailsSize = (credentials: number): number => 2 + 128 * (2 * credentials + 1);

const hashOf = (bytes: Uint8Array): string => base58.encode(createHash('sha256').update(bytes).digest());

/** Where tails files come from and go to. */
export interface TailsOptions {
  readonly blobs: Pick<Blobs, 'put' | 'stat' | 'read'>;
  readonly store: Pick<Store, 'commit' | 'keyOwner'>;
  /** Where the library reads them: files named by their hash. A missing file is written again. */
  readonly folder: string;
  /** Fetches what definitions name, through the egress guard. */
  readonly web: Pick<WebDocuments, 'get'>;
  /** Hands a file to the server of `server.upload`, the operator's own. @returns the HTTP status @throws AppError `tails-unavailable` */
  readonly upload: (url: string, bytes: Uint8Array) => Promise<number>;
  /** Where this agent serves files: an origin, or what a proxy has in its place; undefined where it has no address. */
  readonly origin: (tenant: string) => Promise<string | undefined>;
  /** The foreign server: where files are read, and where they are written. */
  readonly server?: { readonly base: string; readonly upload: string };
  /** A second place of all files, as `<mirror>/<hash>`. */
  readonly mirror?: string;
  readonly log: Log;
}

const joined = (base: string, ...parts: string[]): string => [base.replace(/\/+$/, ''), ...parts].join('/');

/** @throws AppError `bad-request` */
const checked = ({ value }: TailsReference): { hash: string; location: string; size: number } => {
  const { maxCredNum, tailsHash, tailsLocation } = value ?? {};
  if (!Number.isInteger(maxCredNum) || maxCredNum < 1 || maxCredNum > MAX_CREDENTIALS)
    throw new AppError('bad-request', `a revocation registry of ${String(maxCredNum)} credentials has no tails file`);
  if (typeof tailsHash !== 'string' || !HASH.test(tailsHash) || typeof tailsLocation !== 'string')
    throw new AppError('bad-request', 'the revocation registry does not name its tails file');
  return { hash: tailsHash, location: tailsLocation, size: tailsSize(maxCredNum) };
};

/** Why bytes are not the file; undefined where they are. */
const faultOf = (bytes: Uint8Array, hash: string, size: number): string | undefined => {
  if (bytes.length !== size) return `a file of ${bytes.length} bytes, not of ${size}`;
  return hashOf(bytes) === hash ? undefined : 'a file of another hash';
};

/** A file is read in pieces of so many bytes: many are checked at once, and one may have 8 MiB. */
const PIECE = 65_536;
/** Of so many files is known that they are whole. */
const MAX_KNOWN = 10_000;

/** Whether files are those of their hash and size. A file that has not changed since it was read is not read again. */
function checkedFiles() {
  const whole = new Map<string, string>();
  return async (path: string, hash: string, size: number): Promise<boolean> => {
    const handle = await open(path, 'r').catch(() => undefined);
    if (!handle) return false;
    try {
      const { ino, size: bytes, mtimeNs, ctimeNs } = await handle.stat({ bigint: true });
      if (bytes !== BigInt(size)) return false;
      const version = `${ino} ${mtimeNs} ${ctimeNs}`;
      if (whole.get(path) === version) return true;
      const piece = Buffer.alloc(Math.min(PIECE, size));
      const digest = createHash('sha256');
      for (let at = 0; at < size; ) {
        const { bytesRead } = await handle.read(piece, 0, piece.length, at);
        if (bytesRead === 0) return false;
        digest.update(piece.subarray(0, bytesRead));
        at += bytesRead;
      }
      if (base58.encode(digest.digest()) !== hash) return false;
      if (whole.size >= MAX_KNOWN) whole.clear();
      whole.set(path, version);
      return true;
    } catch {
      return false;
    } finally {
      await handle.close();
    }
  };
}

/** Fetches one file, along redirects within its host. @throws AppError `tails-unavailable`, `egress-refused` */
const fetched = async ({ web }: TailsOptions, tenant: string, from: string, hash: string, size: number): Promise<Uint8Array> => {
  let url = from;
  for (let step = 0; step <= MAX_REDIRECTS; step++) {
    const asked = { tenant, accept: 'application/octet-stream, */*', maxBytes: size, failure: 'tails-unavailable' } as const;
    const { status, body, location } = await web.get(url, asked);
    const { origin, host } = new URL(url);
    if (status >= 300 && status < 400 && location !== undefined && URL.canParse(location, url)) {
      const next = new URL(location, url);
      if (next.host !== host) throw new AppError('tails-unavailable', `${origin} sends to another host`);
      url = next.href;
      continue;
    }
    if (status !== 200) throw new AppError('tails-unavailable', `${origin} answered ${status}`);
    const fault = faultOf(body, hash, size);
    if (fault) throw new AppError('tails-unavailable', `${origin} gave ${fault}`);
    return body;
  }
  throw new AppError('tails-unavailable', `${new URL(from).origin} sends in a circle`);
};

/** Tails files of all tenants: as blobs, as files for the library, and on their way between agents. */
export function createTails(options: TailsOptions): Tails {
  const { blobs, store, folder, origin, server, mirror, upload, log } = options;
  /** Fetches under way, by hash: whoever asks meanwhile waits for the same. */
  const fetching = new Map<string, Promise<Uint8Array>>();

  const isWhole = checkedFiles();

  const written = async (path: string, bytes: Uint8Array): Promise<void> => {
    const part = `${path}.${randomUUID()}`;
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(part, bytes, { mode: 0o600 });
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true }).catch(() => undefined);
      const full = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
      throw new AppError(full ? 'store-full' : 'store-unavailable', 'the tails file could not be written', { cause: error });
    }
  };

  const anywhere = async (tenant: string, hash: string, location: string, size: number): Promise<Uint8Array> => {
    const places = [location, ...(mirror === undefined ? [] : [joined(mirror, hash)])];
    let failure: AppError | undefined;
    for (const place of places) {
      try {
        return await fetched(options, tenant, place, hash, size);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  };

  const once = (tenant: string, hash: string, location: string, size: number): Promise<Uint8Array> => {
    const running = fetching.get(hash);
    if (running) return running;
    const fetch = anywhere(tenant, hash, location, size).finally(() => fetching.delete(hash));
    fetching.set(hash, fetch);
    return fetch;
  };

  const file: Tails['file'] = async (tenant, reference) => {
    const { hash, location, size } = checked(reference);
    const path = join(folder, hash);
    const name = blobName(hash);
    // one that is damaged is written again below
    const isThere = await isWhole(path, hash, size);
    if (isThere && (await blobs.stat(tenant, name))) return path;
    const local = isThere ? await readFile(path).catch(() => undefined) : undefined;
    if (local && faultOf(local, hash, size) === undefined) {
      await blobs.put(tenant, name, local);
      return path;
    }
    const kept = await blobs.read(tenant, name);
    if (kept && faultOf(kept, hash, size) === undefined) {
      await written(path, kept);
      return path;
    }
    const bytes = await once(tenant, hash, location, size);
    await blobs.put(tenant, name, bytes);
    await written(path, bytes);
    return path;
  };

  /** Has the public face find the file's tenant; another that serves it already serves the same bytes. */
  const owned = async (tenant: string, hash: string): Promise<void> => {
    const kid = ownerName(hash);
    if (await store.keyOwner(kid)) return;
    try {
      await store.commit(tenant, { keyOwners: [{ kid, tenant, kind: KIND, target: hash }] });
    } catch (error) {
      if (!(await store.keyOwner(kid))) throw error;
    }
  };

  const warned = new Set<string>();
  /** A location is in the definition for ever. */
  const warn = (location: string): void => {
    const { protocol, hostname, origin: at } = new URL(location);
    const local = /^(?:localhost|127\.|\[::1\])/.test(hostname);
    if (warned.has(at) || (protocol === 'https:' && !local)) return;
    warned.add(at);
    log.warn(
      { location: at },
      `tails files are published ${local ? 'at an address of this machine' : 'without TLS'}: the ledger names it for ever`,
    );
  };

  const publish: Tails['publish'] = async (tenant, bytes) => {
    const hash = hashOf(bytes);
    const base = server?.base ?? (await origin(tenant));
    if (base === undefined)
      throw new AppError(
        'unavailable',
        'nobody could fetch tails files from here: --tails-public-url or --tails-server-base-url is missing',
      );
    await blobs.put(tenant, blobName(hash), bytes);
    await owned(tenant, hash);
    const location = server ? joined(base, 'hash', hash) : joined(base, 'tails', hash);
    if (server) {
      const status = await upload(joined(server.upload, 'hash', hash), bytes);
      // 409: it has the file
      if (status !== 409 && (status < 200 || status > 299))
        throw new AppError('tails-unavailable', `the tails server ${new URL(server.upload).origin} answered ${status}`);
    }
    warn(location);
    return { hash, location };
  };

  return { file, publish };
}
