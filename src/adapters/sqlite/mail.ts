import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { MAIL_ATTEMPTS, type MailboxStatus, type MailQuery, type QueuedMessage, type StoreAdmin } from '../../ports/store.ts';
import { type CommitRows, type MailColumns, recipientHash } from '../../vault/rows.ts';
import { type KnownTenant, mailboxStatus, readMail } from '../store/shared.ts';
import { rowOf, rowsOf } from './file.ts';

const EXPIRE_ROWS = 1000;
/** Written out, so that the index of what was given up is used. */
const GIVEN_UP = `attempts >= ${MAIL_ATTEMPTS}`;

type Counted = { messages: number; bytes: number };

/** Moves the counters of a box, by what was really written or removed. */
const boxAdd = (db: DatabaseSync) =>
  db.prepare(`INSERT INTO mailbox (t, box, messages, bytes) VALUES (?, ?, ?, ?)
    ON CONFLICT (t, box) DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes RETURNING messages, bytes`);

/** Writes the mail of a commit. @returns how many messages each box that got mail holds now */
export function mailWrites(db: DatabaseSync) {
  const add = boxAdd(db);
  const insert = db.prepare(
    'INSERT INTO mail (t, box, id, recipient, size, received, expires, attempts, body) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)',
  );
  const take = db.prepare('DELETE FROM mail WHERE t = ? AND id = ? AND box = ? RETURNING size');
  const unacknowledge = db.prepare('UPDATE mail SET attempts = attempts + 1 WHERE t = ? AND id = ? AND box = ?');

  function takeAll(t: number, box: string, ids: readonly string[]): void {
    let messages = 0;
    let bytes = 0;
    for (const id of ids) {
      const row = take.get(t, id, box) as { size: number } | undefined;
      if (!row) continue;
      messages += 1;
      bytes += row.size;
    }
    if (messages > 0) add.get(t, box, -messages, -bytes);
  }

  return (t: number, rows: CommitRows, now: number): { box: string; waiting: number }[] => {
    for (const { box, ids } of rows.acknowledged) takeAll(t, box, ids);
    for (const { box, ids } of rows.unacknowledged) for (const id of ids) unacknowledge.run(t, id, box);
    if (rows.mail.length === 0) return [];
    const waiting = rows.boxes.map(({ box, messages, bytes, maxMessages, maxBytes }) => {
      const held = rowOf<Counted>(add.get(t, box, messages, bytes))!;
      if (held.messages > maxMessages || held.bytes > maxBytes) throw new AppError('mailbox-full');
      return { box, waiting: held.messages };
    });
    for (const m of rows.mail) insert.run(t, m.box, m.id, m.recipient, m.size, now, m.expires, m.body);
    return waiting;
  };
}

/** Reads of mail; as all reads synchronous. */
export function mailReads(db: DatabaseSync) {
  const readable = (filter: string) =>
    db.prepare(`SELECT n, id, size, received, attempts, body FROM mail INDEXED BY mail_box
      WHERE t = ? AND box = ? AND expires > ? AND attempts < ${MAIL_ATTEMPTS} ${filter} ORDER BY n`);
  const without = 'AND id NOT IN (SELECT value FROM json_each(?))';
  // the rows are taken one by one, as far as the limits go: damaged ones do not count
  const shapes = ['', 'AND recipient = ?', 'AND recipient IS NULL'].map(
    (filter) => [readable(filter), readable(`${filter} ${without}`)] as const,
  );
  const counted = db.prepare('SELECT messages, bytes FROM mailbox WHERE t = ? AND box = ?');
  const end = (order: 'ASC' | 'DESC') =>
    db.prepare(`SELECT received FROM mail INDEXED BY mail_box WHERE t = ? AND box = ? ORDER BY n ${order} LIMIT 1`);
  const [oldest, newest] = [end('ASC'), end('DESC')];
  const ofRecipient =
    db.prepare(`SELECT count(*) AS messages, coalesce(sum(size), 0) AS bytes, min(received) AS oldest, max(received) AS newest
    FROM mail INDEXED BY mail_box WHERE t = ? AND box = ? AND recipient = ?`);

  return {
    mail(tenant: KnownTenant, box: string, query: MailQuery): QueuedMessage[] {
      const { limit, maxBytes = Infinity, recipient, origin, without: passed = [] } = query;
      // the messages of one key are forwarded ones
      if (origin === 'agent' && recipient !== undefined) return [];
      const [plain, count] = shapes[recipient !== undefined ? 1 : origin === 'agent' ? 2 : 0]!;
      const values = [tenant.n, box, Date.now(), ...(recipient === undefined ? [] : [recipientHash(tenant.keys, recipient)])];
      const rows = passed.length === 0 ? plain.iterate(...values) : count.iterate(...values, JSON.stringify(passed));
      const found: QueuedMessage[] = [];
      let bytes = 0;
      for (const row of rows as Iterable<unknown> as Iterable<MailColumns>) {
        if (found.length > 0 && bytes + row.size > maxBytes) break;
        const mail = readMail(tenant.keys, box, row);
        if (!mail) continue;
        found.push(mail);
        bytes += row.size;
        if (found.length >= limit) break;
      }
      return found;
    },
    mailbox(tenant: KnownTenant, box: string, recipient?: string): MailboxStatus {
      if (recipient !== undefined) {
        return mailboxStatus(ofRecipient.get(tenant.n, box, recipientHash(tenant.keys, recipient)) as Parameters<typeof mailboxStatus>[0]);
      }
      const row = counted.get(tenant.n, box) as Counted | undefined;
      const time = (of: typeof oldest) => (of!.get(tenant.n, box) as { received: number } | undefined)?.received;
      return mailboxStatus(row && { ...row, oldest: time(oldest), newest: time(newest) });
    },
  };
}

type Expiring = { t: number; box: string; size: number; attempts: number };
type Expired = Awaited<ReturnType<StoreAdmin['expireMail']>>;

/** Removes some of the mail whose time is over or that was given up. */
export function mailExpiry(db: DatabaseSync): (now: number) => Expired {
  const add = boxAdd(db);
  const old = db.prepare(`DELETE FROM mail WHERE n IN (SELECT n FROM mail WHERE expires <= ? ORDER BY expires LIMIT ${EXPIRE_ROWS})
    RETURNING t, box, size, attempts`);
  const missed = db.prepare(`DELETE FROM mail WHERE n IN (SELECT n FROM mail INDEXED BY mail_missed WHERE ${GIVEN_UP} LIMIT ?)
    RETURNING t, box, size, attempts`);
  const tenantId = db.prepare('SELECT id FROM tenant WHERE n = ?');

  return (now) => {
    const expiring = rowsOf<Expiring>(old.all(now));
    if (expiring.length < EXPIRE_ROWS) expiring.push(...rowsOf<Expiring>(missed.all(EXPIRE_ROWS - expiring.length)));
    const sums = new Map<string, { of: Expiring; reason: Expired[number]['reason']; messages: number; bytes: number }>();
    for (const of of expiring) {
      const reason = of.attempts >= MAIL_ATTEMPTS ? 'undeliverable' : 'expired';
      const key = `${of.t} ${reason} ${of.box}`;
      const sum = sums.get(key) ?? { of, reason, messages: 0, bytes: 0 };
      sum.messages += 1;
      sum.bytes += of.size;
      sums.set(key, sum);
    }
    return [...sums.values()].map(({ of: { t, box }, reason, messages, bytes }) => {
      add.get(t, box, -messages, -bytes);
      return { tenant: (tenantId.get(t) as { id: string }).id, mailbox: box, messages, reason };
    });
  };
}
