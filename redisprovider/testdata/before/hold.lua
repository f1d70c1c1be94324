-- Adds holds, and removes the value or lease of a key. Removing comes first: then
-- the server lets the holds pass even if it is out of memory.
-- KEYS: holds, and the value that they are for, if it is one key. ARGV:
-- milliseconds, members.
if KEYS[2] then redis.call('UNLINK', KEYS[2]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local till = string.format('%.0f', now + tonumber(ARGV[1]))
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], till, ARGV[i])
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last)))
return 1
