SELECT tenant, value, position FROM "@tenants" WHERE tenant = ANY ($1)
