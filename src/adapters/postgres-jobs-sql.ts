/** The functions of the job side. Statements of one function see what committed before each of them began (READ COMMITTED), which the locks below rely on. */
export const JOB_FUNCTIONS = `
-- One notification per batch, and only a hint: other processes look themselves. A payload may have 8000 bytes.
CREATE FUNCTION flexid.hint(p_from text, p_kinds text[], p_causes text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_text text;
BEGIN
  IF cardinality(p_kinds) = 0 AND cardinality(p_causes) = 0 THEN RETURN; END IF;
  v_text := json_build_object('from', p_from, 'kinds', p_kinds, 'causes', p_causes)::text;
  IF octet_length(v_text) > 7900 THEN v_text := json_build_object('from', p_from, 'kinds', p_kinds, 'causes', ARRAY['forget:*'])::text; END IF;
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
CREATE FUNCTION flexid.claim(p_lanes int, p_jobs int, p_lease bigint, p_kinds text[], p_lane text)
RETURNS TABLE (lane text, lane_kind text, t int, lease text, id text, attempts int, cause text, payload bytea) LANGUAGE plpgsql AS $$
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
    SELECT l.name, l.kind, l.t, l.lease, j.id, j.attempts, j.cause, j.payload FROM flexid.lane l
    CROSS JOIN LATERAL (
      SELECT f.*, bool_and(f.due <= v_limit) OVER (ORDER BY f.id) AS due_all
      FROM (SELECT j.* FROM flexid.job j WHERE j.lane = l.name ORDER BY j.id LIMIT p_jobs) f) j
    WHERE l.name = ANY (v_names) AND j.due_all ORDER BY l.name, j.id;
  -- lanes whose row says more than their jobs do: their holder ended without a settle
  SELECT array_agg(n.name) INTO v_idle FROM unnest(v_names) AS n(name)
    WHERE coalesce((SELECT j.due FROM flexid.job j WHERE j.lane = n.name ORDER BY j.id LIMIT 1), 9100000000000000) > v_limit;
  IF v_idle IS NOT NULL THEN PERFORM flexid.refresh(v_idle, v_now); END IF;
END $$;

-- Only lanes still held under the given lease are touched. Returns the causes of removed jobs and the kinds of lanes with more to do.
CREATE FUNCTION flexid.settle(p_from text, s_lane text[], s_lease text[], d_lane text[], d_id text[], r_lane text[], r_id text[], r_at bigint[], x_lane text[], x_id text[], x_error bytea[],
  OUT causes text[], OUT kinds text[]) LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := flexid.now_ms();
  v_held text[];
  v_dead text[];
BEGIN
  causes := '{}';
  kinds := '{}';
  SELECT array_agg(c.name) INTO v_held FROM (
    SELECT l.name FROM flexid.lane l JOIN unnest(s_lane, s_lease) AS s(lane, lease) ON l.name = s.lane AND l.lease = s.lease ORDER BY l.name FOR UPDATE OF l) c;
  IF v_held IS NULL THEN RETURN; END IF;
  PERFORM set_config('flexid.tenant', '*', true);
  IF cardinality(x_id) > 0 THEN
    INSERT INTO flexid.dead (id, lane, t, kind, attempts, cause, payload, died, error)
      SELECT j.id, j.lane, j.t, j.kind, j.attempts + 1, j.cause, j.payload, v_now, x.error
      FROM unnest(x_lane, x_id, x_error) AS x(lane, id, error) JOIN flexid.job j ON j.id = x.id AND j.lane = x.lane WHERE x.lane = ANY (v_held);
  END IF;
  WITH gone AS (
    DELETE FROM flexid.job j USING unnest(d_lane || x_lane, d_id || x_id) AS x(lane, id)
    WHERE j.id = x.id AND j.lane = x.lane AND x.lane = ANY (v_held) RETURNING j.cause)
  SELECT coalesce(array_agg(DISTINCT g.cause) FILTER (WHERE g.cause IS NOT NULL), '{}') INTO causes FROM gone g;
  IF cardinality(r_id) > 0 THEN
    UPDATE flexid.job j SET attempts = j.attempts + 1, due = x.at FROM unnest(r_lane, r_id, r_at) AS x(lane, id, at)
    WHERE j.id = x.id AND j.lane = x.lane AND x.lane = ANY (v_held);
  END IF;
  PERFORM flexid.refresh(v_held, v_now);
  SELECT coalesce(array_agg(DISTINCT l.kind), '{}') INTO kinds FROM flexid.lane l WHERE l.name = ANY (v_held);
  PERFORM flexid.hint(p_from, kinds, causes);
END $$;

CREATE FUNCTION flexid.extend(p_lanes text[], p_leases text[], p_ms bigint) RETURNS SETOF text LANGUAGE sql AS $$
  UPDATE flexid.lane l SET due = flexid.now_ms() + p_ms FROM unnest(p_lanes, p_leases) AS x(lane, lease) WHERE l.name = x.lane AND l.lease = x.lease RETURNING l.lease
$$;

CREATE FUNCTION flexid.drop_jobs(p_from text, p_t int, p_ids text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_free text[];
  v_causes text[];
BEGIN
  -- lanes before jobs, as everywhere, so that nobody waits in a circle; of a held lane the holder's settle takes care
  SELECT array_agg(c.name) INTO v_free FROM (
    SELECT l.name FROM flexid.lane l WHERE l.lease IS NULL AND l.name IN (SELECT j.lane FROM flexid.job j WHERE j.id = ANY (p_ids) AND j.t = p_t)
    ORDER BY l.name FOR UPDATE) c;
  WITH gone AS (DELETE FROM flexid.job j WHERE j.id = ANY (p_ids) AND j.t = p_t RETURNING j.cause)
  SELECT coalesce(array_agg(DISTINCT g.cause) FILTER (WHERE g.cause IS NOT NULL), '{}') INTO v_causes FROM gone g;
  IF v_free IS NOT NULL THEN PERFORM flexid.refresh(v_free, flexid.now_ms()); END IF;
  PERFORM flexid.hint(p_from, '{}', v_causes);
  RETURN v_causes;
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
    INSERT INTO flexid.job (id, lane, t, kind, due, attempts, cause, payload) VALUES (v_dead.id, v_dead.lane, v_dead.t, v_dead.kind, v_now, 0, v_dead.cause, v_dead.payload);
    v_kinds := v_kinds || v_dead.kind;
  END LOOP;
  PERFORM flexid.hint(p_from, v_kinds, '{}');
  RETURN v_kinds;
END $$;
`;
