-- Removes the tenants that still have the value with the given digest, and tells what was
-- forgotten.
WITH turn AS (
    UPDATE "@meta" SET position = position + $1
    RETURNING position - $1 AS before, position AS after
), given AS MATERIALIZED (
    -- Not joined with the turn, as in a merge.
    SELECT g.tenant, g.digest, g.value, (SELECT before FROM turn) + g.n AS position
    FROM unnest($2::text[], $3::bytea[], $4::bytea[])
        WITH ORDINALITY AS g (tenant, digest, value, n)
    WHERE EXISTS (SELECT FROM turn)
), removed AS (
    DELETE FROM "@tenants" t USING given g
    WHERE t.tenant = g.tenant AND (sha256(t.value) = g.digest) IS TRUE
    RETURNING t.tenant
), logged AS (
    INSERT INTO "@changes" (position, stamp, writer, removed, value)
    SELECT g.position, $6, $5, r.tenant, CASE WHEN r.tenant IS NOT NULL THEN g.value END
    FROM given g LEFT JOIN removed r ON r.tenant = g.tenant
)
SELECT removed.tenant, turn.after, turn.after, (SELECT pg_notify('@changes', '')::text)
FROM turn LEFT JOIN removed ON true
