-- readable reports whether an entry is whole, and its value one of the codec: no
-- lease is put into what nobody can read.
local function readable(frame, codec)
  if flags(frame) >= 2 * LEASED then return false end
  if isLeased(frame) and not ends(frame) then return false end
  local at = value(frame)
  if not at then return false end
  if kind(frame) == ABSENT then return #frame == at - 1 end
  local name, payload = number(frame, at + 1), number(frame, at + 5)
  return payload and #frame == at + 8 + #codec + name + payload and
    string.sub(frame, at, at) .. string.sub(frame, at + 9, at + 8 + #codec) == string.char(#codec) .. codec
end
