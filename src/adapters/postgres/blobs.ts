import { randomUUID } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { BlobStat, Blobs } from '../../ports/blobs.ts';
import {
  CHUNKS_AT_ONCE,
  checkedName,
  checkedSize,
  chunksOf,
  groupsOf,
  joined,
  MAX_LISTED,
  rangeOf,
  SPARE_MS,
  sha256,
  unknownTenant,
} from '../store/blobs-shared.ts';
import type { KnownTenant } from '../store/shared.ts';
import { NO_TENANT, TENANT_LOCK } from './commit-sql.ts';
import type { Link } from './link.ts';

const EXPIRE_ROWS = 64;

/**
 * As in SQLite: chunks under an id of their own, then a name that points to them. The function takes a lock on the name, so that of two writers at once the second
 * sees what the first has put there.
 */
export const BLOB_TABLES = `
CREATE TABLE flexid.blob (
  t int NOT NULL, name text COLLATE "C" NOT NULL, content text COLLATE "C" NOT NULL, size bigint NOT NULL, sha256 text NOT NULL, written bigint NOT NULL, PRIMARY KEY (t, name)
);
CREATE TABLE flexid.chunk (t int NOT NULL, content text COLLATE "C" NOT NULL, n int NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (t, content, n));
ALTER TABLE flexid.chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TABLE flexid.spare (t int NOT NULL, content text COLLATE "C" NOT NULL, since bigint NOT NULL, PRIMARY KEY (t, content));
CREATE INDEX spare_since ON flexid.spare (since);
`;

export const BLOB_FUNCTIONS = `
-- Turns a name to a content whose chunks are all there; without a content the name goes. False where the content is not known any more.
CREATE FUNCTION flexid.turn_blob(p_t int, p_name text, p_content text, p_size bigint, p_sha256 text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('flexid.tenant', p_t::text, true);
  -- an erasure waits for this, and nothing begins after it
  PERFORM pg_advisory_xact_lock_shared(${TENANT_LOCK}, p_t);
  PERFORM 1 FROM flexid.tenant WHERE n = p_t AND (length(data_key) > 0 OR lock IS NOT NULL);
  IF NOT FOUND THEN RAISE EXCEPTION 'There is no such tenant' USING ERRCODE = '${NO_TENANT}'; END IF;
  PERFORM pg_advisory_xact_lock(p_t, hashtext(p_name));
  IF p_content IS NOT NULL THEN
    DELETE FROM flexid.spare WHERE t = p_t AND content = p_content;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  INSERT INTO flexid.spare (t, content, since) SELECT t, content, flexid.now_ms() FROM flexid.blob WHERE t = p_t AND name = p_name;
  DELETE FROM flexid.blob WHERE t = p_t AND name = p_name;
  IF p_content IS NOT NULL THEN
    INSERT INTO flexid.blob (t, name, content, size, sha256, written) VALUES (p_t, p_name, p_content, p_size, p_sha256, flexid.now_ms());
  END IF;
  RETURN true;
END $$;

-- Removes some rows of one content that has been spare since before p_before; NULL where there is none, else whether it is gone whole.
CREATE FUNCTION flexid.expire_blob(p_before bigint, p_rows int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_spare flexid.spare;
  v_count int;
BEGIN
  PERFORM set_config('flexid.tenant', '*', true);
  SELECT * INTO v_spare FROM flexid.spare WHERE since <= p_before ORDER BY since LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN NULL; END IF;
  DELETE FROM flexid.chunk c WHERE c.t = v_spare.t AND c.content = v_spare.content
    AND c.n = ANY (ARRAY(SELECT n FROM flexid.chunk WHERE t = v_spare.t AND content = v_spare.content ORDER BY n LIMIT p_rows));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count = p_rows THEN RETURN false; END IF;
  DELETE FROM flexid.spare WHERE t = v_spare.t AND content = v_spare.content;
  RETURN true;
END $$;
`;

type Row = BlobStat & { content: string };

interface Parts {
  link: () => Link;
  tenantById: (id: string) => Promise<KnownTenant>;
  /** Of a locked wallet too. */
  tenantNumber: (id: string) => Promise<number>;
}

/** Blobs of a PostgreSQL database. */
export function postgresBlobs({ link, tenantById, tenantNumber }: Parts): Blobs {
  async function scoped<Found>(t: number, name: string, text: string, values: readonly unknown[]): Promise<Found[]> {
    const scope = { name: 'scope', text: "SELECT set_config('flexid.tenant', $1, false)", values: [String(t)] };
    const [, rows] = await link().together([scope, { name, text, values }]);
    return rows as Found[];
  }
  const find = async (t: number, name: string): Promise<Row | undefined> =>
    (await scoped<Row>(t, 'blob', 'SELECT name, size, sha256, written, content FROM flexid.blob WHERE t = $1 AND name = $2', [t, name]))[0];
  const turn = async (t: number, name: string, content: string | null, size: number, hash: string): Promise<boolean> => {
    const text = 'SELECT flexid.turn_blob($1, $2, $3, $4, $5) AS turned';
    const [row] = await link().query<{ turned: boolean }>({ name: 'turn-blob', text, values: [t, name, content, size, hash] });
    return row!.turned;
  };

  async function put(tenant: string, given: string, bytes: Uint8Array): Promise<void> {
    const name = checkedName(given);
    checkedSize(bytes);
    const { n: t } = await tenantById(tenant);
    const hash = sha256(bytes);
    if ((await find(t, name))?.sha256 === hash) return;
    const content = randomUUID();
    await scoped(t, 'spare-add', 'INSERT INTO flexid.spare (t, content, since) VALUES ($1, $2, flexid.now_ms())', [t, content]);
    for (const { first, chunks } of groupsOf(bytes)) {
      const text = `INSERT INTO flexid.chunk (t, content, n, bytes)
        SELECT $1, $2, $3 + x.n::int - 1, x.bytes FROM unnest($4::bytea[]) WITH ORDINALITY AS x(bytes, n)`;
      await scoped(t, 'chunks-add', text, [t, content, first, chunks.map((one) => Buffer.from(one.buffer, one.byteOffset, one.length))]);
    }
    if (!(await turn(t, name, content, bytes.length, hash))) throw new AppError('conflict', 'The blob took too long to write');
  }

  async function read(tenant: string, name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> {
    checkedName(name);
    const t = await tenantNumber(tenant);
    const row = await find(t, name);
    if (!row) return undefined;
    const wanted = rangeOf(row.size, range);
    const { first, end } = chunksOf(wanted);
    const found: Uint8Array[] = [];
    const text = 'SELECT bytes FROM flexid.chunk WHERE t = $1 AND content = $2 AND n >= $3 AND n < $4 ORDER BY n';
    for (let at = first; at < end; at += CHUNKS_AT_ONCE) {
      const rows = await scoped<{ bytes: Uint8Array }>(t, 'chunks', text, [t, row.content, at, Math.min(at + CHUNKS_AT_ONCE, end)]);
      found.push(...rows.map(({ bytes }) => bytes));
    }
    return joined(row, wanted, found);
  }

  async function expire(now: number): Promise<number> {
    let removed = 0;
    for (;;) {
      const values = [Math.trunc(now) - SPARE_MS, EXPIRE_ROWS];
      const [row] = await link().query<{ whole: boolean | null }>({
        name: 'expire-blob',
        text: 'SELECT flexid.expire_blob($1, $2) AS whole',
        values,
      });
      if (row!.whole === null) return removed;
      if (row!.whole) removed += 1;
    }
  }

  return Object.freeze({
    put,
    read,
    expire,
    async stat(tenant: string, name: string) {
      checkedName(name);
      const row = await find(await tenantNumber(tenant), name);
      return row && { name: row.name, size: row.size, sha256: row.sha256, written: row.written };
    },
    async remove(tenant: string, name: string) {
      checkedName(name);
      await turn((await tenantById(tenant)).n, name, null, 0, '');
    },
    async clear(tenant: string) {
      // the rows of a tenant that is gone are swept with all its others
      const known = await tenantById(tenant).catch(unknownTenant);
      const text = `WITH gone AS (DELETE FROM flexid.blob WHERE t = $1 RETURNING t, content)
        INSERT INTO flexid.spare (t, content, since) SELECT t, content, flexid.now_ms() FROM gone`;
      if (known) await scoped(known.n, 'blobs-clear', text, [known.n]);
    },
    async list(tenant: string, { after = '', limit = MAX_LISTED }: { after?: string; limit?: number }) {
      const { n: t } = await tenantById(tenant);
      const text = 'SELECT name, size, sha256, written FROM flexid.blob WHERE t = $1 AND name > $2 ORDER BY name LIMIT $3';
      return scoped<BlobStat>(t, 'blobs', text, [t, after, Math.min(Math.max(1, limit), MAX_LISTED)]);
    },
  });
}
