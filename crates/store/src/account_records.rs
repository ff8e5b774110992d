//! What of an account is one column, in one form for every store.

use sentinel_core::account::SecretDigest;
use sentinel_core::account::external::ExternalIdentity;

const DIGEST_BYTES: usize = 32;

/// Recovery codes' digests, one after the other.
pub(crate) fn join_digests(digests: &[SecretDigest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| *digest.as_bytes()).collect()
}

/// The digests again; none when the bytes are not a whole number of them.
pub(crate) fn split_digests(bytes: &[u8]) -> Option<Vec<SecretDigest>> {
    let (digests, []) = bytes.as_chunks::<DIGEST_BYTES>() else {
        return None;
    };
    Some(digests.iter().copied().map(SecretDigest::from_bytes).collect())
}

/// Who an administrator is at a provider, out of two columns that are both there or neither.
pub(crate) fn external(issuer: Option<&str>, subject: Option<&str>) -> Result<Option<ExternalIdentity>, ()> {
    match (issuer, subject) {
        (None, None) => Ok(None),
        (Some(issuer), Some(subject)) => ExternalIdentity::new(issuer, subject).map(Some).ok_or(()),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_come_back() {
        let digests = [SecretDigest::of(b"1"), SecretDigest::of(b"2")];
        assert_eq!(
            split_digests(&join_digests(&digests)).as_deref(),
            Some(&digests[..])
        );
        assert_eq!(split_digests(&[]), Some(Vec::new()));
        assert_eq!(split_digests(&[0; DIGEST_BYTES + 1]), None);
    }

    #[test]
    fn an_identity_is_whole_or_none() {
        assert_eq!(external(None, None), Ok(None));
        let found = external(Some("https://id.example"), Some("7"));
        assert_eq!(found.map(|found| found.is_some()), Ok(true));
        for broken in [
            (Some("https://id.example"), None),
            (None, Some("7")),
            (Some(""), Some("7")),
        ] {
            assert_eq!(external(broken.0, broken.1), Err(()));
        }
    }
}
