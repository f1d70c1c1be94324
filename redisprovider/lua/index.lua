-- The index of a bucket: a sorted set of equal scores with 'n' + name for each
-- value and lease, a marker 'c' if none is missing, and 't' + token for each
-- rebuild under way.
local DAY = 86400000

-- zadd adds a member. Something else under the key of the index makes room for
-- a new one, which is incomplete.
local function zadd(index, member)
  local answer = redis.pcall('ZADD', index, 0, member)
  if type(answer) == 'number' then return end
  if string.find(answer.err, 'WRONGTYPE', 1, true) then redis.call('UNLINK', index) end
  redis.call('ZADD', index, 0, member) -- or fails again
end

-- add adds a member for something that ends after ttl milliseconds, or never if
-- that is 0. An index that nobody uses ends a day or two after what it lists.
local function add(index, member, ttl)
  local left = redis.call('PTTL', index)
  zadd(index, member)
  if ttl == 0 then
    if left >= 0 then redis.call('PERSIST', index) end
  elseif left ~= -1 and left < ttl + DAY then
    redis.call('PEXPIRE', index, ttl + 2 * DAY)
  end
end

-- trim looks at two members and drops those whose keys are gone.
local function trim(index, root)
  for _, member in ipairs(redis.call('ZRANDMEMBER', index, 2)) do
    if string.sub(member, 1, 1) == 'n' and redis.pcall('EXISTS', root .. string.sub(member, 2)) == 0 then
      redis.call('ZREM', index, member)
    end
  end
end

-- complete reports whether no value and no lease is missing in the index.
local function complete(index)
  return type(redis.pcall('ZSCORE', index, 'c')) == 'string'
end
