//! HMAC-SHA256, which all signatures of this crate are made of. Must never compare: that is for `subtle`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Over the parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
