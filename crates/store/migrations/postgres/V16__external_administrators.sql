-- Who an administrator is at the provider of identities that vouches for it; null for those that were added here.
ALTER TABLE administrators
    ADD COLUMN issuer  text,
    ADD COLUMN subject text,
    ADD CONSTRAINT administrators_identity CHECK ((issuer IS NULL) = (subject IS NULL));
CREATE UNIQUE INDEX administrators_by_identity ON administrators (issuer, subject) WHERE issuer IS NOT NULL;
