-- The standing of an entry of ours: it begins with '1', its kind, and its standing in 20 digits, which compare as texts. Anything else
-- has none, and gives way to whatever is told.
local function standing_of(entry)
    local standing = type(entry) == 'string' and string.match(entry, '^1[ABT](%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d)')
    if standing and standing <= '18446744073709551615' then
        return standing
    end
end

