import type { JobKind, StoreAdmin } from '../../ports/store.ts';
import { EVENT_MS, openJobs } from '../store/shared.ts';
import type { Link } from './link.ts';

/** How many rows one step of an expiry removes. */
const EXPIRE_ROWS = 1000;
/** Row-level security: this session sees the rows of all tenants. */
const ALL_TENANTS = { name: 'scope', text: "SELECT set_config('flexid.tenant', $1, false)", values: ['*'] };

/** Expiry of old rows, and counts and checks of a PostgreSQL database. */
export function postgresUpkeep(reader: () => Link, from: string): Pick<StoreAdmin, 'expire' | 'backlog' | 'check' | 'durable'> {
  // by their places, whatever the database knew of the table when it made the plan; a row that was given more time meanwhile stays
  const expiring = [
    ['dedup_key', 'expires', '$1::bigint'],
    ['call', 'expires', '$1::bigint'],
    ['event', 'time', `$1::bigint - ${EVENT_MS}`],
  ].map(([table, column, end]) => {
    const old = `SELECT ctid FROM flexid.${table} WHERE ${column} <= ${end} ORDER BY ${column} LIMIT ${EXPIRE_ROWS}`;
    return `DELETE FROM flexid.${table} WHERE ctid = ANY (ARRAY(${old})) AND ${column} <= ${end}`;
  });
  // the numbers of jobs that are gone
  expiring.push(`DELETE FROM flexid.allocation WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM flexid.allocation a
    WHERE NOT EXISTS (SELECT 1 FROM flexid.job j WHERE j.id = a.job) AND NOT EXISTS (SELECT 1 FROM flexid.dead d WHERE d.t = a.t AND d.id = a.job)
    LIMIT ${EXPIRE_ROWS})) AND $1::bigint > 0`);

  /** In steps of some rows, so that a large sweep holds nobody up. */
  async function expire(now: number): Promise<number> {
    let total = 0;
    for (const [i, text] of expiring.entries()) {
      let step: number;
      do {
        const counted = `WITH gone AS (${text} RETURNING 1) SELECT count(*) AS gone FROM gone`;
        const [, rows] = await reader().together([ALL_TENANTS, { name: `expire-${i}`, text: counted, values: [now] }]);
        step = (rows as { gone: number }[])[0]?.gone ?? 0;
        total += step;
      } while (step === EXPIRE_ROWS);
    }
    return total;
  }

  return {
    expire,
    async backlog() {
      const [, open, dead] = await reader().together([
        ALL_TENANTS,
        { name: 'job-counts', text: 'SELECT kind, count(*)::int AS n FROM flexid.job GROUP BY kind' },
        { name: 'dead-count', text: 'SELECT count(*)::int AS n FROM flexid.dead' },
      ]);
      return { open: openJobs(open as { kind: JobKind; n: number }[]), dead: (dead as { n: number }[])[0]!.n };
    },
    // of commits none is done before it is
    durable: async () => undefined,
    async check() {
      // a database that only reads, or has no room, refuses this
      const text = `INSERT INTO flexid.meta (name, value) VALUES ('probe', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
      await reader().query({ name: 'check', text, values: [from] });
    },
  };
}
