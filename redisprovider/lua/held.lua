-- held reports whether a hold on the key or on a prefix of its name has not ended.
-- The scores of all holds are ends on the clock of the server, and members are
--
--   of keyHolds     tokens
--   of prefixHolds  the length of a token, ':', the token, and the prefix
--   of 'l'          prefixes that are held to the end, at most LONGEST bytes long
--
-- So a hold of 'l' is found by the name, however many others there are. Those of
-- prefixHolds are looked at one by one, since they have tokens; if they are WALK or
-- more, the names of the bucket count as held.
--
-- What is no hold counts as none, and is removed: another type, a member that is cut,
-- an end that is farther away than any that hold.lua writes.
local WALK, LONGEST, FARTHEST = 256, 128, 3153600000000 + 86400000

-- mirror is the member of prefixHolds for the holds of 'l'. It is for processes that
-- do not know 'l', to which it is a hold on the whole bucket.
local mirror = '4:\0lag'

-- healed returns an answer, or instead of an error of type what there is without the
-- key, which is removed.
local function healed(key, answer, without)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if not string.find(answer.err, 'WRONGTYPE', 1, true) then error(answer.err) end
  redis.call('UNLINK', key)
  return without
end

-- prefixOf returns the prefix of a member of prefixHolds, nil if it is none.
local function prefixOf(member)
  local colon = string.find(member, ':', 1, true)
  local length = colon and string.match(string.sub(member, 1, colon - 1), '^%d+$')
  if not length or colon + tonumber(length) > #member then return nil end
  return string.sub(member, colon + 1 + tonumber(length))
end

local function heldToTheEnd(key, name, now)
  local prefixes = {}
  for length = 0, math.min(#name, LONGEST) do
    prefixes[length + 1] = string.sub(name, 1, length)
  end
  for _, till in ipairs(healed(key, redis.pcall('ZMSCORE', key, unpack(prefixes)), {})) do
    till = till and tonumber(till)
    if till and till > now and till <= now + FARTHEST then return true end
  end
  return false
end

local function held(keyHolds, prefixHolds, name)
  local untilEnd = string.sub(prefixHolds, 1, -2) .. 'l'
  if redis.call('EXISTS', keyHolds, prefixHolds, untilEnd) == 0 then return false end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local after, last = '(' .. string.format('%.0f', now), string.format('%.0f', now + FARTHEST)
  if healed(keyHolds, redis.pcall('ZCOUNT', keyHolds, after, last), 0) > 0 then return true end
  if redis.call('EXISTS', untilEnd) == 1 and heldToTheEnd(untilEnd, name, now) then return true end
  local members = healed(prefixHolds, redis.pcall('ZRANGEBYSCORE', prefixHolds, after, last, 'LIMIT', 0, WALK), {})
  for _, member in ipairs(members) do
    local prefix = prefixOf(member)
    if not prefix then
      redis.call('ZREM', prefixHolds, member)
    elseif member ~= mirror and string.sub(name, 1, #prefix) == prefix then
      return true
    end
  end
  return #members == WALK
end
