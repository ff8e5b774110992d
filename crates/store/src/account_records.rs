//! What of an account is one column, in one form for every store.

use sentinel_core::account::SecretDigest;

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
}
