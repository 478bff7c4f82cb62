-- The last position with its stamp, the number of the table of tenants, and whether the write at the
-- given position is the one that was read.
SELECT m.version, m.position, c.stamp,
    (SELECT t.position FROM "@tenants" t WHERE t.tenant = ''),
    EXISTS (SELECT FROM "@changes" r WHERE r.position = $1 AND r.stamp = $2)
FROM "@meta" m LEFT JOIN "@changes" c ON c.position = m.position
