import { createHash } from 'node:crypto';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { DidDocument, Ledger, LedgerWrite } from '../../ports/ledger.ts';
import { createAuthority } from './authority.ts';
import { holdsPiece, packObject, unpackMetadata } from './codec.ts';
import { addressOf, controlAddress, isOperated, signatureBytes, verkeyOf } from './control.ts';
import { createCosts } from './costs.ts';
import { buildGroup, buildRekey, type GroupFrame, partsOf, type Sponsor, signedWrite, signParts } from './group.ts';
import { type AlgoDid, canonical, dataBox, dataIndex, formatObjectId, oidOf, parseDid, resourceBox, stagedBox } from './ids.ts';
import type { AlgodNode } from './node.ts';
import type { AlgodNodes } from './nodes.ts';
import { type DidState, limitsOf, type PiecePlan, planDidDeactivate, planDidPut, planObjectPut, planOperator } from './plan.ts';
import type { FoundDid, Reads } from './reads.ts';
import type { RegistryState } from './registry.ts';
import { createSending, type TaskOf } from './sending.ts';
import { isStatusWrite, planStatusWrite } from './status-plan.ts';

/** Salts that are tried: 64 bits are taken once by a prepared collision, not by chance. */
const SALTS = 8;

/** The parts of writes beside the nodes and the reads. */
export interface WriteContext {
  nodes: AlgodNodes;
  reads: Reads;
  registry: () => Promise<RegistryState>;
  appId: bigint;
  sponsor?: Sponsor;
  feeCap: number;
  salt: () => bigint;
}

/** The facts that plans depend on: of the sponsor its address alone, since payers of former boxes are named where they are others. */
export interface PlanContext extends Pick<WriteContext, 'reads' | 'appId' | 'salt'> {
  sponsor?: Pick<Sponsor, 'addr'>;
}

/** Finds the calls that perform a write, on what the ledger holds now. */
export const createPlanner = ({ reads, appId, sponsor, salt }: PlanContext) => {
  /** A salt whose data box does not exist. */
  const freeSalt = async (node: AlgodNode, key: Uint8Array, version: bigint): Promise<bigint> => {
    for (let tried = 0; tried < SALTS; tried++) {
      const one = salt();
      if (!(await node.readBox(appId, dataBox(dataIndex(key, version, one))))) return one;
    }
    throw new AppError('ledger-unavailable', 'the ledger shows a box under every name that was tried');
  };

  /** The state that a DID write starts from, read afresh. */
  const didState = async (node: AlgodNode, { key, did }: AlgoDid, found: FoundDid | undefined): Promise<DidState> => {
    if (found?.deactivated) throw new AppError('did-invalid', `${did} is deactivated`);
    const version = found?.metadata.fifth ?? 0n;
    const [staged, free] = await Promise.all([node.readBox(appId, stagedBox(key)), freeSalt(node, key, version + 1n)]);
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

  const ownerOf = ({ did }: { did: string }): AlgoDid => {
    const owner = reads.onNetwork(parseDid(did));
    if (owner.appId !== appId) throw new AppError('did-unsupported', `${owner.did} is not in application ${appId}`);
    return owner;
  };

  const documentBytes = (did: string, document: DidDocument): Uint8Array => {
    if (document.id !== did) throw new AppError('did-invalid', `the document is that of ${document.id}, not of ${did}`);
    return new TextEncoder().encode(canonical(document));
  };

  /**
   * The calls that perform a write, or `done` where the ledger holds exactly that. A write of several pieces is one group for each: the plan is that of the first
   * piece that is missing, with its number.
   */
  const planOf = async (node: AlgodNode, write: LedgerWrite, consensus: string): Promise<PiecePlan | 'done'> => {
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
    if (write.kind === 'did-rekey') throw new AppError('internal', 'a rekeying is no call of the registry');
    const found = await reads.found(owner);
    if (write.kind === 'did-operator') {
      if (found === undefined || found.deactivated)
        throw new AppError('did-not-found', `${owner.did} must be on the ledger before its operator`);
      const operator = write.operator === undefined ? new Uint8Array(32) : algosdk.decodeAddress(addressOf(write.operator)).publicKey;
      return found.info && Buffer.compare(found.info.operator, operator) === 0 ? 'done' : planOperator(owner, operator);
    }
    if (write.kind === 'did-deactivate') return found?.deactivated ? 'done' : planDidDeactivate(await didState(node, owner, found), limits);
    const bytes = documentBytes(owner.did, write.document);
    if (found && !found.deactivated && Buffer.compare(found.bytes, bytes) === 0) return 'done';
    return planDidPut(await didState(node, owner, found), bytes, limits);
  };

  return { ownerOf, planOf };
};

/** Plans, signs, sends and follows writes. */
export const createWrites = (
  context: WriteContext,
): Pick<Ledger, 'plan' | 'sign' | 'authority' | 'send' | 'outcome' | 'account' | 'estimate'> => {
  const { nodes, reads, registry, appId, sponsor, feeCap } = context;
  const { ownerOf, planOf } = createPlanner(context);
  const { accountOf, controlOf, senderOf, authority } = createAuthority(nodes, appId, ownerOf);

  const taskOf: TaskOf = async (node, write, consensus) => {
    if (write.kind !== 'did-rekey') return await planOf(node, write, consensus);
    const rekeyTo = controlAddress(write.control);
    return (await controlOf(node, ownerOf(write))).authority === rekeyTo ? 'done' : { rekeyTo };
  };

  const plan: Ledger['plan'] = async (write, operationId, keys = {}) => {
    const node = await nodes.current();
    const params = await node.parameters();
    // Nothing is paid to an application that is not the registry.
    const found = await registry();
    if (found.state !== 'ready') throw new AppError(found.state === 'unfunded' ? 'ledger-waiting' : 'ledger-wrong-network', found.reason);
    const task = await taskOf(node, write, params.consensusVersion);
    if (task === 'done') return { state: 'done' };
    if (sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured: the ledger can only be read');
    const owner = ownerOf(write);
    const sender = await senderOf(node, write, owner, keys);
    const frame: GroupFrame = {
      sponsor: sponsor.addr.toString(),
      account: sender.address,
      held: sender.account.amount,
      signatureBytes: signatureBytes(sender.address, sender.control),
      appId,
      firstRound: params.lastRound,
      minFee: Number(params.minFee),
      feePerByte: Number(params.fee),
      genesisHash: params.genesisHash,
      genesisId: params.genesisId,
      lease: Uint8Array.from(createHash('sha256').update(operationId).digest()),
    };
    const missing = Math.max(0, Number(sender.account.minBalance) - Number(sender.account.amount));
    const [group, deposit, piece] =
      'rekeyTo' in task ? [buildRekey(task.rekeyTo, missing, frame), missing] : [buildGroup(task, frame), task.deposit, task.piece];
    if (group.fee > feeCap) throw new AppError('ledger-waiting', `the fees of ${group.fee} microALGO are above the cap of ${feeCap}`);
    const { amount, minBalance } = await accountOf(node, sponsor.addr.toString());
    const needed = deposit + group.fee + group.advance + Number(minBalance);
    if (Number(amount) < needed) return { state: 'wait', needed, held: Number(amount) };
    return {
      state: 'planned',
      planned: {
        write: { ...write, did: owner.did },
        sender: { verkey: sender.verkey, control: sender.control },
        parts: partsOf(group),
        txids: group.txns.map(({ txn }) => txn.txID()),
        lastValid: Number(group.lastValid),
        ...(piece && { piece }),
      },
      cost: deposit + group.fee,
    };
  };

  const sign: Ledger['sign'] = async (planned, signers) => {
    if (signers.sponsor && sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured');
    const { write, sender } = planned;
    const { account: signer, keys, rekey } = signers;
    const own = verkeyOf(algosdk.encodeAddress(ownerOf(write).key));
    if (sender.verkey !== own && !(isOperated(write) && keys?.operators?.includes(sender.verkey)))
      throw new AppError('ledger-rejected', `${sender.verkey} is neither the key of ${write.did} nor its operator's`);
    const parts = await signParts(planned.parts, appId, {
      sponsor: signers.sponsor ? sponsor : undefined,
      account: signer && {
        address: addressOf(sender.verkey),
        control: sender.control,
        sign: signer,
        rekey: rekey && controlAddress(rekey),
      },
    });
    const next = { ...planned, parts };
    return { planned: next, signed: signedWrite(next) };
  };

  const { send, outcome } = createSending(nodes, reads, taskOf);
  return { plan, sign, authority, send, outcome, ...createCosts(nodes, sponsor, accountOf) };
};
