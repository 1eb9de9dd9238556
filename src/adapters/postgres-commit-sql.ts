/** SQLSTATEs that the functions raise; class FX is ours. */
export const VERSION_CLASH = 'FX001';
export const LEASE_LOST = 'FX002';
export const FOREIGN_LANE = 'FX003';
export const NO_TENANT = 'FX004';
/** Any number of our own: the class of the advisory locks that commits of a tenant share, and its erasure takes alone. */
export const TENANT_LOCK = 703_196;

/**
 * The parameters of `flexid.commit` after the first three, in order: one array per column, over all commits of the batch, each set beginning with the tenant's
 * number.
 */
export const COMMIT_SETS = {
  done: ['id text', 'lane text', 'lease text'],
  mark: ['t int', 'hash bytea', 'expires bigint', 'answer bytea'],
  gone: ['t int', 'category text', 'id text', 'expect int'],
  fresh: ['t int', 'category text', 'id text', 'state text', 'role text', 'connection text', 'tags bytea', 'value bytea'],
  changed: ['t int', 'category text', 'id text', 'expect int', 'state text', 'role text', 'connection text', 'tags bytea', 'value bytea'],
  key: ['t int', 'hash bytea', 'value bytea'],
  unkey: ['t int', 'hash bytea'],
  unroute: ['t int', 'hash bytea'],
  route: ['t int', 'hash bytea', 'kind text', 'target text'],
  job: ['t int', 'id text', 'kind text', 'lane text', 'due bigint', 'cause text', 'payload bytea'],
  event: ['t int', 'id text', 'topic text', 'category text', 'record text', 'value bytea'],
  cause: ['t int', 'cause text', 'snapshot bytea', 'failure bytea'],
} as const;

export type CommitSet = keyof typeof COMMIT_SETS;

const column = (text: string) => text.slice(0, text.indexOf(' '));
const parameters = Object.entries(COMMIT_SETS).flatMap(([set, columns]) =>
  columns.map((text) => `${set}_${column(text)} ${text.slice(text.indexOf(' ') + 1)}[]`),
);
const first = (set: CommitSet) => `${set}_${column(COMMIT_SETS[set][0])}`;
/** A set as rows named `x`. */
const rows = (set: CommitSet) =>
  `unnest(${COMMIT_SETS[set].map((text) => `${set}_${column(text)}`).join(', ')}) AS x(${COMMIT_SETS[set].map(column).join(', ')})`;
const when = (set: CommitSet, body: string) => `  IF cardinality(${first(set)}) > 0 THEN\n${body}\n  END IF;`;
/** All of one or several commits, or nothing. Returns the causes of the jobs that it completed. */
export const COMMIT_FUNCTION = `
CREATE FUNCTION flexid.foreign_lane(lane text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'Lane % belongs to another tenant or kind', lane USING ERRCODE = '${FOREIGN_LANE}'; END $$;

-- The single hashes of a record's joined tags.
CREATE FUNCTION flexid.cut(tags bytea) RETURNS bytea[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(substr(tags, at, 16)), '{}') FROM generate_series(1, length(tags), 16) AS s(at)
$$;

CREATE FUNCTION flexid.commit(p_tenants int[], p_from text, p_kinds text[], p_causes text[], ${parameters.join(', ')}) RETURNS text[]
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now bigint := flexid.now_ms();
  v_count bigint;
  v_row record;
  v_causes text[] := '{}';
BEGIN
  PERFORM set_config('flexid.tenant', array_to_string(p_tenants, ','), true);
  -- an erasure waits for the commits that are under way, and none begins after it: so nothing is left behind
  PERFORM pg_advisory_xact_lock_shared(${TENANT_LOCK}, x.n) FROM unnest(p_tenants) AS x(n);
  SELECT count(*) INTO v_count FROM flexid.tenant WHERE n = ANY (p_tenants) AND length(data_key) > 0;
  IF v_count <> cardinality(p_tenants) THEN RAISE EXCEPTION 'There is no such tenant' USING ERRCODE = '${NO_TENANT}'; END IF;
${when(
  'done',
  `    WITH x AS (SELECT * FROM ${rows('done')}),
      removed AS (
        DELETE FROM flexid.job j USING x JOIN flexid.lane l ON l.name = x.lane AND l.lease = x.lease WHERE j.id = x.id AND j.lane = x.lane RETURNING j.cause)
    SELECT count(*), coalesce(array_agg(cause) FILTER (WHERE cause IS NOT NULL), '{}') INTO v_count, v_causes FROM removed;
    IF v_count <> cardinality(done_id) THEN RAISE EXCEPTION 'A job is no longer held' USING ERRCODE = '${LEASE_LOST}'; END IF;`,
)}
${when('mark', `    INSERT INTO flexid.mark (t, hash, expires, answer) SELECT t, hash, expires, answer FROM ${rows('mark')};`)}
${when(
  'gone',
  `    v_count := 0;
    FOR v_row IN DELETE FROM flexid.record r USING ${rows('gone')} WHERE r.t = x.t AND r.category = x.category AND r.id = x.id AND r.version = x.expect
      RETURNING r.n, r.t, r.tags
    LOOP
      DELETE FROM flexid.tag WHERE t = v_row.t AND hash = ANY (flexid.cut(v_row.tags)) AND n = v_row.n;
      v_count := v_count + 1;
    END LOOP;
    IF v_count <> cardinality(gone_t) THEN RAISE EXCEPTION 'A record was changed or removed' USING ERRCODE = '${VERSION_CLASH}'; END IF;`,
)}
${when(
  'fresh',
  `    WITH added AS (
        INSERT INTO flexid.record (t, category, id, version, state, role, connection, created, updated, tags, value)
        SELECT t, category, id, 1, state, role, connection, v_now, v_now, tags, value FROM ${rows('fresh')} RETURNING n, t, tags)
    INSERT INTO flexid.tag (t, hash, n) SELECT a.t, h.hash, a.n FROM added a CROSS JOIN LATERAL unnest(flexid.cut(a.tags)) AS h(hash);`,
)}
${when(
  'changed',
  `    -- tags first, while the old ones are still in the rows; a row that does not match here will not match below either
    FOR v_row IN SELECT r.n, r.t, r.tags, x.tags AS fresh FROM ${rows('changed')}
      JOIN flexid.record r ON r.t = x.t AND r.category = x.category AND r.id = x.id WHERE r.tags <> x.tags
    LOOP
      DELETE FROM flexid.tag WHERE t = v_row.t AND hash = ANY (flexid.cut(v_row.tags)) AND n = v_row.n;
      INSERT INTO flexid.tag (t, hash, n) SELECT v_row.t, h.hash, v_row.n FROM unnest(flexid.cut(v_row.fresh)) AS h(hash);
    END LOOP;
    UPDATE flexid.record r SET version = r.version + 1, state = x.state, role = x.role, connection = x.connection, updated = v_now, tags = x.tags, value = x.value
    FROM ${rows('changed')} WHERE r.t = x.t AND r.category = x.category AND r.id = x.id AND r.version = x.expect;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(changed_t) THEN RAISE EXCEPTION 'A record was changed or removed' USING ERRCODE = '${VERSION_CLASH}'; END IF;`,
)}
${when('key', `    INSERT INTO flexid.key (t, hash, value) SELECT t, hash, value FROM ${rows('key')};`)}
${when('unkey', `    DELETE FROM flexid.key k USING ${rows('unkey')} WHERE k.t = x.t AND k.hash = x.hash;`)}
${when('unroute', `    DELETE FROM flexid.route r USING ${rows('unroute')} WHERE r.hash = x.hash AND r.t = x.t;`)}
${when('route', `    INSERT INTO flexid.route (hash, t, kind, target) SELECT hash, t, kind, target FROM ${rows('route')};`)}
${when(
  'job',
  `    -- in the order of their names, so that two batches never wait for each other's lanes; the row stays locked until the end, whether it changes or not
    INSERT INTO flexid.lane AS l (name, kind, t, due, head)
      SELECT DISTINCT ON (x.lane) x.lane, x.kind, x.t, greatest(x.due, v_now), x.id FROM ${rows('job')} ORDER BY x.lane, x.id
    ON CONFLICT (name) DO UPDATE SET head = excluded.head, due = CASE WHEN l.lease IS NULL THEN excluded.due ELSE l.due END
      WHERE CASE WHEN l.t = excluded.t AND l.kind = excluded.kind THEN excluded.head < l.head ELSE flexid.foreign_lane(l.name) END;
    INSERT INTO flexid.job (id, lane, t, kind, due, attempts, cause, payload)
      SELECT id, lane, t, kind, greatest(due, v_now), 0, cause, payload FROM ${rows('job')};`,
)}
${when(
  'event',
  `    INSERT INTO flexid.event (t, id, topic, category, record, time, value) SELECT t, id, topic, category, record, v_now, value FROM ${rows('event')};`,
)}
${when(
  'cause',
  `    -- the last value of each kind, should one cause be named twice
    INSERT INTO flexid.cause AS c (t, cause, expires, snapshot, failure)
      SELECT x.t, x.cause, v_now + 3600000, (array_agg(x.snapshot ORDER BY x.o DESC) FILTER (WHERE x.snapshot IS NOT NULL))[1],
        (array_agg(x.failure ORDER BY x.o DESC) FILTER (WHERE x.failure IS NOT NULL))[1]
      FROM unnest(cause_t, cause_cause, cause_snapshot, cause_failure) WITH ORDINALITY AS x(t, cause, snapshot, failure, o) GROUP BY x.t, x.cause ORDER BY x.t, x.cause
    ON CONFLICT (t, cause) DO UPDATE SET expires = excluded.expires, snapshot = coalesce(excluded.snapshot, c.snapshot), failure = coalesce(excluded.failure, c.failure);`,
)}
  PERFORM flexid.hint(p_from, p_kinds, p_causes || v_causes);
  RETURN v_causes;
END $$;
`;
