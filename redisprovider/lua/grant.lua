-- granted returns what replaces the end of the token of a lease. It makes every
-- execution grant another lease: a request that arrives twice does not plant the
-- first one again, which its holder could still fill.
local function granted(time) return string.format('%016.0f', time[1] * 1000000 + time[2]) end

-- plant stores a lease where there is nothing. It returns a table with what replaces
-- the end of its token.
local function plant(key, index, name, frame, ttl)
  local nonce = granted(redis.call('TIME'))
  store(key, index, name, stamped(string.sub(frame, 1, #frame - #nonce) .. nonce), ttl)
  return {nonce}
end
