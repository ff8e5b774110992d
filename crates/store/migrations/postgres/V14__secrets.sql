-- Under which secret the row's key was hashed; NULL for rows that are older than the mark.
ALTER TABLE bindings ADD COLUMN secret bigint;
