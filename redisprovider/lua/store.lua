-- store puts a frame under a key, listed in the index first: nothing is ever
-- stored that is not listed.
local function store(key, index, name, frame, ttl)
  add(index, 'n' .. name, ttl)
  if ttl == 0 then
    redis.call('SET', key, frame)
  else
    redis.call('SET', key, frame, 'PX', string.format('%.0f', ttl))
  end
  trim(index, string.sub(key, 1, #key - #name))
end
