-- Removes a lease if the key has it. An entry beside it stays, and ends when it
-- does.
-- KEYS: value. ARGV: frame of the lease.
local kind = owner(redis.pcall('GETRANGE', KEYS[1], 0, START), ARGV[1])
if kind == 0 then return 0 end
if kind == LEASE then return redis.call('UNLINK', KEYS[1]) end
redis.call('SET', KEYS[1], withLease(redis.call('GET', KEYS[1]), ''), 'KEEPTTL')
return 1
