-- Stores a frame whatever the key has, unless it is held: then it removes what
-- is there. Returns 1 if it stored.
-- KEYS: value, holds of the key, holds of prefixes, index. ARGV: name, frame,
-- milliseconds.
if held(KEYS[2], KEYS[3], ARGV[1]) then
  redis.call('UNLINK', KEYS[1])
  return 0
end
store(KEYS[1], KEYS[4], ARGV[1], stamped(ARGV[2]), tonumber(ARGV[3]))
return 1
