-- The rows that every store has. What is there stays.
SELECT pg_advisory_xact_lock(hashtextextended('@meta', 0));

INSERT INTO "@meta" (version, position)
SELECT 1, greatest(
    (SELECT max(position) FROM "@tenants"),
    (SELECT max(position) FROM "@changes"),
    0
)
ON CONFLICT DO NOTHING;

-- A negative position is never read as a change.
INSERT INTO "@tenants" (tenant, value, position, writer)
VALUES ('', '', -1 - (random() * 9007199254740991)::bigint, 0)
ON CONFLICT DO NOTHING;

INSERT INTO "@changes" (position, stamp)
SELECT position, (random() * 9007199254740991)::bigint FROM "@meta"
ON CONFLICT DO NOTHING;
