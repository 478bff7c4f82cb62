-- Grants a lease and returns nil, unless another holder has it: then returns the ms left of that.
-- KEYS: the lease. ARGV: the holder; the duration in ms.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return redis.call('PTTL', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
