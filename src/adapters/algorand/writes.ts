import { createHash } from 'node:crypto';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { DidDocument, Ledger, LedgerWrite, SignedWrite, WriteOutcome } from '../../ports/ledger.ts';
import { AlgodError, asLedgerError, orMissing } from './client.ts';
import { holdsPiece, packObject, unpackMetadata } from './codec.ts';
import { buildGroup, partsOf, type Sponsor, signedWrite, signParts } from './group.ts';
import { type AlgoDid, canonical, dataBox, dataIndex, formatObjectId, oidOf, parseDid, resourceBox, stagedBox } from './ids.ts';
import type { AlgodNode } from './node.ts';
import { type DidState, limitsOf, type Plan, planDidDeactivate, planDidPut, planObjectPut } from './plan.ts';
import type { FoundDid, Reads } from './reads.ts';
import { rejectionOf } from './reasons.ts';
import type { RegistryState } from './registry.ts';
import { isStatusWrite, planStatusWrite } from './status-plan.ts';

/** Rounds that `send` waits for. */
const WAIT_ROUNDS = 4;
/** Salts that are tried: 64 bits are taken once by a prepared collision, not by chance. */
const SALTS = 8;

/** A plan of one group, and which piece of the write it is. */
type PiecePlan = Plan & Pick<SignedWrite, 'piece'>;

/** What a write needs beside the node and the reads. */
export interface WriteContext {
  node: AlgodNode;
  reads: Reads;
  registry: () => Promise<RegistryState>;
  appId: bigint;
  sponsor?: Sponsor;
  feeCap: number;
  salt: () => bigint;
}

/** Finds the calls that perform a write, on what the ledger holds now. */
const createPlanner = ({ node, reads, appId, sponsor, salt }: WriteContext) => {
  /** A salt whose data box does not exist. */
  const freeSalt = async (key: Uint8Array, version: bigint): Promise<bigint> => {
    for (let tried = 0; tried < SALTS; tried++) {
      const one = salt();
      if (!(await node.readBox(appId, dataBox(dataIndex(key, version, one))))) return one;
    }
    throw new AppError('ledger-unavailable', 'the ledger shows a box under every name that was tried');
  };

  /** What a DID write has to know, read afresh. */
  const didState = async ({ key, did }: AlgoDid, found: FoundDid | undefined): Promise<DidState> => {
    if (found?.deactivated) throw new AppError('did-invalid', `${did} is deactivated`);
    const version = found?.metadata.fifth ?? 0n;
    const [staged, free] = await Promise.all([node.readBox(appId, stagedBox(key)), freeSalt(key, version + 1n)]);
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
    const owner = reads.onNetwork(parseDid(write.did));
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
  const planOf = async (write: LedgerWrite, consensus: string): Promise<PiecePlan | 'done'> => {
    const owner = ownerOf(write);
    const limits = limitsOf(consensus);
    if (write.kind === 'object-put') {
      const oid = oidOf(write.object);
      if (write.id !== formatObjectId(owner.did, write.type, oid))
        throw new AppError('object-invalid', `the object does not hash to ${write.id}`);
      const pieces = packObject(owner.did, write.type, write.object);
      const [metadata, ...boxes] = await Promise.all([
        node.readBox(appId, owner.key),
        ...pieces.map((piece) => node.readBox(appId, resourceBox(owner.key, piece.oid))),
      ]);
      if (boxes.at(-1) && (await reads.object(owner, write.type, oid))) return 'done';
      if (metadata === undefined) throw new AppError('did-not-found', `${owner.did} must be on the ledger before its objects`);
      if (unpackMetadata(metadata).status !== 1) throw new AppError('did-invalid', `${owner.did} is deactivated`);
      const number = pieces.findIndex((piece, i) => !boxes[i] || !holdsPiece(piece, boxes[i]));
      const piece = pieces[number]!;
      const plan = planObjectPut({ key: owner.key, ...piece, open: boxes[number]?.length }, limits);
      return pieces.length === 1 ? plan : { ...plan, piece: { number, more: number < pieces.length - 1 } };
    }
    if (isStatusWrite(write)) {
      const definition = (id: string) => reads.read(id, 'REV_REG_DEF');
      return await planStatusWrite({ node, owner, sponsor: sponsor?.addr.toString(), limits, definition }, write);
    }
    const found = await reads.found(owner);
    if (write.kind === 'did-deactivate') return found?.deactivated ? 'done' : planDidDeactivate(await didState(owner, found), limits);
    const bytes = documentBytes(owner.did, write.document);
    if (found && !found.deactivated && Buffer.compare(found.bytes, bytes) === 0) return 'done';
    return planDidPut(await didState(owner, found), bytes, limits);
  };

  return { ownerOf, planOf };
};

/** Sends signed groups, and finds out what became of them. */
const createSender = (
  { node, reads }: WriteContext,
  planOf: ReturnType<typeof createPlanner>['planOf'],
): Pick<Ledger, 'send' | 'outcome'> => {
  const { algod, parameters } = node;
  const landed = (write: LedgerWrite, round: number): WriteOutcome => {
    reads.landed(write);
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
      const { code, detail } = rejectionOf(error.message);
      // The node takes nothing from anybody for the moment: what was signed is sent again later, and signed anew where it has expired by then.
      if (code === 'busy') throw new AppError('ledger-unavailable', detail);
      if (code === 'in-ledger' || code === 'expired') return outcome(signed);
      // A confirmed group that is sent again meets its own lease before its id.
      return (code === 'lease' && (await lookUp(signed))) || rejected(error.message);
    }
    for (let waited = 0; waited < WAIT_ROUNDS; waited++) {
      const found = await lookUp(signed);
      if (found && found.state !== 'pending') return found;
      const round = await lastRound();
      if (round > BigInt(signed.lastValid)) return outcome(signed);
      // A node that makes no empty blocks answers when there is one: the group is there, and waits.
      const block = await algod
        .statusAfterBlock(round)
        .do()
        .catch(() => undefined);
      if (block === undefined) break;
    }
    return (await lookUp(signed)) ?? { state: 'pending' };
  };

  return { send, outcome };
};

/** Plans, signs, sends and follows writes. */
export const createWrites = (context: WriteContext): Pick<Ledger, 'plan' | 'sign' | 'send' | 'outcome'> => {
  const { node, registry, appId, sponsor, feeCap } = context;
  const { algod, parameters } = node;
  const { ownerOf, planOf } = createPlanner(context);

  const balanceOf = async (address: string): Promise<{ amount: bigint; minBalance: bigint }> =>
    await algod
      .accountInformation(address)
      .do()
      .catch((error: unknown) => {
        throw asLedgerError(error);
      });

  const plan: Ledger['plan'] = async (write, operationId) => {
    const params = await parameters();
    // Nothing is paid to an application that is not the registry.
    const found = await registry();
    if (found.state !== 'ready') throw new AppError(found.state === 'unfunded' ? 'ledger-waiting' : 'ledger-wrong-network', found.reason);
    const calls = await planOf(write, params.consensusVersion);
    if (calls === 'done') return { state: 'done' };
    if (sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured: the ledger can only be read');
    const { did, key } = ownerOf(write);
    const account = algosdk.encodeAddress(key);
    const feePerByte = Number(params.fee);
    const group = buildGroup(calls, {
      sponsor: sponsor.addr.toString(),
      account,
      held: feePerByte === 0 ? 0n : (await balanceOf(account)).amount,
      appId,
      firstRound: params.lastRound,
      minFee: Number(params.minFee),
      feePerByte,
      genesisHash: params.genesisHash,
      genesisId: params.genesisId,
      lease: Uint8Array.from(createHash('sha256').update(operationId).digest()),
    });
    if (group.fee > feeCap) throw new AppError('ledger-waiting', `the fees of ${group.fee} microALGO are above the cap of ${feeCap}`);
    const { amount, minBalance } = await balanceOf(sponsor.addr.toString());
    const needed = calls.deposit + group.fee + group.advance + Number(minBalance);
    if (Number(amount) < needed) return { state: 'wait', needed, held: Number(amount) };
    return {
      state: 'planned',
      planned: {
        write: { ...write, did },
        parts: partsOf(group),
        txids: group.txns.map(({ txn }) => txn.txID()),
        lastValid: Number(group.lastValid),
        ...(calls.piece && { piece: calls.piece }),
      },
      cost: calls.deposit + group.fee,
    };
  };

  const sign: Ledger['sign'] = async (planned, signers) => {
    if (signers.sponsor && sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured');
    const { key } = ownerOf(planned.write);
    const parts = await signParts(planned.parts, key, appId, {
      sponsor: signers.sponsor ? sponsor : undefined,
      account: signers.account,
    });
    const next = { ...planned, parts };
    return { planned: next, signed: signedWrite(next) };
  };

  return { plan, sign, ...createSender(context, planOf) };
};

const rejected = (message: string): WriteOutcome => {
  const { code, detail, rebuild } = rejectionOf(message);
  return { state: 'rejected', reason: `${code}: ${detail}`, rebuild };
};
