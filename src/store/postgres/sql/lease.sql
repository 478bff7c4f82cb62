-- Answers with null for a lease that is granted, else with the milliseconds that another holds it
-- for. No row: another was granted it at the same time.
WITH taken AS (
    INSERT INTO "@leases" AS l (tenant, term, holder, until)
    VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')
    ON CONFLICT (tenant, term) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE l.holder = excluded.holder OR l.until <= clock_timestamp()
    RETURNING holder
)
SELECT NULL::bigint FROM taken
UNION ALL
SELECT (extract(epoch FROM l.until - clock_timestamp()) * 1000)::bigint
FROM "@leases" l
WHERE l.tenant = $1 AND l.term = $2 AND l.holder <> $3 AND NOT EXISTS (SELECT FROM taken)
