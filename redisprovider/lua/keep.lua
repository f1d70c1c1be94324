-- keep replaces a frame by another that ends when the first does. That is listed,
-- unless the index was lost since.
local function keep(key, index, name, frame)
  local left = redis.call('PTTL', key)
  if left == -1 then add(index, 'n' .. name, 0) else add(index, 'n' .. name, math.max(left, 1)) end
  redis.call('SET', key, frame, 'KEEPTTL')
end
