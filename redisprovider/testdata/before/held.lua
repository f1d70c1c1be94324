-- held reports whether a hold on the key or on a prefix of its name has not
-- ended. Members of prefixHolds are the length of a token, ':', the token, and
-- the prefix; scores are ends on the clock of the server.
local function held(keyHolds, prefixHolds, name)
  if redis.call('EXISTS', keyHolds, prefixHolds) == 0 then return false end
  local time = redis.call('TIME')
  local now = '(' .. string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  if redis.call('ZCOUNT', keyHolds, now, '+inf') > 0 then return true end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', prefixHolds, now, '+inf')) do
    local colon = string.find(member, ':', 1, true)
    local prefix = string.sub(member, colon + 1 + tonumber(string.sub(member, 1, colon - 1)))
    if string.sub(name, 1, #prefix) == prefix then return true end
  end
  return false
end
