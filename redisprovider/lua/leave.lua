-- Takes a member out of the record, if it has that stamp in that epoch; stamp 0 for any.
-- Returns 1 if it did.
-- KEYS: record. ARGV: id, stamp, epoch.
if ARGV[2] ~= '0' and redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[3] then return 0 end
local was = redis.call('HGET', KEYS[1], 'm' .. ARGV[1])
if not was or ARGV[2] ~= '0' and string.match(was, '^%d+') ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], 'm' .. ARGV[1])
