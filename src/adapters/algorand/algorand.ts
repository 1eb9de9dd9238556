import { createHash, createPrivateKey, randomBytes, sign as signEd25519 } from 'node:crypto';
import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { DidDocument, Ledger, LedgerWrite, ObjectType, ResolvedDid, SignedWrite, WriteOutcome } from '../../ports/ledger.ts';
import { coalesce, createCache, deepFreeze } from './cache.ts';
import { AlgodError, algodClient, asLedgerError, orMissing } from './client.ts';
import { holdsPiece, packObject, partsOf, unpackInfo, unpackMetadata, unpackObject } from './codec.ts';
import {
  type AlgoDid,
  canonical,
  dataBox,
  dataIndex,
  formatDid,
  formatObjectId,
  infoBox,
  oidOf,
  parseDid,
  parseObjectId,
  resourceBox,
  stagedBox,
} from './ids.ts';
import { buildGroup, type DidState, limitsOf, type Plan, planDidDeactivate, planDidPut, planObjectPut } from './plan.ts';
import { rejectionOf } from './reasons.ts';

/** Where the ledger is and who pays. */
export interface AlgorandConfig {
  algodUrl: string;
  token: string;
  /** The registry application under which new identifiers are made. */
  appId: bigint | number;
  network: 'mainnet' | 'testnet' | 'betanet' | 'custom';
  /** Base64; for `custom` only, where nothing is checked without it. The public networks have theirs built in. */
  genesisHash?: string;
  /** 25 words of the account that pays; without it the ledger is read-only. */
  sponsorMnemonic?: string;
  /** The most that one group may cost in fees, in microALGO; 100,000 by default. */
  feeCap?: number;
  /** A number for the name of a document's data box; random by default, so that nobody can prepare a box under it. */
  salt?: () => bigint;
  /** Milliseconds; for the caches. */
  clock?: () => number;
  /** Milliseconds that one request may take; 10,000 by default. */
  timeoutMs?: number;
}

const GENESIS: Readonly<Record<string, string>> = {
  mainnet: 'wGHE2Pwdvd7S12BL5FaOP20EGYesN73ktiC1qzkkit8=',
  testnet: 'SGO1GKSzyE7IEPItTxCByw9x8FmnrCDexi9/cOUJOiI=',
  betanet: 'mFgazF+2uRS1tMiL9dsj01hJGySEmPN28B/TjjvpVW0=',
};

const MINUTE = 60_000;
const NEGATIVE = 5_000;
const MAX_ENTRIES = 2_000;
const FEE_CAP = 100_000;
/** A document is at most this large, over all its boxes. */
const MAX_DOCUMENT = 65_536;
/** Rounds that `send` waits for, and how old the last block of a healthy node may be (nanoseconds). */
const WAIT_ROUNDS = 4;
const LAG_NS = 30_000_000_000n;
const TORN_READS = 3;
/** Salts that are tried: 64 bits are taken once by a prepared collision, not by chance. */
const SALTS = 8;

type Missing = 'missing';

/** The Ledger port on Algorand: did:algo documents and AnonCreds objects in the boxes of one registry application, read and written through algod. */
export const algorandLedger = (config: AlgorandConfig): Ledger => {
  const { network, token, feeCap = FEE_CAP, clock = Date.now, salt = randomSalt } = config;
  const appId = BigInt(config.appId);
  const algod = algodClient(config.algodUrl, token, config.timeoutMs);
  const sponsor = config.sponsorMnemonic === undefined ? undefined : sponsorOf(config.sponsorMnemonic);
  const expectedGenesis = network === 'custom' ? config.genesisHash : GENESIS[network];
  const objects = createCache<Record<string, unknown> | Missing>(MAX_ENTRIES, clock);
  const dids = createCache<ResolvedDid | Missing>(MAX_ENTRIES, clock);
  const oneObject = coalesce<Record<string, unknown>>();
  const oneDid = coalesce<ResolvedDid>();
  let verifiedUntil = 0;
  /** Grows with every write that lands: what was read before is then not cached. */
  let generation = 0;

  const readBox = async (app: bigint, name: Uint8Array): Promise<Uint8Array | undefined> =>
    (await orMissing(algod.getApplicationBoxByName(app, name).do()))?.value;

  /** The node's parameters; its genesis must be the expected one. */
  const parameters = async (): Promise<algosdk.modelsv2.TransactionParametersResponse> => {
    const answer = await algod.c.get({ relativePath: '/v2/transactions/params' }).catch((error: unknown) => {
      throw asLedgerError(error);
    });
    const params = readParameters(answer.getJSONText());
    const found = Buffer.from(params.genesisHash).toString('base64');
    if (expectedGenesis !== undefined && found !== expectedGenesis) {
      verifiedUntil = 0;
      throw new AppError('ledger-wrong-network', `the node serves genesis ${found}, expected ${expectedGenesis}`);
    }
    verifiedUntil = clock() + MINUTE;
    return params;
  };

  const verifyNode = async (): Promise<void> => {
    if (expectedGenesis !== undefined && clock() >= verifiedUntil) await parameters();
  };

  const onNetwork = (owner: AlgoDid): AlgoDid => {
    if (owner.network !== network)
      throw new AppError('did-unsupported', `${owner.did} is on ${owner.network}, this agent reads ${network}`);
    return owner;
  };

  /** The document's bytes and what is known about it; undefined where there is no such DID. */
  const readDid = async ({ did, appId: app, key }: AlgoDid) => {
    for (let attempt = 0; attempt < TORN_READS; attempt++) {
      const box = await readBox(app, key);
      if (box === undefined) return undefined;
      const metadata = unpackMetadata(box);
      const ours = app === appId && metadata.fifth !== undefined;
      if (metadata.status !== 1) return ours && metadata.status === 2 ? { deactivated: true as const, metadata, ours } : undefined;
      if (metadata.end < metadata.start || metadata.end - metadata.start > 15n)
        throw new AppError('did-invalid', `${did} spans too many boxes`);
      const names = Array.from({ length: Number(metadata.end - metadata.start) + 1 }, (_none, i) => dataBox(metadata.start + BigInt(i)));
      const [info, ...parts] = await Promise.all([
        ours ? readBox(app, infoBox(key)) : undefined,
        ...names.map((name) => readBox(app, name)),
      ]);
      // The document was replaced between the two reads where a box is gone, or where the metadata is another now: then the box may be another DID's.
      const after = await readBox(app, key);
      if (parts.some((part) => part === undefined) || after === undefined || Buffer.compare(box, after) !== 0) continue;
      const bytes = Uint8Array.from(Buffer.concat(parts as Uint8Array[]));
      if (bytes.length > MAX_DOCUMENT) throw new AppError('did-invalid', `the document of ${did} is too large`);
      return { deactivated: false as const, metadata, ours, bytes, info: info && unpackInfo(info) };
    }
    throw new AppError('ledger-unavailable', `the document of ${did} changed with every read`);
  };

  const time = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z');

  const loadDid = async (owner: AlgoDid): Promise<ResolvedDid> => {
    const { did } = owner;
    await verifyNode();
    const before = generation;
    const found = await readDid(owner);
    const keep = (value: ResolvedDid | Missing, ms: number): void => {
      if (before === generation) dids.set(did, value, ms);
    };
    if (found === undefined) {
      keep('missing', NEGATIVE);
      throw new AppError('did-not-found', `${did} is not on the ledger`);
    }
    const versionId = found.ours ? String(found.metadata.fifth) : undefined;
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
  const readObject = async ({ appId: app, key, did }: AlgoDid, type: ObjectType, oid: Uint8Array) => {
    const box = await readBox(app, resourceBox(key, oid));
    if (!box) return undefined;
    const parts = await Promise.all(partsOf(box).map((part) => readBox(app, resourceBox(key, part))));
    return unpackObject(did, type, oid, box, parts);
  };

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
      await verifyNode();
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

  /** A salt whose data box does not exist. */
  const freeSalt = async (key: Uint8Array, version: bigint): Promise<bigint> => {
    for (let tried = 0; tried < SALTS; tried++) {
      const one = salt();
      if (!(await readBox(appId, dataBox(dataIndex(key, version, one))))) return one;
    }
    throw new AppError('ledger-unavailable', 'the ledger shows a box under every name that was tried');
  };

  /** What a DID write has to know, read afresh. */
  const didState = async ({ key, did }: AlgoDid, found: Awaited<ReturnType<typeof readDid>>): Promise<DidState> => {
    if (found?.deactivated) throw new AppError('did-invalid', `${did} is deactivated`);
    const version = found?.metadata.fifth ?? 0n;
    const [staged, free] = await Promise.all([readBox(appId, stagedBox(key)), freeSalt(key, version + 1n)]);
    const pending = staged && new DataView(staged.buffer, staged.byteOffset, staged.byteLength);
    return {
      key,
      current: found && {
        version,
        index: found.metadata.start,
        size: Number(found.metadata.endSize),
        operator: found.info?.operator ?? new Uint8Array(32),
        payer: otherPayer(found.info?.payer),
      },
      staged: pending && { index: pending.getBigUint64(0), size: Number(pending.getBigUint64(8)), payer: otherPayer(staged.slice(16)) },
      salt: free,
    };
  };

  /** A recorded payer that is not this sponsor: it must be named, or the program cannot pay it. */
  const otherPayer = (payer: Uint8Array | undefined): string | undefined => {
    const address = payer && algosdk.encodeAddress(payer);
    return address === sponsor?.addr.toString() ? undefined : address;
  };

  const ownerOf = (write: LedgerWrite): AlgoDid => {
    const owner = onNetwork(parseDid(write.did));
    if (owner.appId !== appId) throw new AppError('did-unsupported', `${owner.did} is not in application ${appId}`);
    return owner;
  };

  const documentBytes = (did: string, document: DidDocument): Uint8Array => {
    if (document.id !== did) throw new AppError('did-invalid', `the document is that of ${document.id}, not of ${did}`);
    return new TextEncoder().encode(canonical(document));
  };

  /**
   * The calls that perform a write, or `done` where the ledger holds exactly that. A write of several pieces is one group for each: the plan is that of the first
   * piece that is missing, whose number it says.
   */
  const planOf = async (write: LedgerWrite, consensus: string): Promise<(Plan & Pick<SignedWrite, 'piece'>) | 'done'> => {
    const owner = ownerOf(write);
    const limits = limitsOf(consensus);
    if (write.kind === 'object-put') {
      const oid = oidOf(write.object);
      if (write.id !== formatObjectId(owner.did, write.type, oid))
        throw new AppError('object-invalid', `the object does not hash to ${write.id}`);
      const pieces = packObject(owner.did, write.type, write.object);
      const [metadata, ...boxes] = await Promise.all([
        readBox(appId, owner.key),
        ...pieces.map((piece) => readBox(appId, resourceBox(owner.key, piece.oid))),
      ]);
      if (boxes.at(-1) && (await readObject(owner, write.type, oid))) return 'done';
      if (metadata === undefined) throw new AppError('did-not-found', `${owner.did} must be on the ledger before its objects`);
      if (unpackMetadata(metadata).status !== 1) throw new AppError('did-invalid', `${owner.did} is deactivated`);
      const number = pieces.findIndex((piece, i) => !boxes[i] || !holdsPiece(piece, boxes[i]));
      const piece = pieces[number]!;
      const plan = planObjectPut({ key: owner.key, ...piece, open: boxes[number]?.length }, limits);
      return pieces.length === 1 ? plan : { ...plan, piece: { number, more: number < pieces.length - 1 } };
    }
    const found = await readDid(owner);
    if (write.kind === 'did-deactivate') return found?.deactivated ? 'done' : planDidDeactivate(await didState(owner, found), limits);
    const bytes = documentBytes(owner.did, write.document);
    if (found && !found.deactivated && Buffer.compare(found.bytes, bytes) === 0) return 'done';
    return planDidPut(await didState(owner, found), bytes, limits);
  };

  const prepare: Ledger['prepare'] = async (write, operationId, sign) => {
    const params = await parameters();
    const plan = await planOf(write, params.consensusVersion);
    if (plan === 'done') return { state: 'done' };
    if (sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured: the ledger can only be read');
    const { did, key } = ownerOf(write);
    const account = algosdk.encodeAddress(key);
    const { txns, fee, lastValid } = buildGroup(plan, {
      sponsor: sponsor.addr.toString(),
      account,
      appId,
      firstRound: params.lastRound,
      minFee: Number(params.minFee),
      feePerByte: Number(params.fee),
      genesisHash: params.genesisHash,
      genesisId: params.genesisId,
      lease: Uint8Array.from(createHash('sha256').update(operationId).digest()),
    });
    if (fee > feeCap) throw new AppError('ledger-waiting', `the fees of ${fee} microALGO are above the cap of ${feeCap}`);
    const { amount, minBalance } = await algod
      .accountInformation(sponsor.addr)
      .do()
      .catch((error: unknown) => {
        throw asLedgerError(error);
      });
    const needed = plan.deposit + fee + Number(minBalance);
    if (Number(amount) < needed) return { state: 'wait', needed, held: Number(amount) };
    const [payment, ...calls] = txns as [algosdk.Transaction, ...algosdk.Transaction[]];
    const parts = [payment.attachSignature(sponsor.addr, sponsor.sign(payment.bytesToSign()))];
    for (const call of calls) parts.push(call.attachSignature(account, await sign(base58.encode(key), call.bytesToSign())));
    const signed: SignedWrite = {
      write: { ...write, did },
      group: Buffer.concat(parts).toString('base64'),
      txids: txns.map((txn) => txn.txID()),
      lastValid: Number(lastValid),
      ...(plan.piece && { piece: plan.piece }),
    };
    return { state: 'signed', signed, cost: plan.deposit + fee };
  };

  /** What was cached about the target of a write is over. */
  const landed = (write: LedgerWrite, round: number): WriteOutcome => {
    generation += 1;
    const owner = parseDid(write.did);
    if (write.kind === 'object-put') objects.delete(write.id);
    else dids.delete(owner.did);
    return { state: 'confirmed', round };
  };

  /** The node's own word on a transaction; undefined where it has none. */
  const lookUp = async (signed: SignedWrite): Promise<WriteOutcome | undefined> => {
    const found = await orMissing(algod.pendingTransactionInformation(signed.txids[0] ?? '').do());
    if (found === undefined) return undefined;
    if (found.confirmedRound) return landed(signed.write, Number(found.confirmedRound));
    if (found.poolError) return rejected(found.poolError);
    return { state: 'pending' };
  };

  const lastRound = async (): Promise<bigint> => (await parameters()).lastRound;

  const outcome: Ledger['outcome'] = async (signed) => {
    // The round first: what is not found at a round past the validity was not there at its end.
    const round = await lastRound();
    const found = await lookUp(signed);
    if (found) return found;
    if (round <= BigInt(signed.lastValid)) return { state: 'pending' };
    // A node forgets transactions after 1000 rounds, but not their effect.
    const effect = await planOf(signed.write, '').catch((error: unknown) => {
      if (error instanceof AppError && error.row.retry) throw error;
      return undefined;
    });
    const there = effect === 'done' || (signed.piece && effect?.piece && effect.piece.number > signed.piece.number);
    return there ? landed(signed.write, Number(round)) : { state: 'expired' };
  };

  const send: Ledger['send'] = async (signed) => {
    try {
      await algod.sendRawTransaction(Uint8Array.from(Buffer.from(signed.group, 'base64'))).do();
    } catch (error) {
      if (!(error instanceof AlgodError) || error.response.status !== 400) throw asLedgerError(error);
      const { code } = rejectionOf(error.message);
      if (code === 'in-ledger' || code === 'expired') return outcome(signed);
      return rejected(error.message);
    }
    for (let waited = 0; waited < WAIT_ROUNDS; waited++) {
      const found = await lookUp(signed);
      if (found && found.state !== 'pending') return found;
      const round = await lastRound();
      if (round > BigInt(signed.lastValid)) return outcome(signed);
      await orMissing(algod.statusAfterBlock(round).do());
    }
    return (await lookUp(signed)) ?? { state: 'pending' };
  };

  const health: Ledger['health'] = async () => {
    try {
      const [params, status] = await Promise.all([parameters(), algod.status().do()]);
      const round = Number(params.lastRound);
      if (status.catchupTime > 0n) return { ok: false, reason: 'the node is catching up', round };
      if (status.timeSinceLastRound > LAG_NS) return { ok: false, reason: 'the node has seen no block for half a minute', round };
      return { ok: true, round };
    } catch (error) {
      return { ok: false, reason: asLedgerError(error).message };
    }
  };

  return Object.freeze({
    network,
    appId,
    didOf: (publicKey: Uint8Array) => formatDid(network, appId, publicKey),
    idOf: (did, type, object) => formatObjectId(parseDid(did).did, type, oidOf(object)),
    resolve,
    read,
    prepare,
    send,
    outcome,
    health,
  } satisfies Ledger);
};

const randomSalt = (): bigint => randomBytes(8).readBigUInt64BE();

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The account of 25 words; it signs with the runtime's own Ed25519, about a hundred times as fast as the one in algosdk. */
const sponsorOf = (mnemonic: string): { addr: algosdk.Address; sign: (bytes: Uint8Array) => Uint8Array } => {
  const { addr, sk } = algosdk.mnemonicToSecretKey(mnemonic);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, sk.subarray(0, 32)]), format: 'der', type: 'pkcs8' });
  return { addr, sign: (bytes) => Uint8Array.from(signEd25519(null, bytes, key)) };
};

const rejected = (message: string): WriteOutcome => {
  const { code, detail, rebuild } = rejectionOf(message);
  return { state: 'rejected', reason: `${code}: ${detail}`, rebuild };
};

const readParameters = (text: string): algosdk.modelsv2.TransactionParametersResponse => {
  try {
    return algosdk.decodeJSON(text, algosdk.modelsv2.TransactionParametersResponse);
  } catch (error) {
    throw asLedgerError(error);
  }
};

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
