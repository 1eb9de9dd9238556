import { join } from 'node:path';
import type { StoreOf } from './network.ts';

/** Where the demo's agents keep their records. */
export async function openStores(kind: string, folder: string): Promise<{ of: StoreOf; stop(): Promise<void> }> {
  if (kind === 'sqlite') return { of: (role) => ({ args: ['--store', `sqlite:${join(folder, `${role}.db`)}`] }), stop: async () => {} };
  throw new Error(`--store ${kind} is unknown`);
}
