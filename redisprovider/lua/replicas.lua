-- A master without its replicas may have been replaced, and not know it: a script that
-- reads or stores does nothing there. NEED is how many replicas removals wait for. A
-- replica that has said nothing for longer than LAG seconds may be with another master.
-- READONLY, as for a replica: the client drops the connection, and the cache leaves the
-- server alone until it takes a write.
local LAG = 3
local have = 0
for state, lag in string.gmatch(replication, 'slave%d+:[^\r\n]-,state=(%a+)[^\r\n]-,lag=(%d+)') do
  if state == 'online' and tonumber(lag) <= LAG then have = have + 1 end
end
if have < NEED then
  return redis.error_reply('READONLY ' .. have .. ' replicas are there and ' .. NEED .. ' are wanted: another master may have replaced this one')
end
