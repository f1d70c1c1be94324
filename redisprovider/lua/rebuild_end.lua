-- Marks the index complete. Returns 1, or -1 if it was lost since the rebuild
-- began. Rebuilds of others that are under way, or whose process has ended, have
-- nothing left to do.
-- KEYS: index. ARGV: token.
if complete(KEYS[1]) then return 1 end
if not redis.call('ZSCORE', KEYS[1], 't' .. ARGV[1]) then return -1 end
redis.call('ZADD', KEYS[1], 0, 'c')
redis.call('ZREMRANGEBYLEX', KEYS[1], '[t', '(u')
return 1
