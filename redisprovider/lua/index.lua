-- The index of a bucket: a sorted set of equal scores with 'n' + name for each
-- value and lease, a marker 'c' if none is missing, and 't' + token for each
-- rebuild under way.
local DAY = 86400000

-- zadd adds a member, and returns whether the index was there. Something else under
-- its key makes room for a new one, which is incomplete.
local function zadd(index, member)
  local answer = redis.pcall('ZADD', index, 0, member)
  if type(answer) == 'number' then return true end
  if string.find(answer.err, 'WRONGTYPE', 1, true) then redis.call('UNLINK', index) end
  redis.call('ZADD', index, 0, member) -- or fails again
  return false
end

-- add adds a member for something that ends after ttl milliseconds, or never if
-- that is 0. An index that nobody uses ends a day or two after what it lists.
local function add(index, member, ttl)
  local left = redis.call('PTTL', index)
  if not zadd(index, member) then left = -2 end
  if ttl == 0 then
    if left >= 0 then redis.call('PERSIST', index) end
  elseif left ~= -1 and left < ttl + DAY then
    redis.call('PEXPIRE', index, ttl + 2 * DAY)
  end
end

-- trim looks at two members and drops those whose keys are gone, and what is no member.
local function trim(index, root)
  for _, member in ipairs(redis.call('ZRANDMEMBER', index, 2)) do
    local mark = string.sub(member, 1, 1)
    if string.sub(member, 1, 1) == 'n' and redis.pcall('EXISTS', root .. string.sub(member, 2)) == 0 then
      redis.call('ZREM', index, member)
    end
    if mark ~= 'n' and mark ~= 't' and member ~= 'c' then redis.call('ZREM', index, member) end
  end
end

-- ordered reports whether the key has a sorted set of equal scores. Ranges of names
-- miss members of any other.
local function ordered(index)
  return redis.pcall('ZCOUNT', index, '-inf', '(0') == 0 and redis.pcall('ZCOUNT', index, '(0', '+inf') == 0
end

-- complete reports whether no value and no lease is missing in the index.
local function complete(index)
  return type(redis.pcall('ZSCORE', index, 'c')) == 'string' and ordered(index)
end
