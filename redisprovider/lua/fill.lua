-- Stores a frame if the key has the lease, alone or beside an entry, which is
-- replaced. Returns 1 if it does, else 0.
-- KEYS: value, index. ARGV: name, frame of the lease, frame, milliseconds.
-- A key that is no string has no lease.
if owner(redis.pcall('GETRANGE', KEYS[1], 0, START), ARGV[2]) == 0 then return 0 end
store(KEYS[1], KEYS[2], ARGV[1], stamped(ARGV[3]), tonumber(ARGV[4]))
return 1
