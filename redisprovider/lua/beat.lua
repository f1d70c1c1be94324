-- Tells a member the number of the last announcement, and renews it.
-- KEYS: record. ARGV: name of a new epoch, the channel of the member, its id, the number
-- of the beat, its lease in milliseconds or 0 to renew nothing, the epoch and the number
-- up to which it has acknowledged.
local epoch = current(KEYS[1], ARGV[1])
if ARGV[5] ~= '0' then
  local field = 'm' .. ARGV[3]
  local stamp = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'stamp', 1))
  local was = redis.call('HGET', KEYS[1], field)
  local acked = was and string.match(was, ':(%d+)$') or '0'
  if ARGV[6] == epoch and tonumber(ARGV[7]) > tonumber(acked) then acked = ARGV[7] end
  redis.call('HSET', KEYS[1], field, stamp .. ':' .. ARGV[5] .. ':' .. acked)
end
redis.call('PUBLISH', ARGV[2], epoch .. ' ' .. redis.call('HGET', KEYS[1], 'seq') .. ' ' .. ARGV[4] .. ' ' .. (ARGV[5] == '0' and '0' or '1'))
return 1
