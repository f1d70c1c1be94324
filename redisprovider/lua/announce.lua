-- Numbers what was removed and tells it to all members. Returns what roll returns, or
-- 0 if there is no record, and there never was.
-- KEYS: record. ARGV: name of a new epoch, 1 if there was a record, the channel, the
-- sender, what was removed.
if ARGV[2] == '0' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local epoch = current(KEYS[1], ARGV[1])
local seq = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'seq', 1))
redis.call('PUBLISH', ARGV[3], epoch .. ' ' .. seq .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
return roll(KEYS[1])
