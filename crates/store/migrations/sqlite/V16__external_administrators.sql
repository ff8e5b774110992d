-- Who an administrator is at the provider of identities that vouches for it; null for those that were added here. What a provider calls
-- somebody is told apart by case.
ALTER TABLE administrators ADD COLUMN issuer TEXT;
ALTER TABLE administrators ADD COLUMN subject TEXT CHECK ((issuer IS NULL) = (subject IS NULL));
CREATE UNIQUE INDEX administrators_by_identity ON administrators (issuer, subject) WHERE issuer IS NOT NULL;
