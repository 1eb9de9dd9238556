/** How many of one target are tried at once: at first, and at most when all goes well. */
const FEW = 4;
const MANY = 64;
/** An attempt that takes longer makes its target a slow one. */
const SLOW_MS = 1000;
/** Attempts in a row without an answer after which a target is left alone; for how long at first, and at most. */
const STRIKES = 3;
const OPEN_MS = 1000;
const MAX_OPEN_MS = 60_000;
/** How long one waits here for its turn at a target that answers, and when it comes back to one that does not. */
const TURN_MS = 1000;
const AGAIN_MS = 5000;
/** Targets that are kept. The one of the oldest attempt goes first: that costs a few attempts. */
const MAX_TARGETS = 10_000;

interface Target {
  /** How many may be tried at once; it grows by one with each answer. */
  window: number;
  inHand: number;
  /** Those in hand that take long. */
  slow: number;
  strikes: number;
  openUntil: number;
  waiting: Set<() => void> | undefined;
}

/** Ends an attempt. `true`: it went well; `false`: no answer came; neither: it was answered, and the answer is no reason to try more at once. */
export type EndAttempt = (went?: boolean) => void;

/** The state of the receivers of mail and webhooks. In memory alone: waiting jobs are in the store. */
export interface Breaker {
  /** Room of a target of which nothing is known. */
  readonly first: number;
  /** How many more may be tried now. */
  room(target: string): number;
  /** All targets of which something is known. */
  known(): Iterable<readonly [target: string, room: number]>;
  begin(target: string): EndAttempt;
  /** Waits for a turn, where that comes soon. @returns in how many ms to come back where it does not; undefined: now */
  turn(target: string): Promise<number | undefined>;
}

/**
 * A circuit breaker for each target, with a window that opens slowly: a few at once at first, more with each answer, few again as soon as one takes long. After
 * some attempts in a row without an answer the target is left alone for a while, then tried by one at a time.
 */
export function createBreaker(now: () => number = performance.now.bind(performance), slowMs = SLOW_MS): Breaker {
  const targets = new Map<string, Target>();

  function of(name: string): Target {
    const target = targets.get(name) ?? { window: FEW, inHand: 0, slow: 0, strikes: 0, openUntil: 0, waiting: undefined };
    targets.delete(name);
    targets.set(name, target);
    if (targets.size > MAX_TARGETS) {
      for (const [other, { inHand }] of targets) {
        if (inHand > 0) continue;
        targets.delete(other);
        break;
      }
    }
    return target;
  }

  const isAway = ({ strikes }: Target): boolean => strikes >= STRIKES;

  function roomOf(target: Target): number {
    const { window, inHand, slow, openUntil } = target;
    if (isAway(target)) return now() < openUntil ? 0 : Math.max(0, 1 - inHand);
    return Math.max(0, (slow > 0 ? Math.min(window, FEW) : window) - inHand);
  }

  function note(target: Target, went: boolean | undefined, wasSlow: boolean): void {
    if (went === false) {
      target.strikes++;
      target.window = FEW;
      target.openUntil = now() + Math.min(MAX_OPEN_MS, OPEN_MS * 2 ** Math.min(20, Math.max(0, target.strikes - STRIKES)));
    } else {
      // one that was away, or takes long, begins anew
      if (isAway(target) || wasSlow) target.window = FEW;
      else if (went) target.window = Math.min(MANY, target.window + 1);
      target.strikes = 0;
    }
  }

  return {
    first: FEW,
    room: (name) => {
      const target = targets.get(name);
      return target ? roomOf(target) : FEW;
    },
    *known() {
      for (const [name, target] of targets) yield [name, roomOf(target)] as const;
    },
    begin(name) {
      const target = of(name);
      target.inHand++;
      let wasSlow = false;
      const timer = setTimeout(() => {
        wasSlow = true;
        target.slow++;
      }, slowMs);
      let over = false;
      return (went) => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        target.inHand--;
        if (wasSlow) target.slow--;
        note(target, went, wasSlow);
        for (const wake of [...(target.waiting ?? [])].slice(0, roomOf(target))) wake();
        // nothing to remember
        if (target.inHand === 0 && target.strikes === 0 && target.window === FEW && !target.waiting) targets.delete(name);
      };
    },
    async turn(name) {
      const deadline = now() + TURN_MS;
      for (;;) {
        const target = targets.get(name);
        if (!target || roomOf(target) > 0) return undefined;
        const scatter = 0.8 + Math.random() * 0.4;
        if (isAway(target) || target.slow > 0) return Math.max(AGAIN_MS * scatter, (target.openUntil - now()) * scatter);
        const left = deadline - now();
        if (left <= 0) return AGAIN_MS * scatter;
        await new Promise<void>((resolve) => {
          const waiting = target.waiting ?? new Set();
          target.waiting = waiting;
          const done = (): void => {
            clearTimeout(timer);
            waiting.delete(done);
            if (waiting.size === 0) target.waiting = undefined;
            resolve();
          };
          const timer = setTimeout(done, left);
          waiting.add(done);
        });
      }
    },
  };
}
