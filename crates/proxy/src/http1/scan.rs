//! Where a head ends. Found in one pass over each byte, however slowly they come, and strict about line ends.

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// A whole head, of this many bytes.
    Complete(usize),
    /// The beginning of one.
    Partial,
    /// A line that ends in a line feed alone, which some parsers take for a line's end and others do not.
    BareLineFeed,
}

/// Looks for the end of a head in `bytes`, of which the first `seen` were looked at before.
pub(crate) fn find_end(bytes: &[u8], seen: usize) -> Scanned {
    let from = seen.min(bytes.len());
    for offset in memchr::memchr_iter(b'\n', &bytes[from..]) {
        let end = from + offset;
        if end == 0 || bytes[end - 1] != b'\r' {
            return Scanned::BareLineFeed;
        }
        if end >= 3 && bytes[end - 3..end] == *b"\r\n\r" {
            return Scanned::Complete(end + 1);
        }
    }
    Scanned::Partial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_the_bytes_were_cut() {
        let bytes = b"GET / HTTP/1.1\r\nhost: x\r\n\r\nbody";
        for cut in 0..bytes.len() {
            let first = find_end(&bytes[..cut], 0);
            if cut >= 27 {
                assert_eq!(first, Scanned::Complete(27));
            } else {
                assert_eq!(first, Scanned::Partial, "{cut}");
                assert_eq!(find_end(bytes, cut), Scanned::Complete(27), "{cut}");
            }
        }
    }

    #[test]
    fn a_bare_line_feed_is_no_line_end() {
        for bytes in [
            &b"\n"[..],
            b"GET / HTTP/1.1\n",
            b"GET / HTTP/1.1\r\nhost: x\n\r\n",
            b"GET / HTTP/1.1\r\n\n",
        ] {
            assert_eq!(find_end(bytes, 0), Scanned::BareLineFeed, "{bytes:?}");
        }
    }
}
