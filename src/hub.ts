import type { Config } from './config/settings.ts';
import { isLocked } from './errors.ts';
import type { Kernel } from './kernel/context.ts';
import type { PublicRoute } from './kernel/public-route.ts';
import { CHUNKS, edvChunk } from './records/edv-chunk.ts';

const SWEEP_MS = 3600_000;
/** The age at which a chunk without a record goes: its write is long over by then. */
const UNNAMED_MS = 3600_000;
const PAGE = 200;

/** The public routes of an agent that keeps vaults; the libraries behind them are loaded for such an agent alone. */
export async function openHub({ hub }: Config): Promise<readonly PublicRoute[]> {
  if (!hub) return [];
  const [{ openCapabilities }, { hubRoutes }] = await Promise.all([import('./adapters/zcap/zcap.ts'), import('./resources/hub/routes.ts')]);
  return hubRoutes(await openCapabilities());
}

/** Removes chunks that no record names: of writes that were cut short, and of streams that are gone. @returns how many */
export async function sweepChunks({ db }: Pick<Kernel, 'db'>, now: number): Promise<number> {
  let swept = 0;
  for (const tenant of await db.admin.tenants()) {
    for (let after = CHUNKS; ; ) {
      const page = await db.blobs.list(tenant, { after, limit: PAGE });
      const chunks = page.filter(({ name, written }) => name.startsWith(CHUNKS) && written < now - UNNAMED_MS);
      if (chunks.length > 0) {
        const lookups = chunks.map(({ name }) => ({ category: edvChunk.category, tag: 'blob', equals: name }));
        const named = await db.store.load(tenant, lookups).catch((error: unknown) => {
          if (isLocked(error)) return undefined;
          throw error;
        });
        if (!named) break;
        const unnamed = chunks.filter((_, i) => named[i]!.length === 0);
        for (const { name } of unnamed) await db.blobs.remove(tenant, name);
        swept += unnamed.length;
      }
      const last = page.at(-1)?.name;
      if (page.length < PAGE || last === undefined || !last.startsWith(CHUNKS)) break;
      after = last;
    }
  }
  return swept;
}

/** Does so from time to time, where this agent keeps vaults. Any number of processes may do it at once. @returns the function that ends it */
export function startChunkSweep(kernel: Kernel, { hub }: Config): () => void {
  if (!hub) return () => {};
  const timer = setInterval(() => {
    sweepChunks(kernel, kernel.now()).catch((error: unknown) =>
      kernel.log.warn({ err: error }, 'chunks that nothing names could not be removed'),
    );
  }, SWEEP_MS);
  timer.unref();
  return () => clearInterval(timer);
}
