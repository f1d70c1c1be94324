-- Frames, by their offsets; see frame.go.
local VALUE, ABSENT, LEASE = 1, 2, 3
local LEASED = 2 -- a flag, beside that of being bound, which is 1
local TOKEN, END = 32, 16

-- kind returns the kind of a frame, and 0 for bytes that are none.
local function kind(frame)
  if string.sub(frame, 1, 3) ~= '\193r\2' then return 0 end
  return string.byte(frame, 4) or 0
end

local function flags(frame) return string.byte(frame, 5) or 0 end

-- body returns where what follows the run begins.
local function body(frame)
  if flags(frame) % 2 == 1 then return 22 end
  return 6
end

-- number returns the 4 bytes at an offset as a number, or nil if they are not there.
local function number(frame, at)
  local a, b, c, d = string.byte(frame, at, at + 3)
  return d and ((a * 256 + b) * 256 + c) * 256 + d
end

-- isEntry reports whether a frame is an entry, by its first bytes.
local function isEntry(frame)
  local kind = kind(frame)
  return kind == VALUE or kind == ABSENT
end

-- isLease reports whether a frame is a lease and nothing else.
local function isLease(frame)
  return kind(frame) == LEASE and flags(frame) < LEASED and #frame == body(frame) + TOKEN - 1
end

-- LONGEST_LEASE is how many milliseconds a lease may have left of which nobody knows who
-- asked for it: more, or no end at all, is what a copy of the key has, or a hand. Who
-- asks for a longer lease accepts leases as long as that.
local LONGEST_LEASE = 86400000

-- endLease gives what is under a key, if that is a lease without an end, the end that
-- the caller's would have. If it has an owner, that fills in time, or in vain.
local function endLease(key, found, ttl)
  if not isLease(found) then return end
  local left = redis.call('PTTL', key)
  if left < 0 or left > math.max(ttl, LONGEST_LEASE) then
    redis.call('PEXPIRE', key, string.format('%.0f', ttl))
  end
end

-- clock returns the milliseconds of TIME.
local function clock(time) return time[1] * 1000 + math.floor(time[2] / 1000) end

-- digits returns milliseconds as a frame has them, in the order of time.
local function digits(milliseconds) return string.format('%016.0f', milliseconds) end
