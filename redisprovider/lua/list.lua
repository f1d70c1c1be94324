-- Lists a part of the index. Returns its members, or 0 if the index is not
-- complete.
-- KEYS: index. ARGV: the range, how many at most.
if not complete(KEYS[1]) then return 0 end
return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
