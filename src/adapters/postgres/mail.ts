import { MAIL_ATTEMPTS, type MailboxStatus, type MailQuery, type QueuedMessage, type StoreAdmin } from '../../ports/store.ts';
import { type MailColumns, recipientHash } from '../../vault/rows.ts';
import { type KnownTenant, mailboxStatus, readMail } from '../store/shared.ts';
import { type Link, scope } from './link.ts';

type Expired = Awaited<ReturnType<StoreAdmin['expireMail']>>;

const EXPIRE_ROWS = 1000;
/** The largest number that the sum of sizes is compared with. */
const ANY_BYTES = Number.MAX_SAFE_INTEGER;

/** The messages after one, as far as $6 bytes go; with $7 the first whatever its size. */
const pageText = (filter: string) => `SELECT n, id, size, received, attempts, body FROM (
    SELECT n, id, size, received, attempts, body, sum(size) OVER (ORDER BY n) AS total, row_number() OVER (ORDER BY n) AS place FROM (
      SELECT n, id, size, received, attempts, body FROM flexid.mail
      WHERE t = $1 AND box = $2 AND n > $3 AND expires > flexid.now_ms() AND attempts < ${MAIL_ATTEMPTS} AND id NOT IN (SELECT unnest($4::text[])) ${filter}
      ORDER BY n LIMIT $5) m) s
  WHERE total <= $6::bigint OR (place = 1 AND $7) ORDER BY n`;
const SHAPES = {
  all: pageText(''),
  agent: pageText('AND recipient IS NULL'),
  recipient: pageText('AND recipient = $8'),
} as const;

/** Mail of a PostgreSQL database: the reads, each with its tenant for row-level security in the same round trip, and the upkeep. */
export function postgresMail(link: () => Link) {
  async function scoped<Row>(tenant: KnownTenant, name: string, text: string, values: readonly unknown[]): Promise<Row[]> {
    const [, rows] = await link().transaction([scope(tenant.n), { name, text, values }]);
    return rows as Row[];
  }

  return {
    async mail(tenant: KnownTenant, box: string, query: MailQuery): Promise<QueuedMessage[]> {
      const { limit, maxBytes = ANY_BYTES, recipient, origin, without = [] } = query;
      // the messages of one key are forwarded ones
      if (origin === 'agent' && recipient !== undefined) return [];
      const shape = recipient !== undefined ? 'recipient' : (origin ?? 'all');
      const hash = recipient === undefined ? [] : [recipientHash(tenant.keys, recipient)];
      const found: QueuedMessage[] = [];
      let after = 0;
      let room = Math.min(Math.trunc(maxBytes), ANY_BYTES);
      for (;;) {
        const values = [tenant.n, box, after, without, limit - found.length, room, found.length === 0, ...hash];
        const rows = await scoped<MailColumns>(tenant, `mail-${shape}`, SHAPES[shape], values);
        let damaged = 0;
        for (const row of rows) {
          const mail = readMail(tenant.keys, box, row);
          after = row.n;
          if (mail) {
            found.push(mail);
            room -= row.size;
          } else damaged += 1;
        }
        // a damaged message takes nobody's place
        if (damaged === 0 || found.length >= limit) return found;
      }
    },
    async mailbox(tenant: KnownTenant, box: string, recipient?: string): Promise<MailboxStatus> {
      const end = (order: string) => `(SELECT received FROM flexid.mail WHERE t = $1 AND box = $2 ORDER BY n ${order} LIMIT 1)`;
      const text =
        recipient === undefined
          ? `SELECT messages, bytes, ${end('ASC')} AS oldest, ${end('DESC')} AS newest FROM flexid.mailbox WHERE t = $1 AND box = $2`
          : `SELECT count(*) AS messages, coalesce(sum(size), 0)::bigint AS bytes, min(received) AS oldest, max(received) AS newest
             FROM flexid.mail WHERE t = $1 AND box = $2 AND recipient = $3`;
      const values = [tenant.n, box, ...(recipient === undefined ? [] : [recipientHash(tenant.keys, recipient)])];
      const [row] = await scoped<Parameters<typeof mailboxStatus>[0]>(
        tenant,
        recipient === undefined ? 'mailbox' : 'mailbox-of',
        text,
        values,
      );
      return mailboxStatus(row);
    },
    expire: (now: number): Promise<Expired> =>
      link().query<Expired[number]>({
        name: 'expire-mail',
        text: 'SELECT tenant, box AS mailbox, messages, reason FROM flexid.expire_mail($1, $2)',
        values: [Math.trunc(now), EXPIRE_ROWS],
      }),
  };
}
