-- Begins a rebuild. Returns 1 if the index is complete as it is.
-- KEYS: index. ARGV: token.
if complete(KEYS[1]) then return 1 end
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('UNLINK', KEYS[1]) end
add(KEYS[1], 't' .. ARGV[1], 1)
return 0
