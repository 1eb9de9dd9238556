import type { Store } from '../ports/store.ts';

/** Removes messages that their owner has. Resolves when that is committed. @throws what `commit` throws */
export type Acknowledge = (tenant: string, mailbox: string, ids: readonly string[]) => Promise<void>;

/** Gathers the acknowledgements of one turn of the event loop: one commit for each tenant. */
export function gatherAcknowledgements(store: Pick<Store, 'commit'>): Acknowledge {
  let gathering: Map<string, { readonly mailbox: string; readonly ids: readonly string[] }[]> | undefined;
  let gathered: Promise<void> = Promise.resolve();
  return async (tenant, mailbox, ids) => {
    if (!gathering) {
      gathering = new Map();
      gathered = new Promise<void>((resolve, reject) => {
        setImmediate(() => {
          const all = [...gathering!];
          gathering = undefined;
          Promise.all(all.map(([tenant, acknowledged]) => store.commit(tenant, { acknowledged }))).then(() => resolve(), reject);
        });
      });
    }
    const list = gathering.get(tenant);
    if (list) list.push({ mailbox, ids });
    else gathering.set(tenant, [{ mailbox, ids }]);
    await gathered;
  };
}
