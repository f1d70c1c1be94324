-- Removes a lease whose token begins with the given bytes. An entry beside it stays,
-- and ends when it does. Returns 1 if it removed one, else 0.
-- KEYS: value. ARGV: what the token begins with.
local found = redis.pcall('GETRANGE', KEYS[1], 0, START)
if type(found) ~= 'string' or not current(found) then return 0 end
local alone, token = isLease(found), nil
if alone then token = string.sub(found, body(found)) end
if isEntry(found) then token = leaseOf(found) end
if not token or string.sub(token, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
if alone then return redis.call('UNLINK', KEYS[1]) end
redis.call('SET', KEYS[1], withLease(redis.call('GET', KEYS[1]), ''), 'KEEPTTL')
return 1
