-- The row without an id comes before all pages.
SELECT tenant, value, position FROM "@tenants" WHERE tenant > $1 ORDER BY tenant LIMIT $2
