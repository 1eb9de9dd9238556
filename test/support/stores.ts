import type { Role } from '../../harness/network.ts';
import { openStores } from '../../harness/stores.ts';
import type { World } from './agents.ts';
import type { STORES } from './extent.ts';

/** Where agents of a world keep their records: the part of what they start with that is the same after a restart. */
export type StoreOf = (role: Role) => { readonly store?: string; readonly flags: readonly string[] };

/** SQLite files of the world's folder, or databases of a PostgreSQL server that ends with the world. */
export async function storesOf(kind: (typeof STORES)[number], world: World): Promise<StoreOf> {
  if (kind === 'sqlite') return () => ({ flags: [] });
  const stores = await openStores(kind, world.folder);
  world.defer(() => stores.stop());
  return (role) => {
    const { FLEXID_STORE: store, ACAPY_WALLET_KEY: key } = stores.of(role).env!;
    return { store: store!, flags: ['--wallet-key', key!] };
  };
}
