-- The record of the near caches: a hash with
--
--   run    the identity of the master that made it, see fence_on.lua
--   epoch  a name that no other record has
--   born   when it was made, in milliseconds of this server
--   seq    the number of the last announcement
--   stamp  the number of the last renewal
--   m<id>  of each member: its stamp, its lease in milliseconds, and the number that it
--          has acknowledged, with ':' between
--
-- All of it is one key, so that nothing of it can be lost without the rest.
local LIFE = 86400000

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- current returns the epoch of the record, which it makes under that name if there is
-- none of this run of the server, or something else. Its first write does not need memory:
-- then a server that has none left lets those pass that follow.
local function current(key, epoch)
  local run = string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 16)
  local has = redis.pcall('HMGET', key, 'run', 'epoch', 'born', 'seq')
  if has.err and not string.find(has.err, 'WRONGTYPE', 1, true) then error(has.err) end
  if has[1] ~= run or not (has[2] and has[3] and has[4]) then
    redis.call('UNLINK', key)
    redis.call('HSET', key, 'run', run, 'epoch', epoch, 'born', string.format('%.0f', clock()), 'seq', 0)
    has[2] = epoch
  end
  redis.call('PEXPIRE', key, LIFE)
  return has[2]
end

-- roll returns the epoch, the number, the age, and two texts for each member.
local function roll(key)
  local all, has, members = redis.call('HGETALL', key), {}, {}
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'm' then
      members[#members + 1] = string.sub(all[i], 2)
      members[#members + 1] = all[i + 1]
    else
      has[all[i]] = all[i + 1]
    end
  end
  local age = string.format('%.0f', clock() - tonumber(has.born))
  return {has.epoch, has.seq, age, unpack(members)}
end
