-- Returns what is under the key: bytes if it is no lease, and otherwise 0 if there
-- is a lease, 1 if the key is held, and if a lease was granted a table with the 16
-- bytes that replace the end of its token. They make every execution grant another
-- lease: a request that arrives twice does not plant the first one again, which
-- its holder could still fill.
-- KEYS: value, holds of the key, holds of prefixes, index. ARGV: name, frame of
-- the lease, milliseconds.
local found = redis.call('GET', KEYS[1])
if found and current(found) then
  if kind(found) == LEASE then return 0 end
  return found
end
if held(KEYS[2], KEYS[3], ARGV[1]) then return 1 end
local time = redis.call('TIME')
local nonce = string.format('%016.0f', time[1] * 1000000 + time[2])
local lease = string.sub(ARGV[2], 1, #ARGV[2] - #nonce) .. nonce
store(KEYS[1], KEYS[4], ARGV[1], stamped(lease), tonumber(ARGV[3]))
return {nonce}
