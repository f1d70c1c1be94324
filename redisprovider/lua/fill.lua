-- Stores a frame if the key has the lease. Returns 1 if it does, else 0.
-- KEYS: value, index. ARGV: name, frame of the lease, frame, milliseconds.
-- A key that is no string has no lease.
if redis.pcall('GET', KEYS[1]) ~= stamped(ARGV[2]) then return 0 end
store(KEYS[1], KEYS[2], ARGV[1], stamped(ARGV[3]), tonumber(ARGV[4]))
return 1
