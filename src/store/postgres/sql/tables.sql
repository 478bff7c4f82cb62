-- The tables of one environment. Replicas that start together take turns.
SELECT pg_advisory_xact_lock(hashtextextended('@meta', 0));

-- One row: the version of these tables, and the position of the last write.
CREATE TABLE IF NOT EXISTS "@meta" (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version integer NOT NULL,
    position bigint NOT NULL
);

-- A tenant's id in lower case to the id as spelled, a space and the record in JSON. The row without
-- an id tells one table from another after a loss.
CREATE TABLE IF NOT EXISTS "@tenants" (
    tenant text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL,
    position bigint NOT NULL,
    writer bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS "@tenants_position" ON "@tenants" (position);

-- The last positions: one row a batch of writes, or a removal.
CREATE TABLE IF NOT EXISTS "@changes" (
    position bigint PRIMARY KEY,
    stamp bigint NOT NULL,
    writer bigint NOT NULL DEFAULT 0,
    removed text,
    value bytea
);

-- The last malformed value of a tenant, as it was found when a record replaced it.
CREATE TABLE IF NOT EXISTS "@unreadable" (
    tenant text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- Which replica may pull a tenant. Nothing is lost with them.
CREATE UNLOGGED TABLE IF NOT EXISTS "@leases" (
    tenant text COLLATE "C",
    term bigint,
    holder bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (tenant, term)
);
