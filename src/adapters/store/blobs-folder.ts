import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { BlobStat, Blobs } from '../../ports/blobs.ts';
import { checkedName, checkedSize, MAX_LISTED, rangeOf, SPARE_MS, sha256 } from './blobs-shared.ts';

const errno = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
/** No file system takes `/` in a name, some no `:`; neither stand-in is allowed in a blob's name. The first character keeps `.` and `..` out. */
const fileOf = (name: string): string => `_${name.replaceAll('/', ',').replaceAll(':', '=')}`;
const nameOf = (file: string): string => file.slice(1).replaceAll(',', '/').replaceAll('=', ':');
const PART = '.part-';

/**
 * Blobs as files of a folder, one folder a tenant; for a volume that all replicas mount, or one process. A value is written beside its place and renamed into it.
 * The file system must distinguish upper from lower case.
 */
export function folderBlobs(folder: string): Blobs {
  const place = (tenant: string, name: string): string => join(folder, fileOf(checkedName(tenant)), fileOf(checkedName(name)));

  async function written<Value>(run: () => Promise<Value>): Promise<Value> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof AppError) throw error;
      const code = errno(error) === 'ENOSPC' || errno(error) === 'EDQUOT' ? 'store-full' : 'store-unavailable';
      throw new AppError(code, undefined, { cause: error });
    }
  }
  const orNone = <Value>(run: () => Promise<Value>): Promise<Value | undefined> =>
    written(() =>
      run().catch((error: unknown) => {
        if (errno(error) !== 'ENOENT') throw error;
        return undefined;
      }),
    );

  async function sync(path: string): Promise<void> {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  }

  const statOf = (tenant: string, name: string): Promise<BlobStat | undefined> =>
    orNone(async () => {
      const path = place(tenant, name);
      const [bytes, { mtimeMs }] = await Promise.all([readFile(path), stat(path)]);
      return { name, size: bytes.length, sha256: sha256(bytes), written: Math.round(mtimeMs) };
    });

  const put = (tenant: string, name: string, bytes: Uint8Array): Promise<void> =>
    written(async () => {
      const path = place(tenant, name);
      checkedSize(bytes);
      await mkdir(dirname(path), { recursive: true });
      const part = join(dirname(path), `${PART}${randomUUID()}`);
      const handle = await open(part, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(part, path);
      await sync(dirname(path));
    });

  const read = (tenant: string, name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> =>
    orNone(async () => {
      const handle = await open(place(tenant, name), 'r');
      try {
        const { size } = await handle.stat();
        const { from, to } = rangeOf(size, range);
        const bytes = Buffer.alloc(to - from);
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await handle.read(bytes, at, bytes.length - at, from + at);
          if (bytesRead === 0) throw new AppError('store-corrupt', `The blob ${name} ends early`);
          at += bytesRead;
        }
        return bytes;
      } finally {
        await handle.close();
      }
    });

  const list = async (tenant: string, { after = '', limit = MAX_LISTED }: { after?: string; limit?: number }): Promise<BlobStat[]> => {
    const files = (await orNone(() => readdir(join(folder, fileOf(checkedName(tenant)))))) ?? [];
    const names = files.filter((file) => file.startsWith('_')).map(nameOf);
    const wanted = names.filter((name) => name > after).sort((a, b) => (a < b ? -1 : 1));
    const found = await Promise.all(wanted.slice(0, Math.min(Math.max(1, limit), MAX_LISTED)).map((name) => statOf(tenant, name)));
    return found.filter((one) => one !== undefined);
  };

  async function expire(now: number): Promise<number> {
    let removed = 0;
    for (const tenant of (await orNone(() => readdir(folder))) ?? []) {
      for (const file of (await orNone(() => readdir(join(folder, tenant)))) ?? []) {
        const path = join(folder, tenant, file);
        const since = file.startsWith(PART) ? await orNone(() => stat(path)) : undefined;
        if (!since || since.mtimeMs > now - SPARE_MS) continue;
        await orNone(() => rm(path));
        removed += 1;
      }
    }
    return removed;
  }

  return Object.freeze({
    put,
    read,
    list,
    expire,
    stat: statOf,
    remove: async (tenant: string, name: string) => void (await orNone(() => rm(place(tenant, name)))),
    clear: (tenant: string) => written(() => rm(join(folder, fileOf(checkedName(tenant))), { recursive: true, force: true })),
  });
}
