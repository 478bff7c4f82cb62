-- Grants a lease, unless another holder has it: then for how many ms more.
-- KEYS: the lease. ARGV: the holder; for how many ms.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return redis.call('PTTL', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
