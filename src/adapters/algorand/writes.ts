import { createHash } from 'node:crypto';
import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';
import type { Control, DidDocument, Ledger, LedgerKeys, LedgerWrite, SignedWrite, WriteOutcome } from '../../ports/ledger.ts';
import { AlgodError, asLedgerError, orMissing } from './client.ts';
import { holdsPiece, packObject, unpackInfo, unpackMetadata } from './codec.ts';
import { addressOf, controlAddress, isOperated, signatureBytes, verkeyOf } from './control.ts';
import { buildGroup, buildRekey, type GroupFrame, partsOf, type Sponsor, signedWrite, signParts } from './group.ts';
import { type AlgoDid, canonical, dataBox, dataIndex, formatObjectId, infoBox, oidOf, parseDid, resourceBox, stagedBox } from './ids.ts';
import type { AlgodNode } from './node.ts';
import { type DidState, limitsOf, type Plan, planDidDeactivate, planDidPut, planObjectPut, planOperator } from './plan.ts';
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

const single = (verkey: string): Control => ({ threshold: 1, verkeys: [verkey] });

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
    if (write.kind === 'did-rekey') throw new AppError('internal', 'a rekeying is no call of the registry');
    const found = await reads.found(owner);
    if (write.kind === 'did-operator') {
      if (found === undefined || found.deactivated)
        throw new AppError('did-not-found', `${owner.did} must be on the ledger before its operator`);
      const operator = write.operator === undefined ? new Uint8Array(32) : algosdk.decodeAddress(addressOf(write.operator)).publicKey;
      return found.info && Buffer.compare(found.info.operator, operator) === 0 ? 'done' : planOperator(owner, operator);
    }
    if (write.kind === 'did-deactivate') return found?.deactivated ? 'done' : planDidDeactivate(await didState(owner, found), limits);
    const bytes = documentBytes(owner.did, write.document);
    if (found && !found.deactivated && Buffer.compare(found.bytes, bytes) === 0) return 'done';
    return planDidPut(await didState(owner, found), bytes, limits);
  };

  return { ownerOf, planOf };
};

/** Sends signed groups, and finds out what became of them. @param taskOf finds what is left to do of a write */
const createSender = (
  { node, reads }: WriteContext,
  taskOf: (write: LedgerWrite, consensus: string) => Promise<PiecePlan | { rekeyTo: string } | 'done'>,
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
    const effect = await taskOf(signed.write, '').catch((error: unknown) => {
      if (error instanceof AppError && error.row.retry) throw error;
      return undefined;
    });
    const piece = effect !== undefined && effect !== 'done' && 'calls' in effect ? effect.piece : undefined;
    const there = effect === 'done' || (signed.piece && piece && piece.number > signed.piece.number);
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
export const createWrites = (context: WriteContext): Pick<Ledger, 'plan' | 'sign' | 'authority' | 'send' | 'outcome'> => {
  const { node, registry, appId, sponsor, feeCap } = context;
  const { algod, parameters } = node;
  const { ownerOf, planOf } = createPlanner(context);

  const accountOf = async (address: string): Promise<algosdk.modelsv2.Account> =>
    await algod
      .accountInformation(address)
      .do()
      .catch((error: unknown) => {
        throw asLedgerError(error);
      });

  /** The account of a DID, and the address that signs for it. */
  const controlOf = async ({ key }: AlgoDid): Promise<{ address: string; account: algosdk.modelsv2.Account; authority: string }> => {
    const address = algosdk.encodeAddress(key);
    const account = await accountOf(address);
    return { address, account, authority: account.authAddr?.toString() ?? address };
  };

  /** Who sends the calls of a write: the control account, signed for by whichever of the keys has authority over it; or, for an object, an operator. */
  const senderOf = async (write: LedgerWrite, owner: AlgoDid, keys: LedgerKeys) => {
    const { address, account, authority } = await controlOf(owner);
    const controls = [single(verkeyOf(address)), ...(keys.controls ?? [])];
    const control = controls.find((one) => controlAddress(one) === authority);
    if (control) return { verkey: verkeyOf(address), address, account, control };
    const operator = isOperated(write) ? await operatorOf(owner) : undefined;
    if (operator === undefined || !keys.operators?.includes(operator))
      throw new AppError('ledger-rejected', `the control account ${address} is signed for by ${authority}, which is no key of this wallet`);
    return { verkey: operator, address: addressOf(operator), account: await accountOf(addressOf(operator)), control: single(operator) };
  };

  const operatorOf = async ({ key }: AlgoDid): Promise<string | undefined> => {
    const box = await node.readBox(appId, infoBox(key));
    const operator = box && unpackInfo(box)?.operator;
    return operator?.some((byte) => byte !== 0) ? verkeyOf(algosdk.encodeAddress(operator)) : undefined;
  };

  const authority: Ledger['authority'] = async (text) => {
    const owner = ownerOf(parseDid(text));
    await node.verify();
    const [{ address, account, authority: signer }, operator] = await Promise.all([controlOf(owner), operatorOf(owner)]);
    return { account: address, authority: signer, balance: Number(account.amount), ...(operator === undefined ? {} : { operator }) };
  };

  /** The calls of a write, or the address that it rekeys the control account to; or that nothing of it is left to do. */
  const taskOf = async (write: LedgerWrite, consensus: string): Promise<PiecePlan | { rekeyTo: string } | 'done'> => {
    if (write.kind !== 'did-rekey') return await planOf(write, consensus);
    const rekeyTo = controlAddress(write.control);
    return (await controlOf(ownerOf(write))).authority === rekeyTo ? 'done' : { rekeyTo };
  };

  const plan: Ledger['plan'] = async (write, operationId, keys = {}) => {
    const params = await parameters();
    // Nothing is paid to an application that is not the registry.
    const found = await registry();
    if (found.state !== 'ready') throw new AppError(found.state === 'unfunded' ? 'ledger-waiting' : 'ledger-wrong-network', found.reason);
    const task = await taskOf(write, params.consensusVersion);
    if (task === 'done') return { state: 'done' };
    if (sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured: the ledger can only be read');
    const owner = ownerOf(write);
    const sender = await senderOf(write, owner, keys);
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
    const { amount, minBalance } = await accountOf(sponsor.addr.toString());
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

  return { plan, sign, authority, ...createSender(context, taskOf) };
};

const rejected = (message: string): WriteOutcome => {
  const { code, detail, rebuild } = rejectionOf(message);
  return { state: 'rejected', reason: `${code}: ${detail}`, rebuild };
};
