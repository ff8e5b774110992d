//! Frames: each entry of the log with its length and a checksum, so that what was torn or damaged is noticed, and where the next whole
//! entry begins is found again.
//!
//! A frame is its length (4 bytes, little endian), the CRC-32C of that length and the payload (4 bytes), and the payload.

/// The longest payload. Every text in a record is bounded, and far shorter all together.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// What a frame has in front of its payload.
pub(super) const HEAD_BYTES: usize = 8;
/// The longest frame.
pub(super) const FRAME_BYTES_MAX: usize = HEAD_BYTES + PAYLOAD_BYTES_MAX;

/// What the beginning of some bytes is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<'b> {
    /// A whole frame with this payload.
    Whole(&'b [u8]),
    /// The beginning of a frame, it seems.
    Cut,
    /// Nothing that was ever written in one piece.
    Damaged,
}

/// Adds a frame with what `write` writes; says whether it was short enough. If not, nothing is added.
pub(super) fn add(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    write(out);
    let payload = out.len() - start - HEAD_BYTES;
    if payload == 0 || payload > PAYLOAD_BYTES_MAX {
        out.truncate(start);
        return false;
    }
    let length = u32::try_from(payload).unwrap_or(u32::MAX).to_le_bytes();
    let checksum = checksum(length, &out[start + HEAD_BYTES..]).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + HEAD_BYTES].copy_from_slice(&checksum);
    true
}

/// What `bytes` begin with.
pub(super) fn look(bytes: &[u8]) -> Look<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Look::Cut;
    };
    let [a, b, c, d, checksum_bytes @ ..] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length == 0 || length > PAYLOAD_BYTES_MAX {
        return Look::Damaged;
    }
    match rest.get(..length) {
        None => Look::Cut,
        Some(payload) if checksum([a, b, c, d], payload) == u32::from_le_bytes(checksum_bytes) => {
            Look::Whole(payload)
        }
        Some(_) => Look::Damaged,
    }
}

/// Where in `bytes` the next whole frame begins. No text can pass for one: a length has zeros in it, which no text that is kept has.
pub(super) fn next_whole(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|start| matches!(look(&bytes[*start..]), Look::Whole(_)))
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(add(&mut out, |out| out.extend_from_slice(payload)));
        out
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_not_whole() {
        let whole = frame(b"one record");
        assert_eq!(look(&whole), Look::Whole(b"one record"));
        for end in 0..whole.len() {
            assert_eq!(look(&whole[..end]), Look::Cut, "{end}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed_and_the_next_frame_found() {
        let (first, second) = (frame(b"one record"), frame(b"another"));
        let both = [first.clone(), second].concat();
        for bit in 0..first.len() * 8 {
            let mut flipped = both.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(look(&flipped), Look::Whole(_)), "bit {bit}");
            assert_eq!(next_whole(&flipped), Some(first.len()), "bit {bit}");
        }
    }

    #[test]
    fn a_payload_has_a_maximum_and_is_never_empty() {
        let mut out = vec![1];
        assert!(!add(&mut out, |_| {}));
        assert!(!add(&mut out, |out| out
            .resize(1 + HEAD_BYTES + PAYLOAD_BYTES_MAX + 1, 7)));
        assert_eq!(out, [1]);
        assert_eq!(frame(&[7; PAYLOAD_BYTES_MAX]).len(), FRAME_BYTES_MAX);
        // What a file system leaves behind where nothing was written.
        assert_eq!(look(&[0; 64]), Look::Damaged);
        assert_eq!(next_whole(&[0; 64]), None);
    }
}
