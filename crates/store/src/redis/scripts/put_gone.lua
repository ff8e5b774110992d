-- Takes in that there is no binding, unless something newer is here than the writer knows of.
-- KEYS[1]: the entry's key. ARGV: the entry; the newest standing that it may replace; for how many milliseconds it is kept.
local standing = standing_of(redis.pcall('GET', KEYS[1]))
if standing and standing > ARGV[2] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
