/** SQLSTATEs that the functions raise; class FX is ours. */
export const VERSION_CLASH = 'FX001';
export const LEASE_LOST = 'FX002';
export const FOREIGN_LANE = 'FX003';
export const NO_TENANT = 'FX004';
/** Its detail names the box: the tenant's number, a blank, the box. */
export const MAILBOX_FULL = 'FX005';
export const COUNTER_FULL = 'FX006';
/** Any number of our own: the class of the advisory locks that commits of a tenant share, and its erasure takes alone. */
export const TENANT_LOCK = 703_196;

/**
 * The parameters of `flexid.commit` after the first four, in order: one array per column, over all commits of the batch, each set beginning with the tenant's
 * number. `box` has each box of the other three sets of mail once, with what its mail adds to it.
 */
export const COMMIT_SETS = {
  done: ['id text', 'lane text', 'lease text'],
  dedup: ['t int', 'hash bytea', 'expires bigint', 'answer bytea'],
  gone: ['t int', 'category text', 'id text', 'expect int'],
  fresh: ['t int', 'category text', 'id text', 'state text', 'role text', 'connection text', 'tags bytea', 'value bytea'],
  changed: ['t int', 'category text', 'id text', 'expect int', 'state text', 'role text', 'connection text', 'tags bytea', 'value bytea'],
  key: ['t int', 'hash bytea', 'value bytea'],
  removed_key: ['t int', 'hash bytea'],
  removed_owner: ['t int', 'hash bytea'],
  owner: ['t int', 'hash bytea', 'kind text', 'target text'],
  job: ['t int', 'id text', 'kind text', 'lane text', 'due bigint', 'call_id text', 'payload bytea'],
  event: ['t int', 'id text', 'topic text', 'category text', 'record text', 'value bytea'],
  call: ['t int', 'call_id text', 'result bytea', 'failure bytea'],
  box: ['t int', 'box text', 'messages int', 'bytes bigint', 'max_messages bigint', 'max_bytes bigint'],
  acknowledged: ['t int', 'box text', 'id text'],
  unacknowledged: ['t int', 'box text', 'id text'],
  mail: ['t int', 'box text', 'id text', 'recipient bytea', 'size int', 'expires bigint', 'body bytea'],
  counter: ['t int', 'hash bytea', 'up_to bigint', 'job text'],
} as const;

export type CommitSet = keyof typeof COMMIT_SETS;

const column = (text: string) => text.slice(0, text.indexOf(' '));
const PARAMETERS = Object.entries(COMMIT_SETS).flatMap(([set, columns]) =>
  columns.map((text) => `${set}_${column(text)} ${text.slice(text.indexOf(' ') + 1)}[]`),
);
const first = (set: CommitSet) => `${set}_${column(COMMIT_SETS[set][0])}`;
/** A set as rows named `x`. */
const rows = (set: CommitSet) =>
  `unnest(${COMMIT_SETS[set].map((text) => `${set}_${column(text)}`).join(', ')}) AS x(${COMMIT_SETS[set].map(column).join(', ')})`;
const when = (set: CommitSet, body: string) => `  IF cardinality(${first(set)}) > 0 THEN\n${body}\n  END IF;`;

/**
 * All changes of mail are made under the lock of their box's counters, which are locked in the order of their names: so two batches never wait for each other, and
 * the numbers of a box's messages are in the order in which they become visible. `m.box || ''`: a plan that was made while the table was small must find a message
 * by its id, not walk its box.
 */
const MAIL_STEPS = `${when(
  'box',
  `    INSERT INTO flexid.mailbox AS m (t, box, messages, bytes)
      SELECT x.t, x.box, x.messages, x.bytes FROM ${rows('box')} ORDER BY x.t, x.box COLLATE "C"
    ON CONFLICT (t, box) DO UPDATE SET messages = m.messages + excluded.messages, bytes = m.bytes + excluded.bytes;`,
)}
${when(
  'acknowledged',
  `    WITH gone AS (DELETE FROM flexid.mail m USING ${rows('acknowledged')} WHERE m.t = x.t AND m.id = x.id AND m.box || '' = x.box RETURNING m.t, m.box, m.size),
      sums AS (SELECT t, box, count(*) AS messages, sum(size) AS bytes FROM gone GROUP BY t, box)
    UPDATE flexid.mailbox m SET messages = m.messages - s.messages, bytes = m.bytes - s.bytes FROM sums s WHERE m.t = s.t AND m.box = s.box;`,
)}
${when(
  'unacknowledged',
  `    UPDATE flexid.mail m SET attempts = m.attempts + s.times FROM (SELECT x.t, x.box, x.id, count(*)::int AS times FROM ${rows('unacknowledged')} GROUP BY 1, 2, 3) s
      WHERE m.t = s.t AND m.id = s.id AND m.box || '' = s.box;`,
)}
${when(
  'mail',
  `    FOR v_row IN SELECT x.t, x.box, m.messages, m.messages > x.max_messages OR m.bytes > x.max_bytes AS beyond
      FROM unnest(box_t, box_box, box_max_messages, box_max_bytes) WITH ORDINALITY AS x(t, box, max_messages, max_bytes, o)
      JOIN flexid.mailbox m ON m.t = x.t AND m.box = x.box ORDER BY x.o
    LOOP
      IF v_row.beyond THEN
        RAISE EXCEPTION 'A mailbox is full' USING ERRCODE = '${MAILBOX_FULL}', DETAIL = v_row.t || ' ' || v_row.box;
      END IF;
      waiting := waiting || v_row.messages;
    END LOOP;
    -- after the wait for the boxes, so that the times of a box are in the order of its messages
    v_now := flexid.now_ms();
    INSERT INTO flexid.mail (t, box, id, recipient, size, received, expires, attempts, body)
      SELECT t, box, id, recipient, size, v_now, expires, 0, body FROM ${rows('mail')};`,
)}`;

/**
 * Upkeep of mail: chosen first, then locked as commits lock, then removed. After how many attempts mail is given up (`MAIL_ATTEMPTS`) is written out, as it is in
 * the predicate of the index: the text of a migration never changes.
 */
export const MAIL_FUNCTIONS = `
CREATE FUNCTION flexid.expire_mail(p_now bigint, p_rows int) RETURNS TABLE (tenant text, box text, messages int, reason text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_t int[];
  v_box text[];
  v_id text[];
BEGIN
  PERFORM set_config('flexid.tenant', '*', true);
  SELECT array_agg(o.t), array_agg(o.box), array_agg(o.id) INTO v_t, v_box, v_id FROM (
    (SELECT t, box, id FROM flexid.mail WHERE expires <= p_now AND attempts < 20 ORDER BY expires LIMIT p_rows)
    UNION ALL (SELECT t, box, id FROM flexid.mail WHERE attempts >= 20 LIMIT p_rows) LIMIT p_rows) o;
  IF v_t IS NULL THEN RETURN; END IF;
  PERFORM 1 FROM flexid.mailbox m JOIN (SELECT DISTINCT * FROM unnest(v_t, v_box) AS u(t, box)) x ON m.t = x.t AND m.box = x.box
    ORDER BY m.t, m.box FOR UPDATE OF m;
  RETURN QUERY WITH gone AS (
      DELETE FROM flexid.mail m USING unnest(v_t, v_id) AS x(t, id) WHERE m.t = x.t AND m.id = x.id AND (m.expires <= p_now OR m.attempts >= 20)
      RETURNING m.t, m.box, m.size, CASE WHEN m.attempts >= 20 THEN 'undeliverable' ELSE 'expired' END AS reason),
    sums AS (SELECT t, box, count(*) AS messages, sum(size) AS bytes FROM gone GROUP BY t, box),
    less AS (UPDATE flexid.mailbox m SET messages = m.messages - s.messages, bytes = m.bytes - s.bytes FROM sums s WHERE m.t = s.t AND m.box = s.box)
    SELECT n.id, g.box, count(*)::int, g.reason FROM gone g JOIN flexid.tenant n ON n.n = g.t GROUP BY n.id, g.box, g.reason;
END $$;
`;

const COUNTER_STEPS = `${when(
  'counter',
  `    -- in the order of their names, so that two batches never wait for each other's counters
    FOR v_row IN SELECT x.t, x.hash, x.up_to, x.job FROM unnest(counter_t, counter_hash, counter_up_to, counter_job)
      WITH ORDINALITY AS x(t, hash, up_to, job, o) ORDER BY x.t, x.hash, x.o
    LOOP
      v_count := NULL;
      INSERT INTO flexid.counter AS c (t, hash, n) SELECT v_row.t, v_row.hash, 1 WHERE v_row.up_to >= 1
        ON CONFLICT (t, hash) DO UPDATE SET n = c.n + 1 WHERE c.n < v_row.up_to RETURNING c.n INTO v_count;
      IF v_count IS NULL THEN RAISE EXCEPTION 'A counter is full' USING ERRCODE = '${COUNTER_FULL}'; END IF;
      INSERT INTO flexid.allocation (t, job, n) VALUES (v_row.t, v_row.job, v_count);
    END LOOP;`,
)}`;

/**
 * `flexid.commit` and what it needs: all of one or several commits, or nothing. Returns the calls of the jobs that it completed and how many messages each box of
 * the batch holds.
 */
export const COMMIT_FUNCTION = `
CREATE FUNCTION flexid.foreign_lane(lane text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'Lane % belongs to another tenant or kind', lane USING ERRCODE = '${FOREIGN_LANE}'; END $$;

-- The single hashes of a record's joined tags.
CREATE FUNCTION flexid.cut(tags bytea) RETURNS bytea[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(substr(tags, at, 16)), '{}') FROM generate_series(1, length(tags), 16) AS s(at)
$$;

CREATE FUNCTION flexid.commit(p_tenants int[], p_from text, p_kinds text[], p_call_ids text[], ${PARAMETERS.join(', ')}, OUT call_ids text[], OUT waiting int[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now bigint := flexid.now_ms();
  v_count bigint;
  v_row record;
  v_call_ids text[] := '{}';
  v_lanes text[];
BEGIN
  waiting := '{}';
  PERFORM set_config('flexid.tenant', array_to_string(p_tenants, ','), true);
  -- an erasure waits for the commits that are under way, and none begins after it: so nothing is left behind
  PERFORM pg_advisory_xact_lock_shared(${TENANT_LOCK}, x.n) FROM unnest(p_tenants) AS x(n);
  SELECT count(*) INTO v_count FROM flexid.tenant WHERE n = ANY (p_tenants) AND length(data_key) > 0;
  IF v_count <> cardinality(p_tenants) THEN RAISE EXCEPTION 'There is no such tenant' USING ERRCODE = '${NO_TENANT}'; END IF;
${when(
  'done',
  `    WITH x AS (SELECT * FROM ${rows('done')}),
      removed AS (
        DELETE FROM flexid.job j USING x JOIN flexid.lane l ON l.name = x.lane AND l.lease = x.lease WHERE j.id = x.id AND j.lane = x.lane RETURNING j.call_id)
    SELECT count(*), coalesce(array_agg(call_id) FILTER (WHERE call_id IS NOT NULL), '{}') INTO v_count, v_call_ids FROM removed;
    IF v_count <> cardinality(done_id) THEN RAISE EXCEPTION 'A job is no longer held' USING ERRCODE = '${LEASE_LOST}'; END IF;`,
)}
${when('dedup', `    INSERT INTO flexid.dedup_key (t, hash, expires, answer) SELECT t, hash, expires, answer FROM ${rows('dedup')};`)}
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
    UPDATE flexid.record r SET version = r.version + 1, state = x.state, role = x.role, connection = x.connection, updated = v_now, tags = x.tags, value = coalesce(x.value, r.value)
    FROM ${rows('changed')} WHERE r.t = x.t AND r.category = x.category AND r.id = x.id AND r.version = x.expect;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(changed_t) THEN RAISE EXCEPTION 'A record was changed or removed' USING ERRCODE = '${VERSION_CLASH}'; END IF;`,
)}
${when('key', `    INSERT INTO flexid.key (t, hash, value) SELECT t, hash, value FROM ${rows('key')};`)}
${when('removed_key', `    DELETE FROM flexid.key k USING ${rows('removed_key')} WHERE k.t = x.t AND k.hash = x.hash;`)}
${when('removed_owner', `    DELETE FROM flexid.key_owner r USING ${rows('removed_owner')} WHERE r.hash = x.hash AND r.t = x.t;`)}
${when('owner', `    INSERT INTO flexid.key_owner (hash, t, kind, target) SELECT hash, t, kind, target FROM ${rows('owner')};`)}
${when(
  'job',
  `    -- in the order of their names, so that two batches never wait for each other's lanes; the row stays locked until the end, whether it changes or not
    INSERT INTO flexid.lane AS l (name, kind, t, due, head)
      SELECT DISTINCT ON (x.lane) x.lane, x.kind, x.t, greatest(x.due, v_now), x.id FROM ${rows('job')} ORDER BY x.lane, x.id
    ON CONFLICT (name) DO UPDATE SET head = excluded.head, due = CASE WHEN l.lease IS NULL THEN excluded.due ELSE l.due END
      WHERE CASE WHEN l.t = excluded.t AND l.kind = excluded.kind THEN excluded.head < l.head ELSE flexid.foreign_lane(l.name) END;
    INSERT INTO flexid.job (id, lane, t, kind, due, attempts, call_id, payload)
      SELECT id, lane, t, kind, greatest(due, v_now), 0, call_id, payload FROM ${rows('job')};`,
)}
${when(
  'done',
  `    -- a lane goes with its last job; one that somebody else has locked is left to its settle. Jobs are looked for in a second statement, which sees what came before the lock
    SELECT array_agg(c.name) INTO v_lanes FROM (
      SELECT l.name FROM flexid.lane l JOIN (SELECT DISTINCT lane, lease FROM ${rows('done')}) x ON l.name = x.lane AND l.lease = x.lease
      ORDER BY l.name FOR UPDATE OF l SKIP LOCKED) c;
    DELETE FROM flexid.lane l WHERE l.name = ANY (v_lanes) AND NOT EXISTS (SELECT 1 FROM flexid.job j WHERE j.lane = l.name);`,
)}
${when(
  'event',
  `    INSERT INTO flexid.event (t, id, topic, category, record, time, value) SELECT t, id, topic, category, record, v_now, value FROM ${rows('event')};`,
)}
${when(
  'call',
  `    -- the last value of each kind, should one call be named twice
    INSERT INTO flexid.call AS c (t, call_id, expires, result, failure)
      SELECT x.t, x.call_id, v_now + 3600000, (array_agg(x.result ORDER BY x.o DESC) FILTER (WHERE x.result IS NOT NULL))[1],
        (array_agg(x.failure ORDER BY x.o DESC) FILTER (WHERE x.failure IS NOT NULL))[1]
      FROM unnest(call_t, call_call_id, call_result, call_failure) WITH ORDINALITY AS x(t, call_id, result, failure, o) GROUP BY x.t, x.call_id ORDER BY x.t, x.call_id
    ON CONFLICT (t, call_id) DO UPDATE SET expires = excluded.expires, result = coalesce(excluded.result, c.result), failure = coalesce(excluded.failure, c.failure);`,
)}
${MAIL_STEPS}
${COUNTER_STEPS}
  PERFORM flexid.notify_change(p_from, p_kinds, p_call_ids || v_call_ids);
  call_ids := v_call_ids;
END $$;
`;

/** A counter's number is given with a job, and stays with it. */
export const COUNTER_TABLES = `
CREATE TABLE flexid.counter (t int NOT NULL, hash bytea NOT NULL, n bigint NOT NULL, PRIMARY KEY (t, hash)) WITH (fillfactor = 60);
CREATE TABLE flexid.allocation (t int NOT NULL, job text COLLATE "C" NOT NULL, n bigint NOT NULL, PRIMARY KEY (t, job));
`;
