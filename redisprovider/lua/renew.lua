-- Has a lease end later, if the key has it. An entry beside it keeps its end.
-- Returns 1 if the key has it, else 0.
-- KEYS: value, index. ARGV: name, frame of the lease, milliseconds.
local found = redis.pcall('GETRANGE', KEYS[1], 0, START)
local kind = owner(found, ARGV[2])
if kind == 0 then return 0 end
local ttl = tonumber(ARGV[3])
if kind == LEASE then
  add(KEYS[2], 'n' .. ARGV[1], ttl)
  return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
redis.call('SETRANGE', KEYS[1], body(found) + TOKEN - 1, digits(clock(redis.call('TIME')) + ttl))
return 1
