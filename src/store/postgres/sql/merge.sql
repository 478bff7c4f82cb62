-- Stores the values whose tenant still has the value with the given digest, or none. One row at a
-- time has the turn until its transaction ends, so positions become visible in their order.
WITH turn AS (
    UPDATE "@meta" SET position = position + $1
    RETURNING position - $1 AS before, position AS after
), given AS MATERIALIZED (
    -- Not joined with the turn: without statistics that is thousands of rows for the planner, and
    -- it would read all tenants to find a few.
    SELECT g.tenant, g.digest, g.value, g.kept, g.writer, (SELECT before FROM turn) + g.n AS position
    FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::boolean[], $6::bigint[])
        WITH ORDINALITY AS g (tenant, digest, value, kept, writer, n)
    WHERE EXISTS (SELECT FROM turn)
), updated AS (
    UPDATE "@tenants" t
    SET value = g.value, position = g.position, writer = g.writer
    FROM given g
    -- As a condition that can't be hashed it is computed for the tenant alone.
    WHERE t.tenant = g.tenant AND (sha256(t.value) = g.digest) IS TRUE
    RETURNING t.tenant, t.position
), inserted AS (
    INSERT INTO "@tenants" (tenant, value, position, writer)
    SELECT g.tenant, g.value, g.position, g.writer FROM given g WHERE g.digest IS NULL
    ON CONFLICT (tenant) DO NOTHING
    RETURNING tenant, position
), kept AS (
    -- The statement reads what was there before it.
    INSERT INTO "@unreadable" (tenant, value)
    SELECT t.tenant, t.value
    FROM "@tenants" t JOIN updated u ON u.tenant = t.tenant JOIN given g ON g.tenant = t.tenant
    WHERE g.kept
    ON CONFLICT (tenant) DO UPDATE SET value = excluded.value
), logged AS (
    INSERT INTO "@changes" (position, stamp) SELECT after, $7 FROM turn
)
SELECT stored.tenant, stored.position, turn.after, (SELECT pg_notify('@changes', '')::text)
FROM turn LEFT JOIN (SELECT * FROM updated UNION ALL SELECT * FROM inserted) stored ON true
