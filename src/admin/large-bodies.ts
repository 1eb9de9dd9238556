import { AppError } from '../errors.ts';

/** Bodies of so many bytes take turns. */
export const LARGE_BYTES = 64 << 10;
/** Bytes that may wait: of one sender, and in all. */
const MAX_EACH = 8 << 20;
const MAX_ALL = 64 << 20;
/** A body that is read in less is nobody's wait. */
const SHORT_MS = 2;
/** Pauses after a body, in times of its own: before another one of the sender, and before any. */
const OWN_PAUSES = 20;
const PAUSES = 4;
const MAX_PAUSE_MS = 1000;

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
  readonly giveWay: () => void;
}

/** Turns of large bodies by their senders: to parse one holds the event loop for tens of ms, in which nobody else is answered. */
export interface LargeBodies {
  /** Reads a body of so many bytes when it is its turn. @throws AppError `busy` where too much of its sender, or in all, waits already; and what `read` throws */
  read<T>(sender: string, bytes: number, read: () => T): Promise<T>;
}

/** Has large bodies read one at a time, in turn by sender, each after a pause that lets others be answered. */
export function createLargeBodies(now: () => number = performance.now.bind(performance)): LargeBodies {
  const queues = new Map<string, Waiting[]>();
  /** When the next body of a sender may be read, where that is later than now. */
  const notBefore = new Map<string, number>();
  let anyNotBefore = 0;
  let bytesWaiting = 0;
  let timer: NodeJS.Timeout | undefined;

  const mayAt = (sender: string): number => Math.max(anyNotBefore, notBefore.get(sender) ?? 0);

  const bytesOf = (queue: readonly Waiting[]): number => queue.reduce((sum, one) => sum + one.bytes, 0);

  /** Makes room in all: whoever came last of those who have most waiting gives way to one who has less. @returns whether there is room now */
  function hasRoom(own: number, bytes: number): boolean {
    while (bytesWaiting > 0 && bytesWaiting + bytes > MAX_ALL) {
      const [sender, queue] = [...queues].reduce((one, other) => (bytesOf(other[1]) > bytesOf(one[1]) ? other : one));
      if (bytesOf(queue) <= own + bytes) return false;
      const last = queue.pop()!;
      if (queue.length === 0) queues.delete(sender);
      bytesWaiting -= last.bytes;
      last.giveWay();
    }
    return true;
  }

  /** Looks when the first of those that wait may be read, in a turn of the event loop of its own. */
  function schedule(): void {
    clearTimeout(timer);
    if (queues.size === 0) return;
    const first = Math.min(...[...queues.keys()].map(mayAt));
    timer = setTimeout(next, Math.max(1, Math.ceil(first - now())));
  }

  function next(): void {
    const at = now();
    for (const [sender, when] of notBefore) if (when <= at) notBefore.delete(sender);
    const turn = [...queues].find(([sender]) => mayAt(sender) <= at);
    if (turn) {
      const [sender, queue] = turn;
      const one = queue.shift()!;
      bytesWaiting -= one.bytes;
      // the sender of this one goes behind the others
      queues.delete(sender);
      if (queue.length > 0) queues.set(sender, queue);
      one.go();
    }
    schedule();
  }

  function ended(sender: string, ms: number): void {
    if (ms <= SHORT_MS) return;
    const at = now();
    anyNotBefore = at + Math.min(MAX_PAUSE_MS, PAUSES * ms);
    notBefore.set(sender, at + Math.min(MAX_PAUSE_MS, OWN_PAUSES * ms));
  }

  return {
    read: (sender, bytes, read) =>
      new Promise((resolve, reject) => {
        const queue = queues.get(sender) ?? [];
        const own = bytesOf(queue);
        const giveWay = (): void => reject(new AppError('busy', 'Too many large bodies wait already: come back in a moment'));
        if ((own > 0 && own + bytes > MAX_EACH) || !hasRoom(own, bytes)) return giveWay();
        const go = (): void => {
          const before = now();
          try {
            resolve(read());
          } catch (error) {
            reject(error);
          } finally {
            ended(sender, now() - before);
          }
        };
        queue.push({ bytes, go, giveWay });
        queues.set(sender, queue);
        bytesWaiting += bytes;
        schedule();
      }),
  };
}
