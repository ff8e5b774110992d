-- Adds a batch to counts in slices of a window, once however often it is sent, and gives how often each name asked for happened in the
-- window that ends now, by this server's clock.
-- KEYS[1]: which batch of this replica was added last; then one key per name, a hash of times by slice; the names asked for come first.
-- ARGV: the batch's number; the window, in milliseconds; into how many slices it is cut; how many names are asked for; then, for each part
-- of the batch: which key it is for, how many milliseconds ago it happened, and how many times.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, slices, asked = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local length = window / slices
local first = math.floor(now / length) - slices + 1

local last = tonumber(redis.call('GET', KEYS[1]) or 0)
if #ARGV > 4 and last < tonumber(ARGV[1]) then
    for i = 5, #ARGV, 3 do
        local key = KEYS[1 + tonumber(ARGV[i])]
        local slice = math.floor((now - tonumber(ARGV[i + 1])) / length)
        if slice >= first then
            redis.call('HINCRBY', key, string.format('%.0f', slice), ARGV[i + 2])
            redis.call('PEXPIRE', key, math.ceil(window + length))
        end
    end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', window + 60000)
end

local counts = {}
for i = 1, asked do
    local held = redis.call('HGETALL', KEYS[1 + i])
    local sum = 0
    for j = 1, #held, 2 do
        if tonumber(held[j]) >= first then
            sum = sum + held[j + 1]
        else
            redis.call('HDEL', KEYS[1 + i], held[j])
        end
    end
    counts[i] = sum
end
return counts
