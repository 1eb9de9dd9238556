import { createHash, createPublicKey, verify } from 'node:crypto';
import algosdk from 'algosdk';
import { AppError, asAppError } from '../../errors.ts';
import {
  type CheckedGroup,
  type Endorsed,
  type EndorsedGroup,
  type EndorsementRequest,
  GROUP_FORMAT,
  type LedgerEndorsement,
  type RefusalReason,
} from '../../ports/endorsement.ts';
import type { LedgerWrite, PlannedPart } from '../../ports/ledger.ts';
import { createAuthority } from './authority.ts';
import { addressOf, isOperated } from './control.ts';
import { buildGroup, signParts } from './group.ts';
import { parseDid } from './ids.ts';
import type { AlgodNode } from './node.ts';
import type { Plan } from './plan.ts';
import { createPlanner, type WriteContext } from './writes.ts';

/** Algorand's longest validity. */
const MAX_ROUNDS = 1000;
/** Calls of a group beside its payment. */
const MAX_CALLS = 15;
const MAX_SALT = 0xffff_ffff_ffff_ffffn;
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** The side at fault where a write cannot be planned, by the error of the plan. */
const REASONS: Readonly<Record<string, RefusalReason>> = {
  'did-not-found': 'sender',
  'did-invalid': 'sender',
  'did-unsupported': 'network',
  'object-invalid': 'object',
  'too-large': 'object',
  'object-not-found': 'stale',
  'bad-request': 'object',
  'status-overtaken': 'stale',
};

const refused = (reason: RefusalReason, detail: string): Endorsed => ({ state: 'refused', reason, detail });

type Context = WriteContext & { network: string };
type Params = algosdk.modelsv2.TransactionParametersResponse;
type PlanOf = ReturnType<typeof createPlanner>['planOf'];

const genesisOf = (params: { genesisHash: Uint8Array }): string => Buffer.from(params.genesisHash).toString('base64');

/** The reads of both sides before they plan. */
const surroundings = (context: Context) => {
  const gross = createPlanner({ ...context, sponsor: undefined });
  return {
    ownerOf: gross.ownerOf,
    authorities: createAuthority(context.nodes, context.appId, gross.ownerOf),
    /** The node to plan by and its parameters, where its network and registry are the expected ones. */
    async current(): Promise<{ node: AlgodNode; params: Params }> {
      const node = await context.nodes.current();
      const params = await node.parameters();
      const found = await context.registry();
      if (found.state !== 'ready') throw new AppError(found.state === 'unfunded' ? 'ledger-waiting' : 'ledger-wrong-network', found.reason);
      return { node, params };
    },
    /** The plan of a write for any payer: nothing that an earlier version locks counts as the payer's. */
    grossPlan: gross.planOf,
  };
};

/** The endorser's side. */
const createEndorser = (context: Context): Pick<LedgerEndorsement, 'endorse'> => {
  const { appId, network, sponsor, feeCap } = context;
  const { current, grossPlan, authorities } = surroundings(context);

  /** The part of a request that needs no planning to check. */
  const faultOf = (given: EndorsementRequest, genesisHash: string): Endorsed | undefined => {
    if (given.format !== GROUP_FORMAT) return refused('network', 'the attachment has another format');
    if (given.network !== network || given.genesisHash !== genesisHash || given.appId !== Number(appId))
      return refused('network', `this agent writes to application ${appId} of ${network}`);
    try {
      const { did } = parseDid(given.did);
      if (parseDid(given.write.did).did !== did) return refused('sender', 'the write is one of another DID');
      if (given.write.kind === 'did-put' && given.write.document.id !== did)
        return refused('object', 'the document is that of another DID');
      return undefined;
    } catch (error) {
      return refused('sender', asAppError(error).message);
    }
  };

  /** Whether an account may send the calls of a write: that of the DID, or of its operator where an operator may write that. */
  const maySend = async ({ account, did, write }: EndorsementRequest): Promise<boolean> => {
    const found = await authorities.authority(did);
    return account === found.account || (isOperated(write) && found.operator !== undefined && account === addressOf(found.operator));
  };

  const endorse: LedgerEndorsement['endorse'] = async (unknown, { operationId, rounds }) => {
    if (sponsor === undefined) throw new AppError('ledger-none', 'no sponsor account is configured: nothing can be endorsed');
    const given = unknown as EndorsementRequest;
    const { node, params } = await current();
    const fault = faultOf(given, genesisOf(params));
    if (fault) return fault;
    if (Number(params.fee) > 0)
      throw new AppError('ledger-waiting', 'the network is congested, and every account would have to pay its own fees');
    let used: bigint | undefined;
    const salt = (): bigint => {
      used = context.salt();
      return used;
    };
    const planner = createPlanner({ ...context, salt });
    let plan: Plan;
    try {
      if (!(await maySend(given))) return refused('sender', 'the account is neither that of the DID nor of its operator');
      const gross = await grossPlan(node, given.write, params.consensusVersion);
      if (gross === 'done') return refused('stale', 'the ledger holds exactly that');
      if (gross.deposit !== given.deposit) return refused('amount', `the deposit is ${gross.deposit} microALGO, not ${given.deposit}`);
      const own = await planner.planOf(node, given.write, params.consensusVersion);
      if (own === 'done') return refused('stale', 'the ledger holds exactly that');
      plan = own;
    } catch (thrown) {
      const error = asAppError(thrown);
      const reason = REASONS[error.code];
      if (reason !== undefined) return refused(reason, error.message);
      // a stranger's object that breaks the plan is none that could be written
      if (error.code === 'internal') return refused('object', 'the write cannot be planned');
      throw thrown;
    }
    const group = buildGroup(plan, {
      sponsor: sponsor.addr.toString(),
      account: given.account,
      held: 0n,
      appId,
      firstRound: params.lastRound,
      minFee: Number(params.minFee),
      feePerByte: 0,
      genesisHash: params.genesisHash,
      genesisId: params.genesisId,
      lease: Uint8Array.from(createHash('sha256').update(operationId).digest()),
      rounds: Math.min(rounds, MAX_ROUNDS),
    });
    if (group.fee > feeCap) return refused('amount', `the fees of ${group.fee} microALGO are above the cap of ${feeCap}`);
    const { amount, minBalance } = await authorities.accountOf(node, sponsor.addr.toString());
    const needed = plan.deposit + group.fee + Number(minBalance);
    if (Number(amount) < needed) return { state: 'wait', needed, held: Number(amount) };
    const parts = group.txns.map(({ txn, by }): PlannedPart => ({ by, txn: encoded(txn) }));
    const [payment, ...calls] = await signParts(parts, appId, { sponsor });
    return {
      state: 'endorsed',
      cost: plan.deposit + group.fee,
      group: {
        format: GROUP_FORMAT,
        payment: payment!.signed!,
        calls: calls.map(({ txn }) => txn),
        sponsor: sponsor.addr.toString(),
        firstValid: Number(params.lastRound),
        lastValid: Number(group.lastValid),
        ...(used !== undefined && { salt: used.toString() }),
      },
    };
  };

  return { endorse };
};

/** The author's side. */
const createAuthor = (context: Context): Pick<LedgerEndorsement, 'request' | 'check'> => {
  const { appId, network } = context;
  const { current, grossPlan, ownerOf, authorities } = surroundings(context);

  const request: LedgerEndorsement['request'] = async (write, keys = {}) => {
    if (write.kind === 'did-rekey') throw new AppError('bad-request', 'a change of who has authority over a DID is not endorsed');
    const { node, params } = await current();
    const owner = ownerOf(write);
    const { did } = owner;
    const plan = await grossPlan(node, { ...write, did }, params.consensusVersion);
    if (plan === 'done') return { state: 'done' };
    const { address: account } = await authorities.senderOf(node, write, owner, keys);
    const genesisHash = genesisOf(params);
    return {
      state: 'requested',
      request: {
        format: GROUP_FORMAT,
        network,
        genesisHash,
        appId: Number(appId),
        write: { ...write, did },
        did,
        account,
        deposit: plan.deposit,
      },
    };
  };

  /** The author's plan of a write under the salt that the endorser has chosen: another one stands for a salt that is taken by now. */
  const planWith = (node: AlgodNode, write: LedgerWrite, group: EndorsedGroup, consensus: string): ReturnType<PlanOf> => {
    const salts = group.salt === undefined ? [] : [BigInt(group.salt)];
    return createPlanner({
      ...context,
      sponsor: { addr: algosdk.Address.fromString(group.sponsor) },
      salt: () => salts.pop() ?? context.salt(),
    }).planOf(node, write, consensus);
  };

  const check: LedgerEndorsement['check'] = async (write, unknown, keys = {}): Promise<CheckedGroup> => {
    const { node, params } = await current();
    const owner = ownerOf(write);
    const { did } = owner;
    const no = (detail: string): CheckedGroup => ({ state: 'refused', detail });
    let read: ReadGroup;
    try {
      read = readGroup(unknown);
    } catch (error) {
      return no(`the group cannot be read: ${(error as Error).message.slice(0, 200)}`);
    }
    const { group, payment, calls } = read;
    const fault = envelopeFault(read, genesisOf(params));
    if (fault) return no(fault);
    if (params.lastRound >= BigInt(group.lastValid)) return { state: 'expired' };
    const plan = await planWith(node, { ...write, did }, group, params.consensusVersion);
    if (plan === 'done') return { state: 'done' };
    const sender = await authorities.senderOf(node, write, owner, keys);
    const wrong = planFault(read, plan, { account: sender.address, appId, params });
    if (wrong) return no(wrong);
    return {
      state: 'checked',
      planned: {
        write: { ...write, did },
        sender: { verkey: sender.verkey, control: sender.control },
        parts: [
          { by: 'sponsor', txn: encoded(payment), signed: group.payment },
          ...calls.map((txn): PlannedPart => ({ by: 'account', txn: encoded(txn) })),
        ],
        txids: [payment, ...calls].map((txn) => txn.txID()),
        lastValid: group.lastValid,
        ...(plan.piece && { piece: plan.piece }),
      },
    };
  };

  return { request, check };
};

/** Endorsement on Algorand: the endorser pays in the first transaction of a group, the author signs the calls behind it. */
export const createEndorsement = (context: Context): LedgerEndorsement => ({ ...createAuthor(context), ...createEndorser(context) });

const encoded = (txn: algosdk.Transaction): string => Buffer.from(algosdk.encodeUnsignedTransaction(txn)).toString('base64');

/** A group of an endorser, decoded. */
interface ReadGroup {
  group: EndorsedGroup;
  payment: algosdk.Transaction;
  /** Of the payment, by its sender's key. */
  signature: Uint8Array;
  calls: algosdk.Transaction[];
}

const bytesOf = (text: unknown): Uint8Array => {
  if (typeof text !== 'string') throw new Error('a transaction is no text');
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  if (Buffer.from(bytes).toString('base64') !== text) throw new Error('a transaction is not base64');
  return bytes;
};

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** @throws Error for what is no group: each transaction must be written as this library would write it */
const readGroup = (unknown: unknown): ReadGroup => {
  const group = unknown as EndorsedGroup;
  if (typeof group !== 'object' || group === null || group.format !== GROUP_FORMAT) throw new Error('its format is another');
  if (!Array.isArray(group.calls) || group.calls.length === 0 || group.calls.length > MAX_CALLS)
    throw new Error('its calls are none, or too many');
  if (!Number.isSafeInteger(group.firstValid) || !Number.isSafeInteger(group.lastValid)) throw new Error('its rounds are no numbers');
  if (group.salt !== undefined && !(typeof group.salt === 'string' && /^\d{1,20}$/.test(group.salt)))
    throw new Error('its salt is no number');
  if (group.salt !== undefined && BigInt(group.salt) > MAX_SALT) throw new Error('its salt is too large');
  const bytes = bytesOf(group.payment);
  const signed = algosdk.decodeSignedTransaction(bytes);
  if (!signed.sig || signed.msig || signed.lsig || signed.pqsig || signed.sgnr)
    throw new Error('the payment has no signature of its sender');
  if (!same(algosdk.encodeMsgpack(signed), bytes)) throw new Error('the payment is not in its one form');
  const calls = group.calls.map((text) => {
    const call = bytesOf(text);
    const txn = algosdk.decodeUnsignedTransaction(call);
    if (!same(algosdk.encodeUnsignedTransaction(txn), call)) throw new Error('a call is not in its one form');
    return txn;
  });
  return { group, payment: signed.txn, signature: signed.sig, calls };
};

/** The fault in the frame of a group, whatever it writes; undefined where there is none. */
const envelopeFault = ({ group, payment, signature, calls }: ReadGroup, genesisHash: string): string | undefined => {
  const all = [payment, ...calls];
  if (payment.sender.toString() !== group.sponsor) return 'the payment is not of the sponsor that is named';
  const key = createPublicKey({ key: Buffer.concat([SPKI, payment.sender.publicKey]), format: 'der', type: 'spki' });
  if (!verify(null, payment.bytesToSign(), key, signature)) return 'the signature of the payment is false';
  for (const txn of all) {
    if (Buffer.from(txn.genesisHash ?? []).toString('base64') !== genesisHash) return 'a transaction is one of another network';
    if (txn.firstValid !== BigInt(group.firstValid) || txn.lastValid !== BigInt(group.lastValid))
      return 'the rounds of the group are not one';
    if (txn.rekeyTo !== undefined) return 'a transaction hands an account on';
  }
  const id = algosdk.computeGroupID(all.map(ungrouped));
  if (all.some((txn) => txn.group === undefined || !same(txn.group, id))) return 'the group is not exactly these transactions';
  return undefined;
};

const ungrouped = (txn: algosdk.Transaction): algosdk.Transaction => {
  const copy = algosdk.decodeUnsignedTransaction(algosdk.encodeUnsignedTransaction(txn));
  copy.group = undefined;
  return copy;
};

/** The difference between a group and the author's own plan of the write; undefined where there is none. Box references may differ: they permit, and change nothing. */
const planFault = (
  { payment, calls }: ReadGroup,
  plan: Plan,
  own: { account: string; appId: bigint; params: Params },
): string | undefined => {
  const { account, appId, params } = own;
  const { payment: pay } = payment;
  const fees = BigInt(params.minFee) * BigInt(1 + plan.calls.length + plan.refunds);
  if (!pay?.receiver.equals(algosdk.getApplicationAddress(appId)) || pay.closeRemainderTo !== undefined)
    return 'the first transaction is no payment to the registry';
  if (pay.amount < BigInt(plan.deposit)) return `the payment is ${pay.amount} microALGO, and the deposit ${plan.deposit}`;
  if (payment.fee < fees) return `the fee is ${payment.fee} microALGO, and the group needs ${fees}`;
  if (calls.length !== plan.calls.length) return `the group has ${calls.length} calls, and the write needs ${plan.calls.length}`;
  for (const [i, txn] of calls.entries()) {
    const call = txn.applicationCall;
    const planned = plan.calls[i]!;
    if (!call) return 'a transaction is no call';
    if (call.boxes.some((box) => box.appIndex !== 0n && box.appIndex !== appId)) return 'a call names a box of another application';
    const expected = algosdk.makeApplicationNoOpTxnFromObject({
      sender: account,
      appIndex: appId,
      appArgs: planned.args,
      boxes: call.boxes.map(({ appIndex, name }) => ({ appIndex, name })),
      accounts: [...call.accounts],
      suggestedParams: {
        fee: 0n,
        flatFee: true,
        minFee: Number(params.minFee),
        firstValid: txn.firstValid,
        lastValid: txn.lastValid,
        genesisHash: params.genesisHash,
        genesisID: params.genesisId,
      },
    });
    expected.group = txn.group;
    if (!same(algosdk.encodeUnsignedTransaction(expected), algosdk.encodeUnsignedTransaction(txn)))
      return `call ${i + 1} is not that of this write`;
  }
  return undefined;
};
