import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { WorkContext, WorkOps } from '../../kernel/work.ts';
import { partName } from './backup-parts.ts';

/** Bytes of a backup on their way to the large values of an agency, and from there. */

/** The order for the bytes of a part. */
export interface KeepOrder {
  readonly cloud: string;
  readonly upload: string;
  readonly part: number;
  readonly parts: number;
  readonly sha256: string;
  readonly data: string;
}

/** The part is stored. `isWhole`: it is the last one, and all bytes have the digest that was announced. */
export interface Kept extends Omit<KeepOrder, 'data'> {
  readonly isWhole: boolean;
}

/** The order for the bytes of a stored part. */
export interface ReadOrder {
  readonly upload: string;
  readonly part: number;
}

/** The order to remove bytes. */
export interface ClearOrder {
  readonly uploads: readonly { readonly upload: string; readonly parts: number }[];
}

async function isWhole({ blobs }: WorkContext, { upload, parts, sha256 }: KeepOrder): Promise<boolean> {
  const hash = createHash('sha256');
  for (let part = 1; part <= parts; part++) hash.update((await blobs.read(partName(upload, part))) ?? '');
  return hash.digest('hex') === sha256;
}

export const backupWork: WorkOps = {
  async 'wallet-backup/keep'(ctx, order: KeepOrder): Promise<Kept> {
    const { data, ...rest } = order;
    await ctx.blobs.put(partName(order.upload, order.part), Buffer.from(data, 'base64'));
    return { ...rest, isWhole: order.part === order.parts && (await isWhole(ctx, order)) };
  },
  async 'wallet-backup/read'({ blobs }, { upload, part }: ReadOrder): Promise<{ data: string }> {
    const bytes = await blobs.read(partName(upload, part));
    if (!bytes) throw new AppError('not-found', 'The backup is not there any more');
    return { data: Buffer.from(bytes).toString('base64') };
  },
  async 'wallet-backup/clear'({ blobs }, { uploads }: ClearOrder): Promise<object> {
    for (const { upload, parts } of uploads) for (let part = 1; part <= parts; part++) await blobs.remove(partName(upload, part));
    return {};
  },
};
