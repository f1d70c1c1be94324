-- Removes the values and leases of a part of the index. Returns how many members
-- that were, -1 if the index is not complete, and how many of them were entries.
-- KEYS: index. ARGV: what begins the keys of values, the range, how many at most.
if not complete(KEYS[1]) then return {-1, 0} end
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local entries = 0
for _, member in ipairs(members) do
  local key = ARGV[1] .. string.sub(member, 2)
  local head = redis.pcall('GETRANGE', key, 0, 20)
  if type(head) == 'string' and isEntry(head) and current(head) then
    entries = entries + 1
  end
  redis.call('UNLINK', key)
end
if #members > 0 then
  redis.call('ZREMRANGEBYLEX', KEYS[1], ARGV[2], '[' .. members[#members])
end
return {#members, entries}
