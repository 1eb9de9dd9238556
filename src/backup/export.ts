import { AppError } from '../errors.ts';
import type { CarriedRow, Extent } from '../ports/carry.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Database } from '../ports/store.ts';
import { wallet } from '../records/wallet.ts';
import { walletBackup } from '../records/wallet-backup.ts';
import { VERSION } from '../version.ts';
import { sealContainer, type Tail } from './container.ts';
import { recoveryJwk } from './recovery.ts';

export interface ExportOrder {
  readonly db: Database;
  readonly base: string;
  /** `z6LS…` */
  readonly publicKey: string;
  /** One wallet; absent: all of the instance. */
  readonly wallet?: string;
  readonly extent: Extent;
  /** The highest generation that is known where backups are stored: a wallet that was restored from an older one goes on above it. */
  readonly after?: number;
  /** How many rows of a wallet are in the container by now. */
  readonly progress?: (wallet: string, rows: number) => void;
}

/** Tries of a counter that others change at the same time. */
const TRIES = 20;
/** Rows between two reports of progress. */
const PROGRESS_ROWS = 2_000;

/** Takes the number of a new backup, which is above `after` too. */
async function nextGeneration({ store }: Pick<Database, 'store'>, tenant: string, after: number): Promise<number> {
  const key = { category: walletBackup.category, id: 'last' };
  for (let tries = 1; ; tries++) {
    const [[row] = []] = await store.load(tenant, [key]);
    const generation = Math.max((row?.value.generation as number | undefined) ?? 0, after) + 1;
    try {
      await store.commit(tenant, { records: [{ ...key, expect: row?.version ?? 0, state: 'counted', value: { generation } }] });
      return generation;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'conflict' || tries === TRIES) throw error;
    }
  }
}

/**
 * A container with one wallet, or with all of an instance, encrypted for a recovery public key: text, some of it at a time.
 * @throws AppError `bad-request` for another public key, `not-found` for an unknown wallet, `wallet-locked` where a copy would issue with indices of the original
 */
export async function exportContainer(order: ExportOrder): Promise<{ generation: number; text: AsyncGenerator<string, Tail> }> {
  const { db, base, publicKey, wallet: only, extent } = order;
  const recovery = recoveryJwk(publicKey);
  const lines = only === undefined ? instanceLines(order) : await walletLines(order, only);
  const generation = await nextGeneration(db, only ?? base, order.after ?? 0);
  const head = {
    generation,
    created: new Date(db.now()).toISOString(),
    extent,
    agent: VERSION,
    ...(only !== undefined && { wallet: only }),
  };
  return { generation, text: sealContainer(recovery, head, lines) };
}

async function* instanceLines(order: ExportOrder): AsyncGenerator<JsonObject> {
  const { db, base } = order;
  yield* tenantLines(order, base);
  for (const id of await db.admin.tenants()) {
    if (id === base) continue;
    // one that was erased is on its way out
    yield* tenantLines(order, id, true);
  }
}

/** The lines of a wallet. That of the instance itself has no record of it. @throws AppError `not-found` */
async function walletLines(order: ExportOrder, id: string): Promise<AsyncIterable<JsonObject>> {
  const { db, base } = order;
  if (id === base) return tenantLines(order, base);
  const [[row] = []] = await db.store.load(base, [{ category: wallet.category, id }]);
  if (!row || row.state === 'erasing') throw new AppError('not-found', `There is no wallet ${id}`);
  async function* lines(): AsyncGenerator<JsonObject> {
    yield { type: 'wallet', id, value: row!.value };
    yield* tenantLines(order, id);
  }
  return lines();
}

async function* tenantLines({ db, extent, progress }: ExportOrder, id: string, mayBeGone = false): AsyncGenerator<JsonObject> {
  let dump: Awaited<ReturnType<typeof db.admin.dump>>;
  try {
    dump = await db.admin.dump(id, extent);
  } catch (error) {
    if (mayBeGone && error instanceof AppError && error.code === 'not-found') return;
    throw error;
  }
  const { tenant, rows } = dump;
  yield { type: 'tenant', ...tenant };
  let count = 0;
  for await (const some of rows) {
    for (const row of some) {
      checkCopied(row, id, extent);
      yield row;
    }
    const before = count;
    count += some.length;
    if (Math.floor(before / PROGRESS_ROWS) < Math.floor(count / PROGRESS_ROWS)) progress?.(id, count);
  }
  progress?.(id, count);
}

/** A copy issues nothing with the original's registries; sealed records cannot be changed to that end. @throws AppError `wallet-locked` */
function checkCopied({ type, category, sealed }: CarriedRow, id: string, extent: Extent): void {
  if (extent === 'copy' && type === 'record' && category === 'rev_reg' && sealed !== undefined)
    throw new AppError(
      'wallet-locked',
      `The wallet ${id} is locked and has revocation registries: its owner must open it before a copy is made`,
    );
}
