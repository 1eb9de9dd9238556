/** The functions of the job side. Statements of one function see what committed before each of them began (READ COMMITTED), which the locks below rely on. */
export const JOB_FUNCTIONS = `
-- One notification per batch, and no more than a change notification: other processes read for themselves. A payload may have 8000 bytes.
CREATE FUNCTION flexid.notify_change(p_from text, p_kinds text[], p_call_ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_text text;
BEGIN
  IF cardinality(p_kinds) = 0 AND cardinality(p_call_ids) = 0 THEN RETURN; END IF;
  v_text := json_build_object('from', p_from, 'kinds', p_kinds, 'callIds', p_call_ids)::text;
  IF octet_length(v_text) > 7900 THEN v_text := json_build_object('from', p_from, 'kinds', p_kinds, 'callIds', ARRAY['invalidate:*'])::text; END IF;
  PERFORM pg_notify('flexid', v_text);
END $$;

-- Ends the hold of lanes whose rows the caller has locked: sets them from their first job, or removes the empty ones. A lane that was served goes behind the others.
CREATE FUNCTION flexid.refresh(p_lanes text[], p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM flexid.lane l WHERE l.name = ANY (p_lanes) AND NOT EXISTS (SELECT 1 FROM flexid.job j WHERE j.lane = l.name);
  UPDATE flexid.lane l SET lease = NULL, due = greatest(h.due, p_now), head = h.id
    FROM unnest(p_lanes) AS n(name) CROSS JOIN LATERAL (SELECT j.id, j.due FROM flexid.job j WHERE j.lane = n.name ORDER BY j.id LIMIT 1) h WHERE l.name = n.name;
END $$;

-- The lanes are locked and taken in a first statement and their jobs read in a second one: a single statement would read the jobs as they were before the lock.
CREATE FUNCTION flexid.claim_lane(p_lanes int, p_jobs int, p_lease bigint, p_kinds text[], p_lane text)
RETURNS TABLE (lane text, lane_kind text, t int, lease text, id text, attempts int, call_id text, payload bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now bigint := flexid.now_ms();
  v_limit bigint := CASE WHEN p_lane IS NULL THEN v_now ELSE 9000000000000000 END;
  v_names text[];
  v_idle text[];
BEGIN
  IF p_lane IS NULL THEN
    SELECT array_agg(c.name) INTO v_names FROM (
      SELECT l.name FROM flexid.lane l WHERE l.due <= v_now AND l.kind = ANY (p_kinds) ORDER BY l.due LIMIT p_lanes FOR UPDATE SKIP LOCKED) c;
  ELSE
    SELECT array_agg(c.name) INTO v_names FROM (
      SELECT l.name FROM flexid.lane l WHERE l.name = p_lane AND (l.lease IS NULL OR l.due <= v_now) FOR UPDATE) c;
  END IF;
  IF v_names IS NULL THEN RETURN; END IF;
  UPDATE flexid.lane l SET lease = gen_random_uuid()::text, due = v_now + p_lease WHERE l.name = ANY (v_names);
  RETURN QUERY
    SELECT l.name, l.kind, l.t, l.lease, j.id, j.attempts, j.call_id, j.payload FROM flexid.lane l
    CROSS JOIN LATERAL (
      SELECT f.*, bool_and(f.due <= v_limit) OVER (ORDER BY f.id) AS due_all
      FROM (SELECT j.* FROM flexid.job j WHERE j.lane = l.name ORDER BY j.id LIMIT p_jobs) f) j
    WHERE l.name = ANY (v_names) AND j.due_all ORDER BY l.name, j.id;
  -- lanes whose row is due before any of their jobs: their holder ended without a settle
  SELECT array_agg(n.name) INTO v_idle FROM unnest(v_names) AS n(name)
    WHERE coalesce((SELECT j.due FROM flexid.job j WHERE j.lane = n.name ORDER BY j.id LIMIT 1), 9100000000000000) > v_limit;
  IF v_idle IS NOT NULL THEN PERFORM flexid.refresh(v_idle, v_now); END IF;
END $$;

-- Only lanes still held under the given lease are touched. Returns the calls of removed jobs and the kinds of lanes with more to do.
-- A retry at a time below zero: the job was not tried. A settle that is lost with the server has its jobs run again, so nobody waits for the disk.
CREATE FUNCTION flexid.settle(p_from text, s_lane text[], s_lease text[], d_lane text[], d_id text[], r_lane text[], r_id text[], r_at bigint[], x_lane text[], x_id text[], x_error bytea[],
  OUT call_ids text[], OUT kinds text[]) LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := flexid.now_ms();
  v_held text[];
  v_dead text[];
BEGIN
  call_ids := '{}';
  kinds := '{}';
  SELECT array_agg(c.name) INTO v_held FROM (
    SELECT l.name FROM flexid.lane l JOIN unnest(s_lane, s_lease) AS s(lane, lease) ON l.name = s.lane AND l.lease = s.lease ORDER BY l.name FOR UPDATE OF l) c;
  IF v_held IS NULL THEN RETURN; END IF;
  PERFORM set_config('flexid.tenant', '*', true);
  PERFORM set_config('synchronous_commit', 'off', true);
  IF cardinality(x_id) > 0 THEN
    INSERT INTO flexid.dead (id, lane, t, kind, attempts, call_id, payload, died, error)
      SELECT j.id, j.lane, j.t, j.kind, j.attempts + 1, j.call_id, j.payload, v_now, x.error
      FROM unnest(x_lane, x_id, x_error) AS x(lane, id, error) JOIN flexid.job j ON j.id = x.id AND j.lane = x.lane WHERE x.lane = ANY (v_held);
  END IF;
  WITH gone AS (
    DELETE FROM flexid.job j USING unnest(d_lane || x_lane, d_id || x_id) AS x(lane, id)
    WHERE j.id = x.id AND j.lane = x.lane AND x.lane = ANY (v_held) RETURNING j.call_id)
  SELECT coalesce(array_agg(DISTINCT g.call_id) FILTER (WHERE g.call_id IS NOT NULL), '{}') INTO call_ids FROM gone g;
  IF cardinality(r_id) > 0 THEN
    UPDATE flexid.job j SET attempts = j.attempts + CASE WHEN x.at < 0 THEN 0 ELSE 1 END, due = abs(x.at) FROM unnest(r_lane, r_id, r_at) AS x(lane, id, at)
    WHERE j.id = x.id AND j.lane = x.lane AND x.lane = ANY (v_held);
  END IF;
  PERFORM flexid.refresh(v_held, v_now);
  SELECT coalesce(array_agg(DISTINCT l.kind), '{}') INTO kinds FROM flexid.lane l WHERE l.name = ANY (v_held);
  PERFORM flexid.notify_change(p_from, kinds, call_ids);
END $$;

CREATE FUNCTION flexid.extend(p_lanes text[], p_leases text[], p_ms bigint) RETURNS SETOF text LANGUAGE sql AS $$
  UPDATE flexid.lane l SET due = flexid.now_ms() + p_ms FROM unnest(p_lanes, p_leases) AS x(lane, lease) WHERE l.name = x.lane AND l.lease = x.lease RETURNING l.lease
$$;

CREATE FUNCTION flexid.drop_jobs(p_from text, p_t int, p_ids text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_free text[];
  v_call_ids text[];
BEGIN
  -- lanes before jobs, as everywhere, so that nobody waits in a circle; of a held lane the holder's settle takes care
  SELECT array_agg(c.name) INTO v_free FROM (
    SELECT l.name FROM flexid.lane l WHERE l.lease IS NULL AND l.name IN (SELECT j.lane FROM flexid.job j WHERE j.id = ANY (p_ids) AND j.t = p_t)
    ORDER BY l.name FOR UPDATE) c;
  WITH gone AS (DELETE FROM flexid.job j WHERE j.id = ANY (p_ids) AND j.t = p_t RETURNING j.call_id)
  SELECT coalesce(array_agg(DISTINCT g.call_id) FILTER (WHERE g.call_id IS NOT NULL), '{}') INTO v_call_ids FROM gone g;
  IF v_free IS NOT NULL THEN PERFORM flexid.refresh(v_free, flexid.now_ms()); END IF;
  PERFORM flexid.notify_change(p_from, '{}', v_call_ids);
  RETURN v_call_ids;
END $$;

CREATE FUNCTION flexid.revive(p_from text, p_t int, p_ids text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := flexid.now_ms();
  v_kinds text[];
  v_id text;
  v_dead flexid.dead;
BEGIN
  PERFORM set_config('flexid.tenant', p_t::text, true);
  v_kinds := '{}';
  FOREACH v_id IN ARRAY p_ids LOOP
    DELETE FROM flexid.dead d WHERE d.id = v_id AND d.t = p_t RETURNING d.* INTO v_dead;
    CONTINUE WHEN NOT FOUND;
    INSERT INTO flexid.lane AS l (name, kind, t, due, head) VALUES (v_dead.lane, v_dead.kind, v_dead.t, v_now, v_dead.id)
      ON CONFLICT (name) DO UPDATE SET head = excluded.head, due = CASE WHEN l.lease IS NULL THEN excluded.due ELSE l.due END WHERE excluded.head < l.head;
    INSERT INTO flexid.job (id, lane, t, kind, due, attempts, call_id, payload) VALUES (v_dead.id, v_dead.lane, v_dead.t, v_dead.kind, v_now, 0, v_dead.call_id, v_dead.payload);
    v_kinds := v_kinds || v_dead.kind;
  END LOOP;
  PERFORM flexid.notify_change(p_from, v_kinds, '{}');
  RETURN v_kinds;
END $$;

-- h_: how many lanes of a tenant the caller holds; r_: how many lanes of a target it has room for. Rows are locked before they are ranked, so that two claims
-- never rank the same ones; what is not taken is free again at the end.
CREATE FUNCTION flexid.claim_fair(p_lanes int, p_jobs int, p_lease bigint, p_kinds text[], p_tenant int, p_target int, h_t int[], h_held int[], r_t int[], r_target text[], r_room int[])
RETURNS TABLE (lane text, lane_kind text, t int, lease text, id text, attempts int, call_id text, payload bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now bigint := flexid.now_ms();
  v_size int := 2 * p_lanes + 64;
  v_kind text;
  v_start int;
  v_target text := md5(random()::text);
  v_seen text[];
  v_more text[];
  v_names text[];
  v_idle text[];
BEGIN
  SELECT array_agg(c.name) INTO v_seen FROM (
    SELECT l.name FROM flexid.lane l WHERE l.due <= v_now AND l.kind = ANY (p_kinds) ORDER BY l.due LIMIT v_size FOR UPDATE SKIP LOCKED) c;
  IF v_seen IS NULL THEN RETURN; END IF;
  IF cardinality(v_seen) >= v_size THEN
    -- a crowd: some lanes of every tenant and target beside it
    FOREACH v_kind IN ARRAY p_kinds LOOP
      SELECT (random() * max(l.t))::int INTO v_start FROM flexid.lane l WHERE l.kind = v_kind;
      CONTINUE WHEN v_start IS NULL;
      SELECT array_agg(c.name) INTO v_more FROM (
        SELECT f.name FROM (
          SELECT n.t FROM (
            SELECT x.t FROM flexid.next_tenants(v_kind, v_start, 256) AS x(t)
            UNION SELECT x.t FROM flexid.next_tenants(v_kind, 0, 256) AS x(t)) n
          WHERE NOT EXISTS (SELECT 1 FROM unnest(h_t, h_held) AS h(t, held) WHERE h.t = n.t AND h.held >= p_tenant)) who
        CROSS JOIN LATERAL (
          SELECT x.target FROM flexid.next_targets(v_kind, who.t, v_target, 16) AS x(target)
          UNION SELECT x.target FROM flexid.next_targets(v_kind, who.t, '', 16) AS x(target)) what
        CROSS JOIN LATERAL (
          SELECT l.name FROM flexid.lane l WHERE l.kind = v_kind AND l.t = who.t AND l.target = what.target AND l.due <= v_now
          ORDER BY l.due LIMIT 8 FOR UPDATE SKIP LOCKED) f
        WHERE NOT EXISTS (SELECT 1 FROM unnest(r_t, r_target, r_room) AS r(t, target, room) WHERE r.t = who.t AND r.target = what.target AND r.room <= 0)) c;
      v_seen := v_seen || coalesce(v_more, '{}');
    END LOOP;
  END IF;
  SELECT array_agg(c.name) INTO v_names FROM (
    SELECT q.name FROM (
      SELECT p.*, row_number() OVER (PARTITION BY p.t ORDER BY CASE WHEN p.target = '' THEN 1 ELSE p.place END, p.due) AS turn FROM (
        SELECT l.name, l.t, l.target, l.due, row_number() OVER (PARTITION BY l.kind, l.t, l.target ORDER BY l.due, l.name) AS place
        FROM flexid.lane l WHERE l.name = ANY (v_seen) AND l.due <= v_now) p
      LEFT JOIN unnest(r_t, r_target, r_room) AS r(t, target, room) ON r.t = p.t AND r.target = p.target
      WHERE p.target = '' OR p.place <= coalesce(r.room, p_target)) q
    LEFT JOIN unnest(h_t, h_held) AS h(t, held) ON h.t = q.t
    WHERE q.turn + coalesce(h.held, 0) <= p_tenant ORDER BY q.turn + coalesce(h.held, 0), q.due LIMIT p_lanes) c;
  IF v_names IS NULL THEN RETURN; END IF;
  UPDATE flexid.lane l SET lease = gen_random_uuid()::text, due = v_now + p_lease WHERE l.name = ANY (v_names);
  RETURN QUERY
    SELECT l.name, l.kind, l.t, l.lease, j.id, j.attempts, j.call_id, j.payload FROM flexid.lane l
    CROSS JOIN LATERAL (
      SELECT f.*, bool_and(f.due <= v_now) OVER (ORDER BY f.id) AS due_all
      FROM (SELECT j.* FROM flexid.job j WHERE j.lane = l.name ORDER BY j.id LIMIT p_jobs) f) j
    WHERE l.name = ANY (v_names) AND j.due_all ORDER BY l.name, j.id;
  -- as in claim_lane: lanes whose row is due before any of their jobs
  SELECT array_agg(n.name) INTO v_idle FROM unnest(v_names) AS n(name)
    WHERE coalesce((SELECT j.due FROM flexid.job j WHERE j.lane = n.name ORDER BY j.id LIMIT 1), 9100000000000000) > v_now;
  IF v_idle IS NOT NULL THEN PERFORM flexid.refresh(v_idle, v_now); END IF;
END $$;
`;

/** The lanes of a kind by tenant and target, for claims in turn as `adapters/store/fair.ts` has it. */
export const FAIR_LANES = `
ALTER TABLE flexid.lane ADD COLUMN target text COLLATE "C" GENERATED ALWAYS AS (CASE WHEN name LIKE 'event:%:%' THEN split_part(name, ':', 2) ELSE '' END) STORED;
CREATE INDEX lane_fair ON flexid.lane (kind, t, target, due);

-- The next tenants with lanes of a kind, from one on: a seek for each, not a row for each lane.
CREATE FUNCTION flexid.next_tenants(p_kind text, p_from int, p_count int) RETURNS SETOF int LANGUAGE sql VOLATILE AS $$
  WITH RECURSIVE s(t, n) AS (
    (SELECT l.t, 1 FROM flexid.lane l WHERE l.kind = p_kind AND l.t >= p_from ORDER BY l.t LIMIT 1)
    UNION ALL SELECT (SELECT l.t FROM flexid.lane l WHERE l.kind = p_kind AND l.t > s.t ORDER BY l.t LIMIT 1), s.n + 1 FROM s WHERE s.t IS NOT NULL AND s.n < p_count)
  SELECT s.t FROM s WHERE s.t IS NOT NULL
$$;

CREATE FUNCTION flexid.next_targets(p_kind text, p_t int, p_from text, p_count int) RETURNS SETOF text LANGUAGE sql VOLATILE AS $$
  WITH RECURSIVE s(target, n) AS (
    (SELECT l.target, 1 FROM flexid.lane l WHERE l.kind = p_kind AND l.t = p_t AND l.target >= p_from ORDER BY l.target LIMIT 1)
    UNION ALL SELECT (SELECT l.target FROM flexid.lane l WHERE l.kind = p_kind AND l.t = p_t AND l.target > s.target ORDER BY l.target LIMIT 1), s.n + 1
      FROM s WHERE s.target IS NOT NULL AND s.n < p_count)
  SELECT s.target FROM s WHERE s.target IS NOT NULL
$$;
`;
