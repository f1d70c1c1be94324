-- kind returns the kind of a frame, and 0 for bytes that are none.
local function kind(frame)
  if string.sub(frame, 1, 3) ~= '\193r\1' then return 0 end
  return string.byte(frame, 4) or 0
end
local VALUE, ABSENT, LEASE = 1, 2, 3
