-- Forgives an attempt: of the address the attempt alone; of the pair everything when the password was right, or the attempt alone.
-- KEYS: the address; the pair. ARGV: 1 when the password was right.
local function take_back(key)
    local count = tonumber(redis.call('HGET', key, 'count') or 0)
    if count > 1 then
        redis.call('HSET', key, 'count', count - 1)
    else
        redis.call('DEL', key)
    end
end

take_back(KEYS[1])
if ARGV[1] == '1' then
    redis.call('DEL', KEYS[2])
else
    take_back(KEYS[2])
end
return 1
