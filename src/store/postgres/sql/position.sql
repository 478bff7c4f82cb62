-- The last position with its stamp, the number of the table of tenants, and whether the writes at
-- two given positions, of which the second may be null, are those with the given stamps.
SELECT m.version, m.position,
    (SELECT c.stamp FROM "@changes" c WHERE c.position = m.position),
    (SELECT t.position FROM "@tenants" t WHERE t.tenant = ''),
    EXISTS (SELECT FROM "@changes" r WHERE r.position = $1 AND r.stamp = $2)
        AND ($3 IS NULL OR EXISTS (SELECT FROM "@changes" w WHERE w.position = $3 AND w.stamp = $4))
FROM "@meta" m
