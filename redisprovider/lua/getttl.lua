-- Returns for each key its bytes, or false if there are none that count, and the
-- milliseconds that it has left, -1 if it does not end.
-- KEYS: values, and SPARE more.
local found = {}
for i = 1, #KEYS - SPARE do
  local frame = redis.pcall('GET', KEYS[i])
  if type(frame) == 'table' then
    frame = '' -- no string: the client reports it like any bytes that are no frame
  elseif frame and not current(frame) then
    frame = false
  end
  found[2 * i - 1] = frame
  found[2 * i] = frame and redis.call('PTTL', KEYS[i]) or 0
end
return found
