-- Stores a tenant's value if the stored one is the one that the writer expects, and appends an
-- entry to the change log.
--
-- KEYS[1]  the hash of all tenants
-- KEYS[2]  the hash of malformed values that were replaced, at most one for each tenant
-- KEYS[3]  the change log
-- ARGV[1]  the tenant's field
-- ARGV[2]  the SHA-1 of the expected value, in hex; empty for none
-- ARGV[3]  the value to store; empty when the expected value contains everything
-- ARGV[4]  the writer
-- ARGV[5]  1 when the expected value is malformed, and kept aside
-- ARGV[6]  the least number of entries that the log keeps
--
-- Returns the id of the entry as a status, 1 when nothing was stored, or the value that is stored
-- instead, empty for none.
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local digest = stored == '' and '' or redis.sha1hex(stored)
if digest ~= ARGV[2] then
  return stored
end
if ARGV[3] == '' then
  return 1
end
if ARGV[5] == '1' and stored ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], stored)
end
-- As many entries as tenants: to read more of them costs more than to load the tenants.
local kept = math.max(redis.call('HLEN', KEYS[1]), tonumber(ARGV[6]))
-- The entry comes first: a script has no rollback, and a stored value must have one.
local id = redis.call('XADD', KEYS[3], 'MAXLEN', '~', kept, '*', 'merged', ARGV[1], 'by', ARGV[4])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return { ok = id }
