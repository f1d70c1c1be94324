-- Removes a lease if the key has it.
-- KEYS: value. ARGV: frame of the lease.
if redis.pcall('GET', KEYS[1]) ~= stamped(ARGV[1]) then return 0 end
return redis.call('UNLINK', KEYS[1])
