-- What was changed in the settings, by the version that each change made. before, after and snapshot are JSON objects: by name, the value's JSON
-- as a text, or null where nothing was stored. snapshot is what was stored afterwards. None of them holds what belongs to Sentinel itself.
CREATE TABLE setting_changes (
    version   INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    client_ip TEXT,
    before    TEXT    NOT NULL CHECK (json_valid(before)),
    after     TEXT    NOT NULL CHECK (json_valid(after)),
    snapshot  TEXT    NOT NULL CHECK (json_valid(snapshot))
) STRICT;

-- Where the history begins, so that there is a way back to it.
INSERT INTO setting_changes (version, at, actor, before, after, snapshot)
    SELECT value, (SELECT coalesce(max(updated_at), 0) FROM settings), 'system', '{}', '{}',
           (SELECT json_group_object(name, value) FROM settings WHERE name NOT LIKE 'internal.%')
    FROM settings_version WHERE value > 0;
