import { AppError, asAppError } from '../errors.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
import type { Database, StoredRecord } from '../ports/store.ts';
import type { Passkey } from './passkeys.ts';

/** A person of the web wallet: how they sign in, and the wallet that is theirs. */
export interface Account {
  readonly id: string;
  readonly wallet: string;
  readonly name: string;
  /** `own`: only the person has the wallet's key. `kept`: this agent keeps it. */
  readonly mode: 'own' | 'kept';
  readonly passkeys: readonly Passkey[];
  /** What the recovery words stand for. */
  readonly words?: {
    /** A hash of what the words prove. The words cannot be found from it. */
    readonly proof: string;
    /** The wallet key, sealed under the words. */
    readonly wrap?: string;
    /** The recovery key of the words: X25519, public, `z6LS…`. A copy of the wallet is encrypted for it. */
    readonly recovery?: string;
  };
  /** A link that opens the wallet on another device, once. */
  readonly device?: {
    /** A hash of what the link proves. */
    readonly proof: string;
    /** The wallet key, sealed under the link. */
    readonly wrap?: string;
    readonly ends: number;
  };
  /** The wallet may not be there yet. */
  readonly making?: boolean;
  readonly made: number;
}

const CATEGORY = 'web_account';
const TRIES = 5;

export const MAX_PASSKEYS = 10;

/** Accounts, as records of the base wallet. */
export function createAccounts({ store }: Pick<Database, 'store'>, base: string) {
  const tagsOf = ({ words, device }: Account): Record<string, string> => ({
    ...(words ? { words: words.proof } : {}),
    ...(device ? { device: device.proof } : {}),
  });
  const accountOf = ({ value }: StoredRecord): Account => checkedAs<Account>(value);
  const read = async (id: string): Promise<StoredRecord | undefined> => (await store.load(base, [{ category: CATEGORY, id }]))[0]?.[0];

  return {
    async find(id: string): Promise<Account | undefined> {
      // ids are ours: whatever else a browser names is none
      if (!/^[0-9a-f-]{36}$/.test(id)) return undefined;
      const row = await read(id);
      return row && accountOf(row);
    },

    /** The account whose words prove this. */
    async byWords(proof: string): Promise<Account | undefined> {
      const { rows } = await store.find(base, CATEGORY, { tags: { words: proof }, limit: 1 });
      return rows[0] && accountOf(rows[0]);
    },

    /** The account that a link for another device is of. */
    async byDevice(proof: string): Promise<Account | undefined> {
      const { rows } = await store.find(base, CATEGORY, { tags: { device: proof }, limit: 1 });
      return rows[0] && accountOf(rows[0]);
    },

    async add(account: Account): Promise<void> {
      const { id } = account;
      await store.commit(base, { records: [{ category: CATEGORY, id, expect: 0, tags: tagsOf(account), value: jsonOf(account) }] });
    },

    /** Changes an account as it is when the change is committed. @throws AppError `not-found` */
    async change(id: string, change: (account: Account) => Account): Promise<Account> {
      for (let tries = 0; ; tries++) {
        const row = await read(id);
        if (!row) throw new AppError('not-found', 'There is no such account');
        const next = change(accountOf(row));
        try {
          await store.commit(base, {
            records: [{ category: CATEGORY, id, expect: row.version, tags: tagsOf(next), value: jsonOf(next) }],
          });
          return next;
        } catch (error) {
          if (asAppError(error).code !== 'conflict' || tries >= TRIES) throw error;
        }
      }
    },

    async remove(id: string): Promise<void> {
      const row = await read(id);
      if (row) await store.commit(base, { deletes: [{ category: CATEGORY, id, expect: row.version }] });
    },
  };
}

export type Accounts = ReturnType<typeof createAccounts>;
