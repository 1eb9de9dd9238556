import { asAppError, isLocked } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import { commandJob, keylistJob } from '../kernel/jobs.ts';
import { id2018 } from '../kernel/key-owners.ts';
import type { JobWrite, Query, RecordWrite, StoredRecord } from '../ports/store.ts';

/**
 * Wallets that came out of a backup: their keys are registered with their mediators again, their names with their agencies, and their peers get a trust ping, on which
 * those see that the wallet is there.
 */

const EVERY_MS = 60_000;
const PAGE = 200;

type Look = Pick<Kernel, 'db' | 'registry' | 'now' | 'base'>;

/** The rows of a kind, a page at a time. */
async function* pagesOf({ db }: Look, tenant: string, category: string, query: Query): AsyncGenerator<StoredRecord[]> {
  let cursor: string | undefined;
  do {
    const page = await db.store.find(tenant, category, { ...query, limit: PAGE, cursor });
    if (page.rows.length > 0) yield page.rows;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** An entry that its mediator is not known to have. */
function unconfirmed({ registry }: Look, row: StoredRecord): RecordWrite {
  const { confirmed: _confirmed, thread_id: _thread, refused: _refused, ...value } = row.value;
  const { category, id, version, state, role, connection } = row;
  return { category, id, expect: version, state, role, connection, tags: registry.records.get(category)!.tags(value), value };
}

/** The key or name of an entry, as a registration names it. */
function named({ value, category }: StoredRecord) {
  const {
    verkey,
    name,
    kind,
    expires,
    wallet_id: wallet,
  } = value as {
    verkey?: string;
    name?: string;
    kind?: string;
    expires?: number;
    wallet_id?: string;
  };
  return category === 'keylist' ? { verkey: verkey!, wallet } : { verkey: id2018(name!), wallet, route: { kind: kind!, expires } };
}

/** Registers all that a wallet has at its mediators. */
async function register(look: Look, tenant: string): Promise<void> {
  const isOver = ({ value }: StoredRecord): boolean => typeof value.expires === 'number' && value.expires <= look.now();
  for await (const mediations of pagesOf(look, tenant, 'mediation', { state: 'granted', role: 'client' }))
    for (const { id, connection } of mediations)
      for (const [category, role] of [
        ['keylist', 'client'],
        ['agency_route', 'edge'],
      ] as const)
        for await (const rows of pagesOf(look, tenant, category, { connection, role })) {
          const some = rows.filter((row) => !isOver(row));
          if (some.length === 0) continue;
          const payload = { mediation: { tenant, id }, keys: some.map((row) => named(row)), lanes: [], kept: [], jobs: [] };
          await look.db.store.commit(tenant, {
            records: some.map((row) => unconfirmed(look, row)),
            jobs: [keylistJob(tenant, payload)],
          });
        }
}

/** A peer with pings of RFC 0048 to whom mail goes by itself: the 2018 Agent Protocol has none, and a mediator is asked at each start. */
const hasPing = ({ value }: StoredRecord): boolean =>
  value.protocol !== 'connection-2018' && !(value.mediation as readonly string[] | undefined)?.includes('client');

const pingJob = (tenant: string, id: string): JobWrite =>
  commandJob(tenant, { protocol: 'trust-ping', command: 'send-ping', category: 'connection', id, input: {} });

async function ping(look: Look, tenant: string): Promise<void> {
  for await (const rows of pagesOf(look, tenant, 'connection', { state: 'active' })) {
    const jobs = rows.filter((row) => hasPing(row)).map(({ id }) => pingJob(tenant, id));
    if (jobs.length > 0) await look.db.store.commit(tenant, { jobs });
  }
}

/** A wallet that was removed meanwhile has nobody to be announced to. */
async function announce(look: Look, tenant: string): Promise<void> {
  try {
    await register(look, tenant);
    await ping(look, tenant);
  } catch (error) {
    if (asAppError(error).code !== 'not-found') throw error;
  }
}

/**
 * Does so for the wallets that were imported, but for those that are locked. What a killed process has done is done again, without harm. One that
 * fails keeps no other from its turn. @throws the first failure, when all had their turn
 */
export async function announceRestored(look: Look): Promise<void> {
  const { db, base } = look;
  let failed: unknown;
  for await (const rows of pagesOf(look, base, 'restored', {}))
    for (const { id, version } of rows) {
      try {
        await announce(look, id);
        await db.store.commit(base, { deletes: [{ category: 'restored', id, expect: version }] });
      } catch (error) {
        // its turn comes again, unless another process has done it
        if (!isLocked(error) && asAppError(error).code !== 'conflict') failed ??= error;
      }
    }
  if (failed !== undefined) throw failed;
}

/** Does so at the start, and from time to time: a wallet may be imported beside a running agent. @returns the function that ends it */
export function startRestored(kernel: Kernel): () => void {
  const look = (): void => {
    announceRestored(kernel).catch((error: unknown) => kernel.log.warn({ err: error }, 'wallets of backups could not be announced yet'));
  };
  const timer = setInterval(look, EVERY_MS);
  timer.unref();
  look();
  return () => clearInterval(timer);
}
