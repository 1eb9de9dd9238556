import { createHash, randomBytes } from 'node:crypto';
import { asAppError } from '../errors.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
import { sharedSecret } from '../kernel/shared-secret.ts';
import type { Database, StoredRecord } from '../ports/store.ts';
import type { Role } from './roles.ts';

/** A session of a person in a browser. The browser has a random text in a cookie; its hash is the id of the record, which every process reads. */
export interface Session {
  readonly id: string;
  readonly role: Role;
  /** Compared with a header of each call that changes something. */
  readonly csrf: string;
  /** Whose it is: the operator, or a wallet. */
  readonly who: string;
  /** The wallet's token. Absent for the operator. */
  readonly token?: string;
  /** The person, as the OpenID Provider that they signed in at names them. */
  readonly sub?: string;
  /** The token was made for this session, and ends with it. */
  readonly ownToken?: boolean;
  /** The wallet that a person has signed in to, which may be locked still. */
  readonly wallet?: string;
  /** A hash of the operator's key: another key ends the session. */
  readonly key?: string;
  /** When it ends, whatever happens (ms). */
  readonly ends: number;
  /** When it ends unless it is used (ms). */
  readonly idles: number;
}

/** The members of a new session that its maker decides. */
export type NewSession = Pick<Session, 'role' | 'who' | 'sub' | 'token' | 'ownToken' | 'key' | 'wallet'>;

/** Under this name a random text is among the base wallet's keys, the same for every process: cookies of agents on one host need names of their own. */
const INSTANCE = 'web-instance';
export const IDLE_MS = 30 * 60_000;
export const LONGEST_MS = 12 * 3_600_000;
/** A session that is used is written again this often, not at each call. */
const TOUCH_MS = 60_000;
const MAX_PER_USER = 20;
const SWEPT = 100;

/** The sessions of one kind of pages. */
export interface SessionKind {
  /** The category of their records. */
  readonly category: string;
  /** The beginning of the cookie's name, behind `__Host-`. */
  readonly cookie: string;
  readonly idleMs: number;
  readonly longestMs: number;
  readonly perUser: number;
}

export const CONSOLE_SESSIONS: SessionKind = {
  category: 'web_session',
  cookie: 'flexid',
  idleMs: IDLE_MS,
  longestMs: LONGEST_MS,
  perUser: MAX_PER_USER,
};

type Kept = Omit<Session, 'id' | 'idles'> & { readonly seen: number };

const idOf = (cookie: string): string => createHash('sha256').update(cookie).digest('hex');

/** The name under which all processes learn that a session has ended. */
export const endedName = (id: string): string => `web-session:${id}`;

/** Sessions of browsers, as records of the base wallet, so that replicas share them. */
export function createSessions({ store, now }: Pick<Database, 'store' | 'now'>, base: string, kind: SessionKind = CONSOLE_SESSIONS) {
  const { category } = kind;
  let named: Promise<string> | undefined;

  const readInstance = async (): Promise<string> =>
    Buffer.from(await sharedSecret(store, base, INSTANCE))
      .toString('hex')
      .slice(0, 12);

  /** The name of this instance's cookie. `__Host-`: no other host and no path below can set it, and only TLS or loopback carries it. */
  async function cookieName(): Promise<string> {
    named ??= readInstance();
    try {
      return `__Host-${kind.cookie}-${await named}`;
    } catch (error) {
      named = undefined;
      throw error;
    }
  }

  const read = async (id: string): Promise<StoredRecord | undefined> => (await store.load(base, [{ category, id }]))[0]?.[0];
  const kept = ({ value }: StoredRecord): Kept => checkedAs<Kept>(value);
  const isOver = (one: Kept): boolean => Math.min(one.ends, one.seen + kind.idleMs) <= now();
  const sessionOf = (id: string, { seen, ...rest }: Kept): Session => ({ ...rest, id, idles: Math.min(rest.ends, seen + kind.idleMs) });

  async function remove(rows: readonly StoredRecord[]): Promise<void> {
    for (const { id, version } of rows) {
      try {
        await store.commit(base, { deletes: [{ category, id, expect: version }], invalidate: [endedName(id)] });
      } catch (error) {
        if (asAppError(error).code !== 'conflict') throw error;
        // it was used meanwhile
        const again = await read(id);
        if (again) await remove([again]);
      }
    }
  }

  return {
    cookieName,

    /** Makes a session. The oldest of the same user's make room for it, and those that are over go. @returns the cookie's text too */
    async begin(made: NewSession): Promise<{ cookie: string; session: Session }> {
      const cookie = randomBytes(32).toString('base64url');
      const id = idOf(cookie);
      const value: Kept = { ...made, csrf: randomBytes(24).toString('base64url'), ends: now() + kind.longestMs, seen: now() };
      await store.commit(base, {
        records: [{ category, id, expect: 0, tags: { who: made.who }, value: jsonOf(value) }],
      });
      const [old, own] = await Promise.all([
        store.find(base, category, { limit: SWEPT }),
        store.find(base, category, { tags: { who: made.who }, limit: SWEPT, descending: true }),
      ]);
      await remove(old.rows.filter((row) => isOver(kept(row))));
      await remove(own.rows.slice(kind.perUser));
      return { cookie, session: sessionOf(id, value) };
    },

    /** The session of a cookie, which counts as used unless `use` is false; undefined where there is none, or where it is over. */
    async find(cookie: string, use = true): Promise<Session | undefined> {
      if (!/^[A-Za-z0-9_-]{43}$/.test(cookie)) return undefined;
      const id = idOf(cookie);
      const row = await read(id);
      if (!row) return undefined;
      const value = kept(row);
      if (isOver(value)) {
        await remove([row]);
        return undefined;
      }
      if (!use || now() - value.seen < Math.min(TOUCH_MS, kind.idleMs / 4)) return sessionOf(id, value);
      const used = { ...value, seen: now() };
      try {
        const tags = { who: value.who };
        await store.commit(base, { records: [{ category, id, expect: row.version, tags, value: jsonOf(used) }] });
      } catch (error) {
        if (asAppError(error).code !== 'conflict') throw error;
        // it has ended, or another call was first
        if (!(await read(id))) return undefined;
      }
      return sessionOf(id, used);
    },

    /** Whether a session is still there, without using it. */
    async isAlive(id: string): Promise<boolean> {
      const row = await read(id);
      return row !== undefined && !isOver(kept(row));
    },

    /** The sessions of a user that are not over. */
    async of(who: string): Promise<Session[]> {
      const { rows } = await store.find(base, category, { tags: { who }, limit: SWEPT });
      return rows.filter((row) => !isOver(kept(row))).map((row) => sessionOf(row.id, kept(row)));
    },

    async end(id: string): Promise<void> {
      const row = await read(id);
      if (row) await remove([row]);
    },

    /** Ends every session of a user. */
    async endAll(who: string): Promise<void> {
      for (;;) {
        const { rows } = await store.find(base, category, { tags: { who }, limit: SWEPT });
        if (rows.length === 0) return;
        await remove(rows);
      }
    },
  };
}

export type Sessions = ReturnType<typeof createSessions>;
