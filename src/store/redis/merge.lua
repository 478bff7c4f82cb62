-- Stores a tenant's value if the stored one is the one that the writer expects, and publishes it.
--
-- KEYS[1]  the hash of all tenants
-- KEYS[2]  the hash of malformed values that were replaced, at most one for each tenant
-- KEYS[3]  a key that never exists
-- ARGV[1]  the tenant's field
-- ARGV[2]  the SHA-1 of the expected value, in hex; empty for none
-- ARGV[3]  the value to store; empty when the expected value contains everything
-- ARGV[4]  the writer      ARGV[5]  the channel
-- ARGV[6]  1 when the expected value is malformed, and kept aside
--
-- Returns 1, or the value that is stored instead, empty for none.
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local digest = stored == '' and '' or redis.sha1hex(stored)
if digest ~= ARGV[2] then
  return stored
end
if ARGV[3] ~= '' then
  -- Changes nothing, and fails as HSET would on a server that is full or refuses writes. Redis decides
  -- that at the first write of a script, so HSET then succeeds.
  redis.call('SET', KEYS[3], '', 'XX')
  if ARGV[6] == '1' and stored ~= '' then
    redis.call('HSET', KEYS[2], ARGV[1], stored)
  end
  -- Published first: a script has no rollback, and a stored value must have been published.
  redis.call('PUBLISH', ARGV[5], ARGV[4] .. ' ' .. ARGV[3])
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
