-- With the fence a frame counts on the very run of the server that stored it,
-- and nowhere else: not on a replica that was promoted, not after a restart. The
-- script asks the server that executes it, so no client has to know which one
-- that is. The stamp, 16 bytes, follows the head of the frame; see frame.go.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local function stamped(frame)
  return string.sub(frame, 1, 5) .. run .. string.sub(frame, 6)
end
local function current(frame)
  if string.sub(frame, 1, 3) ~= '\193r\1' then return true end -- no frame: the client reports it
  return math.floor((string.byte(frame, 5) or 0) / 2) % 2 == 1 and string.sub(frame, 6, 21) == run
end
