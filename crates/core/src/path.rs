//! A request's path, read in every way in which a gateway might read it.
//!
//! Gateways decode percent escapes, some collapse slashes and resolve dots before they route. A rule about a path that
//! looks at one spelling only can be walked around with another, so each rule is asked of all readings. Nothing here
//! changes the path that is forwarded.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The most readings that one path has: as written, decoded, and decoded and cleaned.
pub const READINGS_MAX: usize = 3;

/// The readings of one path. A path of plain characters has one, and making that allocates nothing.
#[derive(Clone, Debug)]
pub struct RequestPath<'r> {
    written: &'r str,
    decoded: Option<Box<[u8]>>,
    cleaned: Option<Box<[u8]>>,
}

impl<'r> RequestPath<'r> {
    /// Reads the path of a request's target, without its query.
    pub fn new(written: &'r str) -> Self {
        if is_plain(written.as_bytes()) {
            return Self {
                written,
                decoded: None,
                cleaned: None,
            };
        }
        let decoded: Cow<'_, [u8]> = percent_decode(written.as_bytes()).into();
        let cleaned = clean(&decoded);
        let differs = |reading: &[u8], others: &[&[u8]]| others.iter().all(|other| *other != reading);
        let cleaned = differs(&cleaned, &[written.as_bytes(), &decoded]).then(|| cleaned.into_boxed_slice());
        let decoded =
            differs(&decoded, &[written.as_bytes()]).then(|| decoded.into_owned().into_boxed_slice());
        Self {
            written,
            decoded,
            cleaned,
        }
    }

    /// The path as the client wrote it.
    pub fn as_written(&self) -> &'r str {
        self.written
    }

    /// All readings, at least one and at most [`READINGS_MAX`].
    pub fn readings(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.written.as_bytes())
            .chain(self.decoded.as_deref())
            .chain(self.cleaned.as_deref())
    }
}

/// Whether the path can be read in one way only.
fn is_plain(path: &[u8]) -> bool {
    let no_escape = path.iter().all(|byte| !matches!(byte, b'%' | b'\\' | b';'));
    no_escape && path.windows(2).all(|pair| !matches!(pair, b"//" | b"/."))
}

/// Back slashes turned, path parameters (`;…`) cut, slashes collapsed, dot segments resolved; always absolute.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        match name {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut cleaned = Vec::with_capacity(path.len() + 1);
    for segment in segments {
        cleaned.push(b'/');
        cleaned.extend_from_slice(segment);
    }
    // What ends in a slash, or in a segment that stands for the one above it, is a folder.
    let last = path
        .rsplit(|byte| matches!(byte, b'/' | b'\\'))
        .next()
        .unwrap_or_default();
    if cleaned.is_empty() || matches!(last, b"" | b"." | b"..") {
        cleaned.push(b'/');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Vec<String> {
        RequestPath::new(path)
            .readings()
            .map(|reading| String::from_utf8_lossy(reading).into_owned())
            .collect()
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        for path in [
            "/v1/chat/completions",
            "/",
            "",
            "*",
            "/v1beta/models/gemini-2.5-pro:generateContent",
        ] {
            assert_eq!(readings(path), [path]);
        }
    }

    #[test]
    fn another_spelling_is_seen_through() {
        assert_eq!(readings("/v1/mess%61ges"), ["/v1/mess%61ges", "/v1/messages"]);
        assert_eq!(readings("//v1/models"), ["//v1/models", "/v1/models"]);
        assert_eq!(readings("/x/../v1/models"), ["/x/../v1/models", "/v1/models"]);
        assert_eq!(
            readings("/x/%2e%2e/v1/models"),
            ["/x/%2e%2e/v1/models", "/x/../v1/models", "/v1/models"]
        );
        assert_eq!(readings("/v1;a=b/models"), ["/v1;a=b/models", "/v1/models"]);
        assert_eq!(
            readings("/v1%3Ba/models").last().map(String::as_str),
            Some("/v1/models")
        );
        assert_eq!(readings("\\v1\\models"), ["\\v1\\models", "/v1/models"]);
        assert_eq!(readings("/.."), ["/..", "/"]);
        assert_eq!(readings("\\v1\\"), ["\\v1\\", "/v1/"]);
        assert_eq!(readings("/v1/."), ["/v1/.", "/v1/"]);
        assert_eq!(readings("/v1/x/.."), ["/v1/x/..", "/v1/"]);
    }

    #[test]
    fn there_are_never_more_readings_than_the_bound() {
        for path in ["/%2e%2e//x;y/", "/%", "/%zz//", "/%ff/.", "//"] {
            assert!(readings(path).len() <= READINGS_MAX, "{path}");
        }
    }
}
