import type { Claim, Claims } from '../../ports/claims.ts';
import { JOB_KINDS, type JobKind, type Jobs, type SettledLane } from '../../ports/store.ts';
import { NEVER } from '../../vault/rows.ts';
import type { ClaimRow, LaneClaims } from './claims.ts';
import { type Link, patiently, type Statement } from './link.ts';

export interface SettledRow {
  call_ids: string[];
  kinds: JobKind[];
}

interface Turn {
  settled: readonly SettledLane[];
  claim: Claim;
  resolve: (claims: Claims) => void;
  reject: (error: unknown) => void;
}

interface Parts {
  link: Link;
  claims: LaneClaims;
  settleStatement: (settled: readonly SettledLane[]) => Promise<Statement>;
  announce: (callIds: readonly string[], kinds: readonly JobKind[]) => void;
}

/** By the time at which the transaction began: a lane that came due since then may have been missed by its claims. */
const look = (kinds: readonly JobKind[]): Statement => ({
  name: 'look',
  text: `SELECT (SELECT min(due) FROM flexid.lane WHERE due <= x.begun AND kind = ANY ($1)) IS NOT NULL AS "left",
      (SELECT min(due) FROM flexid.lane WHERE due > x.begun AND due < ${NEVER} AND kind = ANY ($1)) AS next
    FROM (SELECT (extract(epoch FROM now()) * 1000)::bigint AS begun) x`,
  values: [kinds],
});

/**
 * Settles and claims of all runners that ask in one turn of the event loop, or while the call before is under way, in one transaction: settles first, so that a
 * claim sees what they have freed.
 */
export function turns({ link, claims, settleStatement, announce }: Parts): Jobs['settleAndClaim'] {
  const queue: Turn[] = [];
  let working = false;

  async function run(turn: readonly Turn[]): Promise<void> {
    try {
      const settled = turn.flatMap((one) => one.settled);
      const statements = settled.length > 0 ? [await settleStatement(settled)] : [];
      for (const { claim } of turn) {
        if (claim.lanes > 0) statements.push(await claims.statement(claim));
        statements.push(look(claim.kinds ?? JOB_KINDS));
      }
      const answers = await patiently(() => link.transaction(statements));
      const freed = settled.length > 0 ? (answers.shift() as SettledRow[])[0] : undefined;
      // lanes of kinds that are claimed here were looked for after the settle
      const claimed = new Set(turn.flatMap(({ claim }) => (claim.lanes > 0 ? (claim.kinds ?? JOB_KINDS) : [])));
      announce(freed?.call_ids ?? [], freed?.kinds.filter((kind) => !claimed.has(kind)) ?? []);
      for (const one of turn) {
        const rows = one.claim.lanes > 0 ? (answers.shift() as ClaimRow[]) : [];
        const [{ left, next }] = answers.shift() as [{ left: boolean; next: number | null }];
        claims.lanesOf(rows).then((lanes) => one.resolve({ lanes, left, ...(next === null ? {} : { next }) }), one.reject);
      }
    } catch (error) {
      for (const one of turn) one.reject(error);
    }
  }

  async function work(): Promise<void> {
    if (working) return;
    working = true;
    // the rest of this turn of the event loop may bring more
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) await run(queue.splice(0));
    working = false;
  }

  return (settled, claim) =>
    new Promise((resolve, reject) => {
      queue.push({ settled, claim, resolve, reject });
      void work();
    });
}
