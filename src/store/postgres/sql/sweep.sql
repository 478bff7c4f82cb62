DELETE FROM "@leases" WHERE until < clock_timestamp()
