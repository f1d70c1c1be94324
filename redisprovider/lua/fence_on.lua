-- With the fence a frame counts on the server that stored it, for as long as that
-- is the master: not on a replica that is promoted, not after a restart, and not
-- when an old master is promoted again. The script asks the server that executes
-- it, so no client has to know which one that is: master_replid is new in each of
-- those cases. The identity of the process would be the old one in the last.
-- The stamp, 16 bytes, follows the head of the frame; see frame.go.
local replication = redis.call('INFO', 'replication')
if not string.find(replication, 'role:master', 1, true) then
  return redis.error_reply('READONLY a replica cannot tell what counts')
end
local run = string.sub(string.match(replication, 'master_replid:(%x+)'), 1, 16)
local function stamped(frame)
  return string.sub(frame, 1, 5) .. run .. string.sub(frame, 6)
end
local function current(frame)
  if string.sub(frame, 1, 3) ~= '\193r\2' then return true end -- no frame: the client reports it
  return (string.byte(frame, 5) or 0) % 2 == 1 and string.sub(frame, 6, 21) == run
end
