-- Counts an attempt as a failure, for its address and for the pair of account and address, unless one of them has to wait. Gives for how
-- many milliseconds the caller has to wait; 0 when the attempt was counted.
-- KEYS: the address; the pair. ARGV: now, in milliseconds; after how long all is forgotten; the first delay; the longest one; how many
-- failures are free for the address; and for the pair.
local now = tonumber(ARGV[1])
local forget_after, delay_first, delay_max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local failures = {}
local wait = 0

for i, key in ipairs(KEYS) do
    local held = redis.call('HMGET', key, 'count', 'last_ms')
    local count, last = tonumber(held[1]) or 0, tonumber(held[2]) or now
    if last > now then
        -- After the clock was set back a lock must not last until the clock has caught up.
        last = now
        redis.call('HSET', key, 'last_ms', ARGV[1])
    end
    local free = tonumber(ARGV[4 + i])
    if count >= free then
        local delay = math.min(delay_first * 2 ^ math.min(count - free, 32), delay_max)
        wait = math.max(wait, delay - (now - last))
    end
    if now - last >= forget_after then
        count = 0
    end
    failures[i] = count
end

if wait > 0 then
    return wait
end
for i, key in ipairs(KEYS) do
    redis.call('HSET', key, 'count', failures[i] + 1, 'last_ms', ARGV[1])
    redis.call('PEXPIRE', key, forget_after)
end
return 0
