import { asAppError } from '../../errors.ts';
import type { DeadJob, JobKind, Jobs, Page, SettledLane } from '../../ports/store.ts';
import { sealDeath, wholeTime } from '../../vault/rows.ts';
import { type KnownTenant, readDead } from '../store/shared.ts';
import { laneClaims } from './claims.ts';
import { type CommitBatcher, leaseParts } from './commit.ts';
import { type Link, patient, type Statement } from './link.ts';
import type { PostgresReads } from './read.ts';
import { type SettledRow, turns } from './turns.ts';

interface Parts {
  /** Its transactions may be lost with the server. */
  link: Link;
  reader: () => Link;
  reads: PostgresReads;
  batch: CommitBatcher;
  from: string;
  tenantById: (id: string) => Promise<KnownTenant>;
  tenantByNumber: (n: number) => Promise<KnownTenant>;
  subscribe: Jobs['subscribe'];
}

/** The job side of a PostgreSQL database. Several processes may run it at once. */
export function postgresJobs({ link, reader, reads, batch, from, tenantById, tenantByNumber, subscribe }: Parts): Jobs {
  /** The keys of a tenant; none where its owner keeps them, or it is being removed and its lanes with it. */
  async function keysOf(t: number): Promise<KnownTenant['keys'] | undefined> {
    try {
      return (await tenantByNumber(t)).keys;
    } catch (error) {
      if (['wallet-locked', 'not-found'].includes(asAppError(error).code)) return undefined;
      throw error;
    }
  }

  async function settleStatement(settled: readonly SettledLane[]): Promise<Statement> {
    const lanes: string[] = [];
    const leases: string[] = [];
    const done: [string[], string[]] = [[], []];
    const retry: [string[], string[], number[]] = [[], [], []];
    const dead: [string[], string[], Buffer[]] = [[], [], []];
    for (const one of settled) {
      const { id: lease, t } = leaseParts(one.lease);
      lanes.push(one.lane);
      leases.push(lease);
      for (const id of one.done ?? []) {
        done[0].push(one.lane);
        done[1].push(id);
      }
      for (const { id, at, untried } of one.retry ?? []) {
        retry[0].push(one.lane);
        retry[1].push(id);
        retry[2].push(untried ? -wholeTime(at) : wholeTime(at));
      }
      for (const { id, error } of one.dead ?? []) {
        const keys = await keysOf(t);
        if (!keys) continue;
        dead[0].push(one.lane);
        dead[1].push(id);
        dead[2].push(sealDeath(keys, id, error));
      }
    }
    return {
      name: 'settle',
      text: 'SELECT call_ids, kinds FROM flexid.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
      values: [from, lanes, leases, ...done, ...retry, ...dead],
    };
  }

  async function settle(settled: readonly SettledLane[]): Promise<void> {
    if (settled.length === 0) return;
    const [row] = await patient<SettledRow>(link, await settleStatement(settled));
    batch.announce(row?.call_ids ?? [], row?.kinds ?? []);
  }

  async function extend(leases: readonly string[], leaseMs: number): Promise<string[]> {
    const byId = new Map(leases.map((token) => [leaseParts(token).id, token]));
    const rows = await patient<{ lease: string }>(link, {
      name: 'extend',
      text: 'SELECT flexid.extend($1, $2, $3) AS lease',
      values: [leases.map((token) => leaseParts(token).lane), [...byId.keys()], wholeTime(leaseMs)],
    });
    return rows.map(({ lease }) => byId.get(lease)!);
  }

  async function drop(tenant: string, jobs: Parameters<Jobs['drop']>[1]): Promise<void> {
    const { n } = await tenantById(tenant);
    const text = 'SELECT flexid.drop_jobs($1, $2, $3) AS call_ids';
    const [row] = await patient<{ call_ids: string[] }>(reader(), { name: 'drop', text, values: [from, n, jobs.map(({ id }) => id)] });
    batch.announce(row?.call_ids ?? [], []);
  }

  async function dead(tenant: string, page: { limit: number; offset: number }): Promise<Page<DeadJob>> {
    const known = await tenantById(tenant);
    const columns = 'id, kind, lane, attempts, died, error, payload';
    const [total, rows] = await Promise.all([
      reads.scoped<{ total: number }>(known, 'dead-total', 'SELECT count(*) AS total FROM flexid.dead WHERE t = $1', [known.n]),
      reads.scoped(known, 'dead', `SELECT ${columns} FROM flexid.dead WHERE t = $1 ORDER BY n LIMIT $2 OFFSET $3`, [
        known.n,
        page.limit,
        page.offset,
      ]),
    ]);
    return { total: total[0]?.total ?? 0, rows: (rows as Parameters<typeof readDead>[1][]).map((row) => readDead(known.keys, row)) };
  }

  async function revive(tenant: string, ids: readonly string[]): Promise<number> {
    const { n } = await tenantById(tenant);
    const [row] = await patient<{ kinds: JobKind[] }>(reader(), {
      name: 'revive',
      text: 'SELECT flexid.revive($1, $2, $3) AS kinds',
      values: [from, n, ids],
    });
    batch.announce([], row?.kinds ?? []);
    return row?.kinds.length ?? 0;
  }

  const claims = laneClaims({ link, tenantById, keysOf, settle });
  const settleAndClaim = turns({ link, claims, settleStatement, announce: batch.announce });
  return Object.freeze({ claim: claims.claim, settle, settleAndClaim, extend, drop, dead, revive, subscribe });
}
