-- An entry and how long it is kept from now on, in milliseconds, as of one moment.
-- KEYS[1]: the entry's key. Gives nothing when there is none, or something that is no text.
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' then
    return false
end
return { entry, redis.call('PTTL', KEYS[1]) }
