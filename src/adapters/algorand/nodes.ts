import { AppError, asAppError } from '../../errors.ts';
import { type AlgodNode, LAG_ROUNDS } from './node.ts';

/** Several nodes of one network: none of them is believed alone where there are others. */
export interface AlgodNodes {
  readonly all: readonly AlgodNode[];
  /** How many nodes must give the same answer. */
  readonly quorum: number;
  /** The latest round that any of them has shown. */
  latest(): bigint;
  /**
   * A node to plan and send by: the first that answers, serves the network and is in step with the others.
   * @throws AppError `ledger-unavailable`, `ledger-wrong-network` of the first one
   */
  current(): Promise<AlgodNode>;
  /**
   * Asks one node after the other for what proves itself. `undefined` is an absence, which the next node may not share.
   * @throws AppError of the first node where none has an answer
   */
  any<T>(ask: (node: AlgodNode) => Promise<T | undefined>): Promise<T | undefined>;
  /**
   * Asks all nodes at once and waits for the first answer that as many give as it takes; the slow ones are not waited for.
   * @param sameAs a text that is the same for the same answer
   * @throws AppError of the node where there is one; `ledger-unavailable` where too few answer, or they disagree
   */
  agreed<T>(ask: (node: AlgodNode) => Promise<T>, sameAs: (answer: T) => string): Promise<T>;
  /** The answers of all nodes, in the order in which they come; none is waited for once `enough` is true. */
  each<T>(ask: (node: AlgodNode) => Promise<T>, enough?: (answers: readonly (T | AppError)[]) => boolean): Promise<(T | AppError)[]>;
}

/** How often nodes that disagree are asked again, and after how many ms: one may have a block that another has not. */
const ATTEMPTS = 3;
const PAUSE_MS = 1_500;

/** More than half of the nodes. */
const majorityOf = (nodes: number): number => Math.floor(nodes / 2) + 1;

/** @param quorum more than half of the nodes by default @throws RangeError for a quorum that nodes can never reach */
export const algodNodes = (all: readonly AlgodNode[], quorum = majorityOf(all.length)): AlgodNodes => {
  if (all.length === 0 || !Number.isInteger(quorum) || quorum < 1 || quorum > all.length)
    throw new RangeError(`no ${quorum} of ${all.length} nodes can agree`);
  const [only] = all as [AlgodNode, ...AlgodNode[]];
  const single = all.length === 1;

  const latest = (): bigint => {
    let round = 0n;
    for (const node of all) if (node.round() > round) round = node.round();
    return round;
  };

  /** One round of questions: the answer of the quorum, or what stands in its way. */
  const poll = async <T>(ask: (node: AlgodNode) => Promise<T>, sameAs: (answer: T) => string): Promise<{ answer: T } | AppError> =>
    await new Promise<{ answer: T } | AppError>((resolve) => {
      const votes = new Map<string, number>();
      const failures: AppError[] = [];
      let open = all.length;
      const ended = (): void => {
        open -= 1;
        if (open > 0) return;
        const answered = all.length - failures.length;
        const [first] = failures;
        resolve(
          answered < quorum && first
            ? new AppError(
                first.code === 'ledger-wrong-network' ? first.code : 'ledger-unavailable',
                `${answered} of the ${quorum} nodes that must agree answer: ${first.message}`,
                { cause: first },
              )
            : new AppError('ledger-unavailable', 'the nodes disagree about what the ledger holds'),
        );
      };
      for (const node of all)
        ask(node)
          .then(
            (answer) => {
              const name = sameAs(answer);
              const count = (votes.get(name) ?? 0) + 1;
              votes.set(name, count);
              if (count >= quorum) resolve({ answer });
            },
            (error: unknown) => void failures.push(asAppError(error)),
          )
          .then(ended);
    });

  return {
    all,
    quorum,
    latest,
    async current() {
      if (single) return only;
      let failure: AppError | undefined;
      for (const node of all) {
        try {
          await node.parameters();
        } catch (error) {
          failure ??= asAppError(error);
          continue;
        }
        const behind = latest() - node.round();
        if (behind <= LAG_ROUNDS) return node;
        failure ??= new AppError('ledger-unavailable', `the node ${node.host} is ${behind} rounds behind another one`);
      }
      throw failure;
    },
    async any(ask) {
      let failure: AppError | undefined;
      let absent = false;
      for (const node of all) {
        try {
          await node.verify();
          const answer = await ask(node);
          if (answer !== undefined) return answer;
          absent = true;
        } catch (error) {
          failure ??= asAppError(error);
        }
      }
      if (failure && !absent) throw failure;
      return undefined;
    },
    async agreed(ask, sameAs) {
      const verified = async (node: AlgodNode) => {
        await node.verify();
        return await ask(node);
      };
      if (single) return await verified(only);
      for (let attempt = 1; ; attempt++) {
        const outcome = await poll(verified, sameAs);
        if (!(outcome instanceof AppError)) return outcome.answer;
        if (attempt === ATTEMPTS || outcome.code !== 'ledger-unavailable' || outcome.cause !== undefined) throw outcome;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    },
    each: async <T>(ask: (node: AlgodNode) => Promise<T>, enough: (answers: readonly (T | AppError)[]) => boolean = () => false) =>
      await new Promise<(T | AppError)[]>((resolve) => {
        const answers: (T | AppError)[] = [];
        for (const node of all)
          void ask(node)
            .catch(asAppError)
            .then((answer) => {
              answers.push(answer);
              if (answers.length === all.length || enough(answers)) resolve([...answers]);
            });
      }),
  };
};
