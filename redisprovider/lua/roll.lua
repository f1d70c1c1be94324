-- Returns the record, or 0 if there is none.
-- KEYS: record.
if not redis.call('HGET', KEYS[1], 'born') then return 0 end
return roll(KEYS[1])
