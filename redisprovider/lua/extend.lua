-- Stores the value of an entry again, with other fields and another end, if the
-- entry has the lease. Returns 1 if it does, else 0.
-- KEYS: value, index. ARGV: name, frame of the lease, frame of an absence with the
-- fields, milliseconds.
local found = redis.pcall('GET', KEYS[1])
local kind = owner(found, ARGV[2])
if kind == 0 or kind == LEASE then return 0 end
local at = value(found)
if not at then return 0 end
local head = string.sub(ARGV[3], 1, 3) .. string.char(kind) .. string.sub(ARGV[3], 5)
store(KEYS[1], KEYS[2], ARGV[1], stamped(head) .. string.sub(found, at), tonumber(ARGV[4]))
return 1
