-- Notes up to which number a member has dropped what was removed. Returns 1, or 0 if the
-- record is another one or does not have the member.
-- KEYS: record. ARGV: id, epoch, number.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end
local was = redis.call('HGET', KEYS[1], 'm' .. ARGV[1])
local head, acked = string.match(was or '', '^(%d+:%d+:)(%d+)$')
if not head then return 0 end
if tonumber(ARGV[3]) > tonumber(acked) then redis.call('HSET', KEYS[1], 'm' .. ARGV[1], head .. ARGV[3]) end
return 1
