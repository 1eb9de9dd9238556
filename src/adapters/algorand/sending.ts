import { AppError } from '../../errors.ts';
import type { Ledger, LedgerWrite, SignedWrite, WriteOutcome } from '../../ports/ledger.ts';
import { AlgodError, asLedgerError, orMissing } from './client.ts';
import type { AlgodNode } from './node.ts';
import type { AlgodNodes } from './nodes.ts';
import type { PiecePlan } from './plan.ts';
import type { Reads } from './reads.ts';
import { rejectionOf } from './reasons.ts';

/** Rounds that `send` waits for. */
const WAIT_ROUNDS = 4;

/** The calls of a write, or the address that it rekeys the control account to; or that nothing of it is left to do. */
export type TaskOf = (node: AlgodNode, write: LedgerWrite, consensus: string) => Promise<PiecePlan | { rekeyTo: string } | 'done'>;

/** Sends groups and follows them. */
export const createSending = (nodes: AlgodNodes, reads: Reads, taskOf: TaskOf): Pick<Ledger, 'send' | 'outcome'> => {
  const landed = (write: LedgerWrite, round: number): WriteOutcome => {
    reads.landed(write);
    return { state: 'confirmed', round };
  };

  /** The word of one node on a transaction; undefined where it has none. */
  const wordOf = async ({ algod }: AlgodNode, signed: SignedWrite): Promise<WriteOutcome | undefined> => {
    const found = await orMissing(algod.pendingTransactionInformation(signed.txids[0] ?? '').do());
    if (found === undefined) return undefined;
    if (found.confirmedRound) return { state: 'confirmed', round: Number(found.confirmedRound) };
    return found.poolError ? rejected(found.poolError) : { state: 'pending' };
  };

  /** The state of a transaction at the nodes: landed where a quorum has it, unknown where none of them has it. */
  const lookUp = async (signed: SignedWrite): Promise<WriteOutcome | undefined> => {
    type Word = WriteOutcome | undefined | AppError;
    const landedAt = (words: readonly Word[]) =>
      words.flatMap((word) => (word && 'state' in word && word.state === 'confirmed' ? [word.round] : []));
    const words: Word[] = await nodes.each(
      (node) => wordOf(node, signed),
      (sofar) => landedAt(sofar).length >= nodes.quorum,
    );
    const rounds = landedAt(words);
    if (rounds.length >= nodes.quorum) return landed(signed.write, Math.min(...rounds));
    const answers = words.filter((word): word is WriteOutcome | undefined => !(word instanceof AppError));
    if (answers.length === 0) throw words[0] as AppError;
    if (rounds.length > 0) return { state: 'pending' };
    return answers.find((word) => word?.state === 'pending') ?? answers.find((word) => word !== undefined);
  };

  const outcome: Ledger['outcome'] = async (signed) => {
    // The round first: what is not found at a round past the validity was not there at its end.
    const node = await nodes.current();
    const { lastRound: round } = await node.parameters();
    const found = await lookUp(signed);
    if (found) return found;
    if (round <= BigInt(signed.lastValid)) return { state: 'pending' };
    // A node forgets transactions after 1000 rounds, but not their effect.
    const effect = await taskOf(node, signed.write, '').catch((error: unknown) => {
      if (error instanceof AppError && error.row.retry) throw error;
      return undefined;
    });
    const piece = effect !== undefined && effect !== 'done' && 'calls' in effect ? effect.piece : undefined;
    const there = effect === 'done' || (signed.piece && piece && piece.number > signed.piece.number);
    return there ? landed(signed.write, Number(round)) : { state: 'expired' };
  };

  /** Hands a group to the first node that takes or refuses it. @throws AlgodError of a refusal, AppError `ledger-unavailable` where no node answers */
  const submit = async (signed: SignedWrite): Promise<AlgodNode> => {
    const group = Uint8Array.from(Buffer.from(signed.group, 'base64'));
    const current = await nodes.current();
    let failure: AppError | undefined;
    for (const node of [current, ...nodes.all.filter((one) => one !== current)]) {
      try {
        await node.algod.sendRawTransaction(group).do();
        return node;
      } catch (error) {
        if (error instanceof AlgodError && error.response.status === 400) {
          const { code, detail } = rejectionOf(error.message);
          if (code !== 'busy') throw error;
          // The node takes nothing from anybody for the moment: what was signed is sent again later, and signed anew where it has expired by then.
          failure ??= new AppError('ledger-unavailable', detail);
        } else failure ??= asLedgerError(error);
      }
    }
    throw failure;
  };

  const send: Ledger['send'] = async (signed) => {
    let node: AlgodNode;
    try {
      node = await submit(signed);
    } catch (error) {
      if (!(error instanceof AlgodError)) throw error;
      const { code } = rejectionOf(error.message);
      if (code === 'in-ledger' || code === 'expired') return outcome(signed);
      // A confirmed group that is sent again meets its own lease before its id.
      return (code === 'lease' && (await lookUp(signed))) || rejected(error.message);
    }
    for (let waited = 0; waited < WAIT_ROUNDS; waited++) {
      const found = await lookUp(signed);
      if (found && found.state !== 'pending') return found;
      const { lastRound: round } = await node.parameters();
      if (round > BigInt(signed.lastValid)) return outcome(signed);
      // A node that makes no empty blocks answers when there is one: the group is there, and waits.
      const block = await node.algod
        .statusAfterBlock(round)
        .do()
        .catch(() => undefined);
      if (block === undefined) break;
    }
    return (await lookUp(signed)) ?? { state: 'pending' };
  };

  return { send, outcome };
};

const rejected = (message: string): WriteOutcome => {
  const { code, detail, rebuild } = rejectionOf(message);
  return { state: 'rejected', reason: `${code}: ${detail}`, rebuild };
};
