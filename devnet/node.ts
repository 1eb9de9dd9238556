import algosdk from 'algosdk';
import { deployGroup } from './genesis.ts';
import type { Journal } from './journal.ts';
import { type Block, createLedger, type Genesis, type Ledger, type Receipt, Refused } from './ledger.ts';
import { splitGroup } from './wire.ts';

/** Seconds between two blocks of the virtual clock. */
const BLOCK_SECONDS = 3n;

/** The times of blocks: 3 seconds after one another from the genesis on, or those of the machine's clock, at least a second after one another. */
export type Clock = 'virtual' | 'wall';

export interface NodeOptions {
  genesis: Genesis;
  journal?: Journal;
  /** Milliseconds between blocks; 0 closes a block for every group, before it is answered. */
  blockMs?: number;
  /** Milliseconds without a group after which an empty block is closed; 0 for never. */
  idleMs?: number;
  /** `virtual` by default. */
  clock?: Clock;
}

/** What a pool asks for and refuses, as a test or a demo sets it. */
export interface Pool {
  /** MicroALGO that each transaction's own fee must be for every byte of it; 0 while there is no congestion. */
  feePerByte: number;
  /** The pool is full, or the node is stopping or starting: every group is refused. */
  refuse?: 'full' | 'stopping' | 'starting';
  /** No empty block is closed for those who wait, as in algod's DevMode. */
  silent: boolean;
}

export const OPEN_POOL: Pool = Object.freeze({ feePerByte: 0, silent: false });

const REFUSALS: Record<NonNullable<Pool['refuse']>, string> = {
  full: 'TransactionPool.checkPendingQueueSize: transaction pool has reached capacity',
  stopping: 'transaction pool is shutting down',
  starting: 'TransactionPool.ingest: no pending block evaluator',
};

/** How long algod lets somebody wait for a block. */
const WAIT_MS = 60_000;

/** A node of one: the ledger, its pool and its blocks. */
export interface DevNode {
  readonly ledger: Ledger;
  /** The ledger that reads see: the present one, or one some rounds behind while `lag` is set. */
  view(): Ledger;
  /** Takes a group; returns the id of its first transaction. The dev ledger's own go in whatever the pool asks for. @throws Refused */
  submit(group: Uint8Array, own?: boolean): string;
  /** What the pool asks for; assigned as a whole. */
  pool: Pool;
  /** Closes empty blocks. */
  advance(rounds: number): void;
  /** Reads lag this many rounds behind; 0 ends it. */
  lag(rounds: number): void;
  pooled(txid: string): { receipt: Receipt; error: string } | undefined;
  /** Resolves when a block after `round` exists, or after a minute; closes an empty one if nothing else would, unless the pool is silent. */
  blockAfter(round: bigint): Promise<void>;
  close(): void;
}

/** The pool wants its fee of each transaction: what others of the group pay too much counts for the minimum fee alone. */
const checkPool = (group: Uint8Array, { feePerByte, refuse }: Pool): void => {
  if (refuse) throw new Refused(REFUSALS[refuse], { pooled: false });
  if (feePerByte === 0) return;
  for (const part of splitGroup(group)) {
    const { fee } = algosdk.decodeSignedTransaction(part).txn;
    const threshold = feePerByte * part.length;
    if (fee < BigInt(threshold))
      throw new Refused(`fee {${fee}} below threshold ${threshold} (${feePerByte} per byte * ${part.length} bytes)`);
  }
};

const applyBlock = (target: Ledger, groups: readonly Uint8Array[], timestamp: bigint): Block => {
  for (const group of groups) target.evaluate(group, { keep: true });
  return target.close(groups, timestamp);
};

const replay = (ledger: Ledger, journal: Journal | undefined): void => {
  for (const { r, t, g } of journal?.entries ?? []) {
    if (BigInt(r) !== ledger.last().round + 1n) throw new Error(`the journal has round ${r} after round ${ledger.last().round}`);
    applyBlock(
      ledger,
      g.map((group) => Uint8Array.from(Buffer.from(group, 'base64'))),
      BigInt(t),
    );
  }
};

/** Starts a node: deploys the registry in round 1 and replays the journal. @throws Error if a journalled group is refused */
export const startNode = ({ genesis, journal, blockMs = 0, idleMs = 0, clock = 'virtual' }: NodeOptions): DevNode => {
  const ledger = createLedger(genesis);
  let replica: Ledger | undefined;
  let pending: { group: Uint8Array; receipts: Receipt[]; error: string }[] = [];
  let failed: typeof pending = [];
  let waiting: (() => void)[] = [];
  let lastClosed = Date.now();

  const virtualTime = (): bigint => ledger.last().timestamp + BLOCK_SECONDS;
  const wallTime = (): bigint => {
    const [next, now] = [ledger.last().timestamp + 1n, BigInt(Math.floor(Date.now() / 1000))];
    return now > next ? now : next;
  };
  const nextTime = clock === 'wall' ? wallTime : virtualTime;

  // The first block is in no journal: its time is the same at each start.
  applyBlock(ledger, [deployGroup(genesis)], virtualTime());
  replay(ledger, journal);

  /** Closes the block whose groups are evaluated; the journal has it before anybody hears of it. */
  const close = (groups: readonly Uint8Array[]): void => {
    const timestamp = nextTime();
    const round = Number(ledger.last().round) + 1;
    const entry = { r: round, t: Number(timestamp), g: groups.map((group) => Buffer.from(group).toString('base64')) };
    try {
      journal?.append(entry, groups.length > 0);
    } catch (error) {
      ledger.abandon();
      throw error;
    }
    ledger.close(groups, timestamp);
    lastClosed = Date.now();
    const awake = waiting;
    waiting = [];
    for (const wake of awake) wake();
  };

  const closePool = (): void => {
    const entries = pending;
    pending = [];
    const kept = entries.filter((entry) => {
      try {
        ledger.evaluate(entry.group, { keep: true });
        return true;
      } catch (error) {
        entry.error = error instanceof Error ? error.message : String(error);
        failed = [...failed.slice(-100), entry];
        return false;
      }
    });
    close(kept.map(({ group }) => group));
  };

  const timer =
    blockMs > 0
      ? setInterval(closePool, blockMs)
      : idleMs > 0
        ? setInterval(
            () => {
              if (Date.now() - lastClosed >= idleMs) close([]);
            },
            Math.max(50, idleMs / 4),
          )
        : undefined;
  timer?.unref();

  const node: DevNode = {
    ledger,
    pool: OPEN_POOL,
    view: () => replica ?? ledger,
    submit: (group, own = false) => {
      if (!own) checkPool(group, node.pool);
      const receipts = ledger.evaluate(group, { keep: blockMs === 0 });
      const first = receipts[0] as Receipt;
      if (blockMs === 0) close([group]);
      else if (pending.some((entry) => entry.receipts.some(({ txid }) => txid === first.txid)))
        throw new Refused(`transaction already in ledger: ${first.txid}`);
      else pending.push({ group, receipts, error: '' });
      return first.txid;
    },
    advance: (rounds) => {
      for (let i = 0; i < rounds; i++) close([]);
    },
    lag: (rounds) => {
      replica = undefined;
      if (rounds === 0) return;
      const old = createLedger(genesis);
      for (const block of ledger.blocks.slice(1, Math.max(2, ledger.blocks.length - rounds)))
        applyBlock(old, block.groups, block.timestamp);
      replica = old;
    },
    pooled: (txid) => {
      for (const { receipts, error } of [...pending, ...failed]) {
        const receipt = receipts.find((one) => one.txid === txid);
        if (receipt) return { receipt, error };
      }
      return undefined;
    },
    blockAfter: async (round) => {
      if (ledger.last().round > round) return;
      if (blockMs === 0 && !node.pool.silent) {
        close([]);
        return;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, WAIT_MS);
        waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
    close: () => {
      clearInterval(timer);
      for (const wake of waiting) wake();
      journal?.close();
    },
  };
  return node;
};
