-- Returns the incarnation of the hash, and the id and the fields of the last entry of the change
-- log. Creates those that are missing.
--
-- KEYS[1]  the hash of all tenants      KEYS[2]  the change log
-- ARGV[1]  the incarnation of a hash that has none      ARGV[2]  the writer
local incarnation = redis.call('HMGET', KEYS[1], '')[1]
if not incarnation then
  incarnation = ARGV[1]
  redis.call('HSET', KEYS[1], '', incarnation)
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if not last then
  last = { redis.call('XADD', KEYS[2], '*', 'opened', '', 'by', ARGV[2]), { 'opened', '', 'by', ARGV[2] } }
end
return { incarnation, last[1], table.concat(last[2], ' ') }
