import { AppError } from '../../errors.ts';
import type { DidDocument, Ledger, LedgerWrite, ObjectType, ResolvedDid } from '../../ports/ledger.ts';
import { coalesce, createCache, deepFreeze } from './cache.ts';
import { type DidInfo, type Metadata, partsOf, unpackInfo, unpackMetadata, unpackObject } from './codec.ts';
import { type AlgoDid, dataBox, formatObjectId, infoBox, parseDid, parseObjectId, resourceBox } from './ids.ts';
import type { AlgodNode } from './node.ts';
import type { AlgodNodes } from './nodes.ts';

const MINUTE = 60_000;
const NEGATIVE = 5_000;
const MAX_ENTRIES = 2_000;
/** A document is at most this large, over all its boxes. */
const MAX_DOCUMENT = 65_536;
const TORN_READS = 3;
/** DIDs whose version is remembered. */
const MAX_VERSIONS = 20_000;

type Missing = 'missing';

/** A DID as its boxes have it; `inRegistry`: in this agent's registry, whose metadata has a version. */
export type FoundDid =
  | { deactivated: true; metadata: Metadata; inRegistry: boolean }
  | { deactivated: false; metadata: Metadata; inRegistry: boolean; bytes: Uint8Array; info?: DidInfo };

/** Reads from the ledger, and the caches of their results. */
export interface Reads {
  resolve: Ledger['resolve'];
  read: Ledger['read'];
  /** The DID's boxes, read afresh; undefined where there are none. */
  found(owner: AlgoDid): Promise<FoundDid | undefined>;
  /** The object, read afresh; undefined while a resource of it is missing or not sealed. */
  object(owner: AlgoDid, type: ObjectType, oid: Uint8Array): Promise<Record<string, unknown> | undefined>;
  /** Forgets what was cached about the target of a write that has landed. */
  landed(write: LedgerWrite): void;
  /** @throws AppError `did-unsupported` for a DID of another network */
  onNetwork(owner: AlgoDid): AlgoDid;
}

/** The text by which answers of two nodes about a DID are compared. */
const sameDid = (found: FoundDid | undefined): string => {
  if (found === undefined) return '';
  const { metadata, deactivated } = found;
  const { bytes, info } = deactivated ? {} : found;
  const hex = (part: Uint8Array | undefined): string => (part ? Buffer.from(part).toString('hex') : '');
  const { start, end, status, endSize, fifth } = metadata;
  return [start, end, status, endSize, fifth, info?.created, info?.updated, hex(info?.operator), hex(info?.payer), hex(bytes)].join(' ');
};

const readInfo = async (node: AlgodNode, app: bigint, key: Uint8Array): Promise<DidInfo | undefined> => {
  const box = await node.readBox(app, infoBox(key));
  return box && unpackInfo(box);
};

/** The boxes of a DID as one node has them. @param appId the agent's own registry @throws AppError `did-invalid`, `ledger-unavailable` */
const readBoxesOf = async (node: AlgodNode, { did, appId: app, key }: AlgoDid, appId: bigint): Promise<FoundDid | undefined> => {
  for (let attempt = 0; attempt < TORN_READS; attempt++) {
    const box = await node.readBox(app, key);
    if (box === undefined) return undefined;
    const metadata = unpackMetadata(box);
    const inRegistry = app === appId && metadata.fifth !== undefined;
    if (metadata.status !== 1) return inRegistry && metadata.status === 2 ? { deactivated: true, metadata, inRegistry } : undefined;
    if (metadata.end < metadata.start || metadata.end - metadata.start > 15n)
      throw new AppError('did-invalid', `${did} spans too many boxes`);
    const names = Array.from({ length: Number(metadata.end - metadata.start) + 1 }, (_none, i) => dataBox(metadata.start + BigInt(i)));
    const [info, ...parts] = await Promise.all([
      inRegistry ? readInfo(node, app, key) : undefined,
      ...names.map((name) => node.readBox(app, name)),
    ]);
    // The document was replaced between the two reads where a box is gone, or where the metadata is another now: then the box may be another DID's.
    const after = await node.readBox(app, key);
    if (parts.some((part) => part === undefined) || after === undefined || Buffer.compare(box, after) !== 0) continue;
    const bytes = Uint8Array.from(Buffer.concat(parts as Uint8Array[]));
    if (bytes.length > MAX_DOCUMENT) throw new AppError('did-invalid', `the document of ${did} is too large`);
    return { deactivated: false, metadata, inRegistry, bytes, info };
  }
  throw new AppError('ledger-unavailable', `the document of ${did} changed with every read`);
};

/**
 * Reads did:algo documents and AnonCreds objects through nodes, with caches: objects for ever, documents for a minute, absences for five seconds. An object hashes
 * to its name, so that any node may give it. A DID is what a quorum gives alike, and never an older version than was seen before.
 */
export const createReads = (nodes: AlgodNodes, network: string, appId: bigint, clock: () => number): Reads => {
  const objects = createCache<Record<string, unknown> | Missing>(MAX_ENTRIES, clock);
  const dids = createCache<ResolvedDid | Missing>(MAX_ENTRIES, clock);
  const oneObject = coalesce<Record<string, unknown>>();
  const oneDid = coalesce<ResolvedDid>();
  /** The highest version of each DID that a quorum gave: a cache, which a restart empties. */
  const versions = createCache<bigint>(MAX_VERSIONS, clock);
  /** Grows with every write that lands: what was read before is then not cached. */
  let generation = 0;

  const onNetwork = (owner: AlgoDid): AlgoDid => {
    if (owner.network !== network)
      throw new AppError('did-unsupported', `${owner.did} is on ${owner.network}, this agent reads ${network}`);
    return owner;
  };

  /** The DID as one node has it. @throws AppError `ledger-unavailable` where that is older than what was seen before */
  const readDidOf = async (node: AlgodNode, owner: AlgoDid): Promise<FoundDid | undefined> => {
    for (let attempt = 1; ; attempt++) {
      const found = await readBoxesOf(node, owner, appId);
      const shown = (found?.inRegistry && found.metadata.fifth) || 0n;
      const seen = versions.get(owner.did) ?? 0n;
      if (shown >= seen) return found;
      // another reading may have seen a version that was written after this one began
      if (attempt === 2)
        throw new AppError(
          'ledger-unavailable',
          `the node ${node.host} shows version ${shown} of ${owner.did}, and ${seen} was seen before`,
        );
    }
  };

  const readDid = async (owner: AlgoDid): Promise<FoundDid | undefined> => {
    const found = await nodes.agreed((node) => readDidOf(node, owner), sameDid);
    if (found?.inRegistry && found.metadata.fifth !== undefined) versions.set(owner.did, found.metadata.fifth, Number.POSITIVE_INFINITY);
    return found;
  };

  const loadDid = async (owner: AlgoDid): Promise<ResolvedDid> => {
    const { did } = owner;
    const before = generation;
    const found = await readDid(owner);
    const keep = (value: ResolvedDid | Missing, ms: number): void => {
      if (before === generation) dids.set(did, value, ms);
    };
    if (found === undefined) {
      keep('missing', NEGATIVE);
      throw new AppError('did-not-found', `${did} is not on the ledger`);
    }
    const versionId = found.inRegistry ? String(found.metadata.fifth) : undefined;
    const resolved: ResolvedDid = found.deactivated
      ? { document: { id: did }, metadata: { versionId, deactivated: true } }
      : {
          document: readDocument(did, found.bytes),
          metadata: { versionId, ...(found.info && { created: time(found.info.created), updated: time(found.info.updated) }) },
        };
    keep(deepFreeze(resolved), MINUTE);
    return resolved;
  };

  const resolve: Ledger['resolve'] = async (text, fresh = false) => {
    const owner = onNetwork(parseDid(text));
    const cached = fresh ? undefined : dids.get(owner.did);
    if (cached === 'missing') throw new AppError('did-not-found', `${owner.did} is not on the ledger`);
    // A fresh reading must not join one that began before it was asked for.
    const resolved = cached ?? (await (fresh ? loadDid(owner) : oneDid(owner.did, () => loadDid(owner))));
    return text === owner.did ? resolved : deepFreeze({ ...resolved, metadata: { ...resolved.metadata, canonicalId: owner.did } });
  };

  /** An object whose resources are all there and sealed. */
  const readObject = async ({ appId: app, key, did }: AlgoDid, type: ObjectType, oid: Uint8Array) =>
    await nodes.any(async (node) => {
      const box = await node.readBox(app, resourceBox(key, oid));
      if (!box) return undefined;
      const parts = await Promise.all(partsOf(box).map((part) => node.readBox(app, resourceBox(key, part))));
      return unpackObject(did, type, oid, box, parts);
    });

  const read: Ledger['read'] = async (id, type) => {
    const { owner, type: named, oid } = parseObjectId(id);
    onNetwork(owner);
    if (named !== type) throw new AppError('object-invalid', `${id} is not a ${type}`);
    const key = formatObjectId(owner.did, type, oid);
    const missing = (): AppError => new AppError('object-not-found', `${key} is not on the ledger`);
    const cached = objects.get(key);
    if (cached === 'missing') throw missing();
    if (cached !== undefined) return cached;
    return oneObject(key, async () => {
      const before = generation;
      const object = await readObject(owner, type, oid);
      if (object === undefined) {
        if (before === generation) objects.set(key, 'missing', NEGATIVE);
        throw missing();
      }
      objects.set(key, deepFreeze(object), Number.POSITIVE_INFINITY);
      return object;
    });
  };

  return {
    resolve,
    read,
    found: readDid,
    object: readObject,
    landed: (write) => {
      generation += 1;
      if (write.kind === 'object-put' || write.kind === 'registry-put') objects.delete(write.id);
      else dids.delete(parseDid(write.did).did);
    },
    onNetwork,
  };
};

const time = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z');

/** The document in `bytes`. @throws AppError `did-invalid` if it is not UTF-8 JSON or is that of another DID */
const readDocument = (did: string, bytes: Uint8Array): DidDocument => {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new AppError('did-invalid', `the document of ${did} is not JSON`, { cause: error });
  }
  const id = (document as { id?: unknown } | null)?.id;
  if (typeof id !== 'string' || parseDid(id).did !== did)
    throw new AppError('did-invalid', `the document of ${did} has the id ${String(id)}`);
  return document as DidDocument;
};
