-- Stores a tenant's value if what is there is what the writer knows, and tells every replica.
--
-- KEYS[1]  the hash of all tenants
-- ARGV[1]  the tenant's field
-- ARGV[2]  the SHA-1 of the value that the writer knows, in hex; empty for none
-- ARGV[3]  the value to store; empty when what the writer knows says it all
-- ARGV[4]  the writer      ARGV[5]  the channel
--
-- Answers 1, or the value that is there instead, empty for none.
local there = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local digest = there == '' and '' or redis.sha1hex(there)
if digest ~= ARGV[2] then
  return there
end
if ARGV[3] ~= '' then
  -- Told first: nothing is undone when a command fails, and what is stored must have been told.
  redis.call('PUBLISH', ARGV[5], ARGV[4] .. ' ' .. ARGV[3])
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
