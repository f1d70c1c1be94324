-- Adds holds, and removes the value or lease of a key. Removing comes first: then
-- the server lets the holds pass even if it is out of memory. A hold that is there
-- already does not end earlier than it would have.
-- KEYS: holds, and the value that they are for, if it is one key. ARGV:
-- milliseconds, members.
-- FARTHEST: see held.lua. ENDED: so many holds that have ended are dropped at most,
-- besides one for each that is added.
local FARTHEST, ENDED = 3153600000000 + 86400000, 100
if KEYS[2] then redis.call('UNLINK', KEYS[2]) end
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('UNLINK', KEYS[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now + FARTHEST), '+inf') -- not ours
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ENDED + #ARGV)
for _, member in ipairs(ended) do redis.call('ZREM', KEYS[1], member) end
local till = string.format('%.0f', now + tonumber(ARGV[1]))
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'GT', till, ARGV[i])
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last))) end
return 1
