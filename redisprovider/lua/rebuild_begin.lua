-- Begins a rebuild. Returns its token, '' if the index is complete as it is.
-- KEYS: index. ARGV: what begins the token.
if complete(KEYS[1]) then return '' end
if not ordered(KEYS[1]) then redis.call('UNLINK', KEYS[1]) end
local time = redis.call('TIME')
local token = ARGV[1] .. string.format('%.0f', time[1] * 1000000 + time[2])
add(KEYS[1], 't' .. token, 1)
return token
