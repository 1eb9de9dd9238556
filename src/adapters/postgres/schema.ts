import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import { BLOB_FUNCTIONS, BLOB_TABLES } from './blobs.ts';
import { COMMIT_FUNCTION, COUNTER_TABLES, MAIL_FUNCTIONS } from './commit-sql.ts';
import { FAIR_LANES, JOB_FUNCTIONS } from './jobs-sql.ts';

/**
 * Tables as in SQLite, with two differences: a lane is a row of its own, where `due` and `head` describe its first job as of the last settle, and who holds it (`lease`;
 * `due` is then the end of the hold, so that a lane is claimable when it is due, held or not), and row-level security keeps every statement to the tenants named in `flexid.tenant` (a list of numbers, `*` for upkeep, nothing: no row).
 */
const TABLES = `
CREATE TABLE flexid.meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE flexid.tenant (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, name bytea NOT NULL, data_key bytea NOT NULL, created bigint NOT NULL);
CREATE TABLE flexid.record (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t int NOT NULL, category text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version int NOT NULL,
  state text, role text, connection text, created bigint NOT NULL, updated bigint NOT NULL, tags bytea NOT NULL, value bytea NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX record_id ON flexid.record (t, category, id);
-- lists ask for t::bigint, look-ups for t: so a plan that was made while the table was small cannot use the index of lists to look up one record
CREATE INDEX record_list ON flexid.record ((t::bigint), category, n);
CREATE INDEX record_connection ON flexid.record ((t::bigint), connection, category, n) WHERE connection IS NOT NULL;
CREATE TABLE flexid.tag (t int NOT NULL, hash bytea NOT NULL, n bigint NOT NULL, PRIMARY KEY (t, hash, n));
CREATE TABLE flexid.key (t int NOT NULL, hash bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (t, hash));
CREATE TABLE flexid.route (hash bytea PRIMARY KEY, t int NOT NULL, kind text NOT NULL, target text NOT NULL);
CREATE TABLE flexid.mark (t int NOT NULL, hash bytea NOT NULL, expires bigint NOT NULL, answer bytea, PRIMARY KEY (t, hash));
CREATE INDEX mark_expires ON flexid.mark (expires);
CREATE TABLE flexid.lane (
  name text COLLATE "C" PRIMARY KEY, kind text NOT NULL, t int NOT NULL, due bigint NOT NULL, head text COLLATE "C" NOT NULL, lease text
) WITH (fillfactor = 60);
CREATE INDEX lane_due ON flexid.lane (due);
CREATE TABLE flexid.job (
  id text COLLATE "C" PRIMARY KEY, lane text COLLATE "C" NOT NULL, t int NOT NULL, kind text NOT NULL, due bigint NOT NULL, attempts int NOT NULL, cause text,
  payload bytea NOT NULL
);
CREATE INDEX job_lane ON flexid.job (lane, id);
CREATE INDEX job_cause ON flexid.job (t, cause) WHERE cause IS NOT NULL AND kind NOT IN ('deliver', 'event');
CREATE TABLE flexid.dead (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, lane text NOT NULL, t int NOT NULL, kind text NOT NULL,
  attempts int NOT NULL, cause text, payload bytea NOT NULL, died bigint NOT NULL, error bytea NOT NULL
);
CREATE INDEX dead_tenant ON flexid.dead (t, n);
CREATE TABLE flexid.event (
  t int NOT NULL, id text COLLATE "C" NOT NULL, topic text NOT NULL, category text NOT NULL, record text NOT NULL, time bigint NOT NULL, value bytea NOT NULL,
  PRIMARY KEY (t, id)
);
CREATE INDEX event_time ON flexid.event (time);
CREATE TABLE flexid.cause (t int NOT NULL, cause text COLLATE "C" NOT NULL, expires bigint NOT NULL, snapshot bytea, failure bytea, PRIMARY KEY (t, cause));
CREATE INDEX cause_expires ON flexid.cause (expires);
-- queues change all the time: their dead rows must go before they slow down the claims
ALTER TABLE flexid.lane SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
ALTER TABLE flexid.job SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
`;

const MAIL_TABLES = ['mail', 'mailbox'] as const;
const BLOB_TABLE_NAMES = ['blob', 'chunk', 'spare'] as const;
const COUNTER_TABLE_NAMES = ['counter', 'allocation'] as const;

/** Tables of the first schema whose rows only their tenant may see; lanes, jobs and owners of keys are read across tenants by their nature. */
const PRIVATE_TABLES = ['record', 'tag', 'key', 'mark', 'dead', 'event', 'cause'] as const;
const RENAMED_TABLES: Readonly<Record<string, string>> = { mark: 'dedup_key', cause: 'call' };

/** The tables that hold rows of a tenant by its number `t`. */
export const TENANT_TABLES: readonly string[] = [
  ...PRIVATE_TABLES.map((table) => RENAMED_TABLES[table] ?? table),
  ...MAIL_TABLES,
  ...BLOB_TABLE_NAMES,
  ...COUNTER_TABLE_NAMES,
  'key_owner',
  'lane',
  'job',
];

const secured = (table: string) => `
ALTER TABLE flexid.${table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE flexid.${table} FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON flexid.${table} USING ((SELECT flexid.tenants()) IS NULL OR t = ANY ((SELECT flexid.tenants())::int[]));`;

const SECURITY = `
CREATE FUNCTION flexid.tenants() RETURNS int[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN current_setting('flexid.tenant', true) = '*' THEN NULL
    ELSE coalesce(string_to_array(nullif(current_setting('flexid.tenant', true), ''), ',')::int[], '{}') END
$$;
${PRIVATE_TABLES.map(secured).join('')}
`;

const MAIL = `
CREATE TABLE flexid.mail (
  n bigint GENERATED ALWAYS AS IDENTITY, t int NOT NULL, box text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, recipient bytea, size int NOT NULL,
  received bigint NOT NULL, expires bigint NOT NULL, attempts int NOT NULL, body bytea NOT NULL, PRIMARY KEY (t, id)
);
CREATE INDEX mail_box ON flexid.mail (t, box, n);
-- our own messages are few among those that were forwarded, and asked for alone
CREATE INDEX mail_own ON flexid.mail (t, box, n) WHERE recipient IS NULL;
CREATE INDEX mail_expires ON flexid.mail (expires);
CREATE INDEX mail_missed ON flexid.mail (t, n) WHERE attempts >= 20;
-- what mail counts, exactly; changed with each message, in its own page where there is room
CREATE TABLE flexid.mailbox (t int NOT NULL, box text COLLATE "C" NOT NULL, messages bigint NOT NULL, bytes bigint NOT NULL, PRIMARY KEY (t, box)) WITH (fillfactor = 60);
${MAIL_TABLES.map(
  (table) => `ALTER TABLE flexid.${table} SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);${secured(table)}
`,
).join('')}
${MAIL_FUNCTIONS}`;

const CLOCK_FUNCTION = `
CREATE FUNCTION flexid.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
`;

/** A tag's record is found from the tag alone and by the record's own key, never from the tenant to all of its records. */
const LOAD_FUNCTION = `
-- Lookups of many calls at once: by id, by tag, and of dedup keys; ord is the caller's number of the lookup.
CREATE FUNCTION flexid.load_rows(p_tenants text, i_ord int[], i_t int[], i_category text[], i_id text[], g_ord int[], g_t int[], g_hash bytea[], d_ord int[], d_t int[], d_hash bytea[])
RETURNS TABLE (ord int, n bigint, category text, id text, version int, state text, role text, connection text, created bigint, updated bigint, value bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('flexid.tenant', p_tenants, true);
  IF cardinality(i_ord) > 0 THEN
    RETURN QUERY SELECT u.ord, r.n, r.category, r.id, r.version, r.state, r.role, r.connection, r.created, r.updated, r.value
      FROM unnest(i_ord, i_t, i_category, i_id) AS u(ord, t, category, id) JOIN flexid.record r ON r.t = u.t AND r.category = u.category AND r.id = u.id;
  END IF;
  IF cardinality(g_ord) > 0 THEN
    RETURN QUERY SELECT u.ord, r.n, r.category, r.id, r.version, r.state, r.role, r.connection, r.created, r.updated, r.value
      FROM unnest(g_ord, g_t, g_hash) AS u(ord, t, hash)
      CROSS JOIN LATERAL (SELECT g.t, g.n FROM flexid.tag g WHERE g.t = u.t AND g.hash = u.hash ORDER BY g.n DESC LIMIT 20) g
      JOIN flexid.record r ON r.t = g.t AND r.n = g.n ORDER BY u.ord, r.n DESC;
  END IF;
  IF cardinality(d_ord) > 0 THEN
    RETURN QUERY SELECT u.ord, NULL::bigint, NULL, NULL, NULL::int, NULL, NULL, NULL, NULL::bigint, NULL::bigint, d.answer
      FROM unnest(d_ord, d_t, d_hash) AS u(ord, t, hash) JOIN flexid.dedup_key d ON d.t = u.t AND d.hash = u.hash;
  END IF;
END $$;
`;

/**
 * The functions over records, jobs and commits. A migration that changes one of them, or what it reads, is followed by all of them made anew: a database of any
 * version ends with these. A replica of the former version goes on only where its functions are still among them, with the same parameters and columns.
 */
const FUNCTIONS = LOAD_FUNCTION + COMMIT_FUNCTION + JOB_FUNCTIONS;
/** Their names, and those that functions of earlier versions had. */
const FUNCTION_NAMES = [...FUNCTIONS.matchAll(/CREATE FUNCTION flexid\.(\w+)\(/g)].map(([, name]) => name!).concat('load', 'claim', 'hint');
const FUNCTIONS_ANEW = `
DO $$ DECLARE v_name text; BEGIN
  FOR v_name IN SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'flexid'::regnamespace AND proname IN ('${FUNCTION_NAMES.join("', '")}')
  LOOP EXECUTE 'DROP FUNCTION ' || v_name; END LOOP;
END $$;
${FUNCTIONS}`;

/** Migrations in order; one is never changed after a release. */
const MIGRATIONS: readonly { name: string; sql: string }[] = [
  {
    name: 'first',
    sql: TABLES + SECURITY + CLOCK_FUNCTION,
  },
  {
    name: 'wallets whose owner keeps the key',
    sql: `
ALTER TABLE flexid.tenant ADD COLUMN lock text, ADD COLUMN open_until bigint;
CREATE INDEX tenant_open ON flexid.tenant (open_until) WHERE open_until IS NOT NULL;`,
  },
  {
    // so that tables can be distributed by tenant (Citus): there a unique key must hold the column that rows are distributed by
    name: 'the tenant first in every key',
    sql: `
ALTER TABLE flexid.record DROP CONSTRAINT record_pkey, ADD PRIMARY KEY (t, n);
ALTER TABLE flexid.dead DROP CONSTRAINT dead_pkey, DROP CONSTRAINT dead_id_key, ADD PRIMARY KEY (t, n), ADD UNIQUE (t, id);
DROP INDEX flexid.dead_tenant;`,
  },
  { name: 'mail that peers fetch', sql: MAIL },
  { name: 'lanes in turn by tenant and target', sql: FAIR_LANES },
  { name: 'blobs', sql: BLOB_TABLES + BLOB_TABLE_NAMES.map(secured).join('') + BLOB_FUNCTIONS },
  { name: 'counters', sql: COUNTER_TABLES + COUNTER_TABLE_NAMES.map(secured).join('') },
  {
    // a plain column, so that locked wallets need no key for it; a replica of an earlier version would take it for the peer's role
    name: 'our own role in connections',
    sql: `
SELECT set_config('flexid.tenant', '*', true);
UPDATE flexid.record SET role = CASE role WHEN 'inviter' THEN 'invitee' ELSE 'inviter' END WHERE category = 'connection' AND role IN ('inviter', 'invitee');`,
  },
  {
    // replicas of earlier versions can read, claim and commit nothing after it
    name: 'names of dedup keys, calls and owners of keys',
    sql: `
ALTER TABLE flexid.mark RENAME TO dedup_key;
ALTER INDEX flexid.mark_pkey RENAME TO dedup_key_pkey;
ALTER INDEX flexid.mark_expires RENAME TO dedup_key_expires;
ALTER TABLE flexid.route RENAME TO key_owner;
ALTER INDEX flexid.route_pkey RENAME TO key_owner_pkey;
ALTER TABLE flexid.cause RENAME TO call;
ALTER TABLE flexid.call RENAME COLUMN cause TO call_id;
ALTER TABLE flexid.call RENAME COLUMN snapshot TO result;
ALTER INDEX flexid.cause_pkey RENAME TO call_pkey;
ALTER INDEX flexid.cause_expires RENAME TO call_expires;
ALTER TABLE flexid.job RENAME COLUMN cause TO call_id;
ALTER INDEX flexid.job_cause RENAME TO job_call;
ALTER TABLE flexid.dead RENAME COLUMN cause TO call_id;
${FUNCTIONS_ANEW}`,
  },
  { name: 'lanes that go with their last job', sql: FUNCTIONS_ANEW },
  { name: 'values that stay as they are', sql: FUNCTIONS_ANEW },
];

/** Any number of our own: the advisory lock under which only one process migrates. */
const MIGRATION_LOCK = 7_031_961_001;

/**
 * Brings the database to this version's schema, in one transaction under an advisory lock.
 * @throws AppError `store-unavailable` when a newer version of the agent has been here.
 */
export async function migratePostgres(client: Client): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(`CREATE SCHEMA IF NOT EXISTS flexid;
      CREATE TABLE IF NOT EXISTS flexid.migration (number int PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())`);
    const { rows } = await client.query<{ last: number }>('SELECT coalesce(max(number), 0)::int AS last FROM flexid.migration');
    const last = rows[0]?.last ?? 0;
    if (last > MIGRATIONS.length) {
      throw new AppError(
        'store-unavailable',
        `The database has schema ${last}, this version of the agent knows schemas up to ${MIGRATIONS.length}: start a newer version`,
      );
    }
    for (const [i, { name, sql }] of MIGRATIONS.entries()) {
      if (i < last) continue;
      await client.query(sql);
      await client.query('INSERT INTO flexid.migration (number, name) VALUES ($1, $2)', [i + 1, name]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * The settings of each session of the agent on this server. Row-level security does not bind a superuser: then the agent works as a role of its own that it does
 * bind. And what is acknowledged is durable, also where the server's default is otherwise.
 */
export async function sessionSettings(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ free: boolean; lazy: boolean }>(
    `SELECT rolsuper OR rolbypassrls AS free, current_setting('synchronous_commit') = 'off' AS lazy FROM pg_roles WHERE rolname = current_user`,
  );
  const settings = rows[0]?.lazy ? ['synchronous_commit=on'] : [];
  if (!rows[0]?.free) return settings;
  await client.query(`DO $$ BEGIN
      IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'flexid_agent') THEN CREATE ROLE flexid_agent NOLOGIN; END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    GRANT USAGE ON SCHEMA flexid TO flexid_agent;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA flexid TO flexid_agent;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA flexid TO flexid_agent`);
  return [...settings, 'role=flexid_agent'];
}
