-- Adds names. Returns 0 if the rebuild goes on, 1 if the index is complete
-- already, -1 if it was lost since the rebuild began: what is added to an index that
-- is not there would make one without a TTL, which never ends.
-- KEYS: index. ARGV: token, names.
if complete(KEYS[1]) then return 1 end
if not redis.call('ZSCORE', KEYS[1], 't' .. ARGV[1]) then return -1 end
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 0, 'n' .. ARGV[i])
end
return 0
