-- Looks at a part of the index. Returns whether the index is complete (1 or 0), the last
-- member that it has looked at, or '' if there are no more, and for each entry its name, how
-- its frame begins, the size of the frame, and how many milliseconds it has left (-1: no end).
-- KEYS: index. ARGV: what begins the keys of values, the range, how many at most.
local members = redis.pcall('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local answer = {complete(KEYS[1]) and 1 or 0, ''}
if members.err then return answer end -- no index: there is nothing to list
for _, member in ipairs(members) do
  local name = string.sub(member, 2)
  local key = ARGV[1] .. name
  local head = redis.pcall('GETRANGE', key, 0, 93)
  if type(head) == 'string' and isEntry(head) and current(head) then
    answer[#answer + 1] = name
    answer[#answer + 1] = head
    answer[#answer + 1] = redis.call('STRLEN', key)
    answer[#answer + 1] = redis.call('PTTL', key)
  end
end
if #members == tonumber(ARGV[4]) then answer[2] = members[#members] end
return answer
