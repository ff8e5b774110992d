-- Takes in a binding, unless what is here is newer than what the writer had seen and newer than the binding, too.
-- KEYS[1]: the entry's key. ARGV: the entry; its standing; the standing seen; for how many milliseconds it is kept.
local here = redis.pcall('GET', KEYS[1])
local standing = standing_of(here)
if standing and standing > ARGV[3] and standing > ARGV[2] then
    return 0
end
-- The same binding, told by the authority later than to this writer.
if here == ARGV[1] and redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[4]) then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return 1
