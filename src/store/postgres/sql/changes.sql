-- Returns the changes of others than the given writer, after one position and up to another.
SELECT position, tenant, value, false FROM "@tenants"
WHERE position > $1 AND position <= $2 AND writer <> $3
UNION ALL
SELECT position, removed, value, true FROM "@changes"
WHERE position > $1 AND position <= $2 AND writer <> $3 AND removed IS NOT NULL
ORDER BY 1
