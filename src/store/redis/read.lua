-- Reads what follows a position of the change log, and proves that nothing in between is missing.
--
-- KEYS[1]  the hash of all tenants      KEYS[2]  the change log
-- ARGV[1]  the incarnation of the hash at the position
-- ARGV[2]  the id of the entry at the position      ARGV[3]  its fields
-- ARGV[4]  the id of a later entry that the reader has written; empty for none
-- ARGV[5]  the reader, as a writer      ARGV[6]  how many entries to read at most
--
-- Returns the id and the fields of the last entry read, 1 if others follow, and triples of a kind
-- of entry, a key and a value; nil when something is missing. First come the removals, with the
-- records that were forgotten, and then each tenant that others changed, with the value that it has
-- now.
local entries = redis.call('XRANGE', KEYS[2], ARGV[2], '+', 'COUNT', ARGV[6] + 1)
local first = entries[1]
if not first or first[1] ~= ARGV[2] or table.concat(first[2], ' ') ~= ARGV[3] then
  return false
end
if redis.call('HMGET', KEYS[1], '')[1] ~= ARGV[1] then
  return false
end
if ARGV[4] ~= '' and not redis.call('XRANGE', KEYS[2], ARGV[4], ARGV[4])[1] then
  return false
end

local keys, kinds, changes = {}, {}, {}
local function add(kind, key, value)
  changes[#changes + 1], changes[#changes + 2], changes[#changes + 3] = kind, key, value
end
for n = 2, #entries do
  local fields = entries[n][2]
  local kind, key, writer = fields[1], fields[2], fields[4]
  -- An own entry matters only after one of others: the last one tells what has become of a tenant.
  if key ~= '' and (writer ~= ARGV[5] or kinds[key]) then
    if not kinds[key] then
      keys[#keys + 1] = key
    end
    if kind == 'removed' then
      add(kind, key, fields[6] or '')
      kind = 'merged'
    end
    kinds[key] = kind
  end
end
if #keys > 0 then
  local values = redis.call('HMGET', KEYS[1], unpack(keys))
  for n, key in ipairs(keys) do
    add(kinds[key], key, values[n] or '')
  end
end
local last = entries[#entries]
return { last[1], table.concat(last[2], ' '), #entries > tonumber(ARGV[6]) and 1 or 0, changes }
