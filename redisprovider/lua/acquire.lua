-- Returns what is under the key: bytes if it is no lease, and otherwise 0 if there
-- is a lease, 1 if the key is held, and what plant returns if a lease was granted.
-- KEYS: value, holds of the key, holds of prefixes, index. ARGV: name, frame of
-- the lease, milliseconds.
local found = redis.call('GET', KEYS[1])
if found and current(found) then
  endLease(KEYS[1], found, tonumber(ARGV[3]))
  if isLease(found) then return 0 end
  return found
end
if held(KEYS[2], KEYS[3], ARGV[1]) then return 1 end
return plant(KEYS[1], KEYS[4], ARGV[1], ARGV[2], tonumber(ARGV[3]))
