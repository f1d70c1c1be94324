-- An entry may have a lease of who refreshes it. These take entries.

local function isLeased(frame) return math.floor(flags(frame) / LEASED) % 2 == 1 end

-- fields returns where an entry's freshUntil begins.
local function fields(frame)
  if isLeased(frame) then return body(frame) + TOKEN + END end
  return body(frame)
end

-- ends returns the end of the lease of an entry, nil if it is none.
local function ends(frame)
  local at = body(frame) + TOKEN
  return string.match(string.sub(frame, at, at + END - 1), '^%d+$')
end

-- leaseOf returns the token of the lease of an entry, if it has not ended.
local function leaseOf(frame)
  local ends = isLeased(frame) and ends(frame)
  if not ends or ends <= digits(clock(redis.call('TIME'))) then return nil end
  return string.sub(frame, body(frame), body(frame) + TOKEN - 1)
end

-- endless reports whether an entry has a lease that is so long that nobody has asked
-- for it; see LONGEST_LEASE.
local function endless(frame, ttl)
  return isLeased(frame) and ends(frame) > digits(clock(redis.call('TIME')) + math.max(ttl, LONGEST_LEASE))
end

-- withLease returns an entry with a lease, '' for none, instead of the one it has.
local function withLease(frame, lease)
  local flags = flags(frame) % LEASED
  if lease ~= '' then flags = flags + LEASED end
  return string.sub(frame, 1, 4) .. string.char(flags) .. string.sub(frame, 6, body(frame) - 1) ..
    lease .. string.sub(frame, fields(frame))
end

-- value returns where what follows the validator begins, or nil if the frame is cut.
local function value(frame)
  local at = fields(frame) + 32
  local validator = number(frame, at)
  return validator and at + 4 + validator
end

-- owner returns the kind of what is stored under a key whose first bytes are given,
-- if that has the lease whose frame is given, and 0 if it has not.
local function owner(found, lease)
  if type(found) ~= 'string' or #lease ~= 5 + TOKEN then return 0 end
  if found == stamped(lease) then return LEASE end
  if isEntry(found) and current(found) and leaseOf(found) == string.sub(lease, 6) then return kind(found) end
  return 0
end

-- START is the last of the first bytes that owner looks at, and some more: a lease
-- has fewer.
local START = 127
