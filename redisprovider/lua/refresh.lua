-- Leases a key that may have an entry. Returns as acquire.lua does
--
--   bytes          what the key has, and no lease: it is not what is to be replaced
--   0, 1           the key has a lease and no entry, is held
--   {nonce}        the lease is granted, there is no entry
--   {nonce, entry} the lease is granted, beside the entry
--   {'', entry}    somebody else has the lease of the entry
--
-- The entry keeps its TTL, and its bytes but for the lease.
-- KEYS: value, holds of the key, holds of prefixes, index. ARGV: name, frame of
-- the lease, milliseconds, loadedAt of the entry to be replaced, 1 for whatever
-- entry, name of the codec.
local found = redis.call('GET', KEYS[1])
if found and not current(found) then found = false end
if found then endLease(KEYS[1], found, tonumber(ARGV[3])) end
if found and isLease(found) then return 0 end
if found and not (isEntry(found) and readable(found, ARGV[6])) then return found end -- the client reports it
if held(KEYS[2], KEYS[3], ARGV[1]) then return 1 end
local ttl = tonumber(ARGV[3])
if not found then return plant(KEYS[1], KEYS[4], ARGV[1], ARGV[2], ttl) end
if endless(found, ttl) then found = withLease(found, '') end
if leaseOf(found) then return {'', found} end
local at = fields(found) + 12
if ARGV[5] ~= '1' and string.sub(found, at, at + 11) ~= ARGV[4] then return found end

local time = redis.call('TIME')
local nonce = granted(time)
local token = string.sub(ARGV[2], 6, #ARGV[2] - #nonce) .. nonce
keep(KEYS[1], KEYS[4], ARGV[1], withLease(found, token .. digits(clock(time) + ttl)))
return {nonce, found}
