-- Removes a tenant's value if the stored one is the one that the remover expects, and appends an
-- entry to the change log that has the record to be forgotten.
--
-- KEYS[1]  the hash of all tenants      KEYS[2]  the change log
-- ARGV[1]  the tenant's field
-- ARGV[2]  the SHA-1 of the expected value, in hex
-- ARGV[3]  the value of the record to be forgotten
-- ARGV[4]  the writer      ARGV[5]  the least number of entries that the log keeps
--
-- Returns the id of the entry as a status, or the value that is stored instead, empty for none.
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if stored == '' or redis.sha1hex(stored) ~= ARGV[2] then
  return stored
end
-- First, unlike in a merge: it is refused where the user may not do it, while an entry is never
-- refused after it, not even for want of memory.
redis.call('HDEL', KEYS[1], ARGV[1])
local kept = math.max(redis.call('HLEN', KEYS[1]), tonumber(ARGV[5]))
local fields = { 'removed', ARGV[1], 'by', ARGV[4], 'record', ARGV[3] }
return { ok = redis.call('XADD', KEYS[2], 'MAXLEN', '~', kept, '*', unpack(fields)) }
