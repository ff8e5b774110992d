-- What was changed in the settings, by the version that each change made. before, after and snapshot are JSON objects: by name, the value's JSON
-- as a text, or null where nothing was stored. snapshot is what was stored afterwards. None of them holds what belongs to Sentinel itself.
CREATE TABLE setting_changes (
    version   bigint      PRIMARY KEY,
    at        timestamptz NOT NULL,
    actor     text        NOT NULL,
    client_ip inet,
    before    json        NOT NULL,
    after     json        NOT NULL,
    snapshot  json        NOT NULL
);

-- Where the history begins, so that there is a way back to it.
INSERT INTO setting_changes (version, at, actor, before, after, snapshot)
    SELECT value, (SELECT coalesce(max(updated_at), now()) FROM settings), 'system', '{}', '{}',
           (SELECT coalesce(json_object_agg(name, value::text), '{}') FROM settings WHERE name NOT LIKE 'internal.%')
    FROM settings_version WHERE value > 0;
