import { BoundedMap } from '../bounded-map.ts';
import type { Database, KeyOwner } from '../ports/store.ts';

const KEY_OWNER_CACHE = 50_000;
const PREFIX_2018 = '2018 ';

/** The `kind` of a name whose mail an agency passes on to a cloud agent, its target. */
export const CLOUD_AGENT = 'cloud-agent';

/** The name under which the owner of a nonce or a DID of the 2018 Agent Protocol is stored, apart from keys. */
export const id2018 = (id: string): string => `${PREFIX_2018}${id}`;

/** The same of one that belongs to a cloud agent: an agency passes its mail on. A wallet of this instance that has it too comes first. */
export const passedOnName = (id: string): string => `passed on ${PREFIX_2018}${id}`;

/** The nonce or DID of such a name; undefined for a key. */
export const idIn2018 = (kid: string): string | undefined => (kid.startsWith(PREFIX_2018) ? kid.slice(PREFIX_2018.length) : undefined);

/** Owners of keys and of other names that messages are addressed by. */
export interface KeyOwners {
  /** The tenant and purpose of a key; from memory where it was asked for lately. */
  of(kid: string): Promise<KeyOwner | undefined>;
  /** The same where memory has it. */
  cached(kid: string): KeyOwner | undefined;
}

/** A bounded cache over the stored key owners; a commit of any process that removes a key or a tenant clears its entries. */
export function createKeyOwners(db: Database): KeyOwners {
  const keyOwners = new BoundedMap<string, KeyOwner>(KEY_OWNER_CACHE);
  db.jobs.subscribe(({ invalidate }) => {
    for (const name of invalidate) {
      keyOwners.delete(name);
      if (name === '*') keyOwners.clear();
      else for (const [kid, { tenant }] of keyOwners) if (tenant === name) keyOwners.delete(kid);
    }
  });
  return {
    cached: (kid) => keyOwners.get(kid),
    async of(kid) {
      const hit = keyOwners.get(kid);
      if (hit) return hit;
      const owner = await db.store.keyOwner(kid);
      if (owner) keyOwners.set(kid, owner);
      return owner;
    },
  };
}
