//! The header lines of a request, as they came, without a copy: what the domain reads addresses and credentials from.
//!
//! Names are compared without regard to case, lines keep their order. Nothing in here changes a line.

use http::header::HeaderName;

/// The largest head that can be addressed, in bytes.
pub const HEAD_BYTES_MAX: usize = u32::MAX as usize;

/// Where one line's name and value lie in the bytes of its head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderSpan {
    name_start: u32,
    name_length: u32,
    value_start: u32,
    value_length: u32,
}

impl HeaderSpan {
    /// The span of a name and a value that are both parts of `head`; none when they are not, or `head` is too large.
    pub fn within(head: &[u8], name: &[u8], value: &[u8]) -> Option<Self> {
        let (name_start, name_length) = part_of(head, name)?;
        let (value_start, value_length) = part_of(head, value)?;
        Some(Self {
            name_start,
            name_length,
            value_start,
            value_length,
        })
    }
}

fn part_of(head: &[u8], part: &[u8]) -> Option<(u32, u32)> {
    if part.is_empty() {
        return Some((0, 0));
    }
    let start = (part.as_ptr() as usize).checked_sub(head.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    if end > head.len() {
        return None;
    }
    Some((u32::try_from(start).ok()?, u32::try_from(part.len()).ok()?))
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLine<'h> {
    /// The name, as the client spelled it.
    pub name: &'h [u8],
    /// The value, without the white space around it.
    pub value: &'h [u8],
}

impl<'h> HeaderLine<'h> {
    /// Whether the line has this name.
    pub fn is(&self, name: &HeaderName) -> bool {
        self.name.eq_ignore_ascii_case(name.as_str().as_bytes())
    }

    /// The value as text; none unless it is visible ASCII, spaces and tabs.
    pub fn text(&self) -> Option<&'h str> {
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        std::str::from_utf8(self.value)
            .ok()
            .filter(|_| self.value.iter().all(is_text))
    }
}

/// All lines of one head.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderLines<'h> {
    head: &'h [u8],
    spans: &'h [HeaderSpan],
}

impl<'h> HeaderLines<'h> {
    /// The lines that `spans` point out in `head`.
    pub fn new(head: &'h [u8], spans: &'h [HeaderSpan]) -> Self {
        Self { head, spans }
    }

    /// The lines in their order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = HeaderLine<'h>> {
        let part = move |start: u32, length: u32| {
            let start = start as usize;
            self.head.get(start..start + length as usize).unwrap_or_default()
        };
        self.spans.iter().map(move |span| HeaderLine {
            name: part(span.name_start, span.name_length),
            value: part(span.value_start, span.value_length),
        })
    }

    /// The lines with this name, in their order.
    pub fn all(self, name: &HeaderName) -> impl DoubleEndedIterator<Item = HeaderLine<'h>> {
        self.iter().filter(move |line| line.is(name))
    }

    /// The first line with this name.
    pub fn first(self, name: &HeaderName) -> Option<HeaderLine<'h>> {
        self.all(name).next()
    }
}

/// A head of its own, for tests and for requests that did not come as text.
#[derive(Clone, Debug, Default)]
pub struct OwnedHeaderLines {
    head: Vec<u8>,
    spans: Vec<HeaderSpan>,
}

impl OwnedHeaderLines {
    /// Adds a line; false when the head would be too large for it.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> bool {
        let start = self.head.len();
        let Ok(end) = u32::try_from(start + name.len() + value.len()) else {
            return false;
        };
        self.head.extend_from_slice(name);
        self.head.extend_from_slice(value);
        let value_length = u32::try_from(value.len()).unwrap_or_default();
        let name_length = u32::try_from(name.len()).unwrap_or_default();
        self.spans.push(HeaderSpan {
            name_start: end - value_length - name_length,
            name_length,
            value_start: end - value_length,
            value_length,
        });
        true
    }

    /// The lines.
    pub fn lines(&self) -> HeaderLines<'_> {
        HeaderLines::new(&self.head, &self.spans)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for OwnedHeaderLines {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut owned = Self::default();
        for (name, value) in lines {
            owned.push(name.as_ref(), value.as_ref());
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_name_without_regard_to_case() {
        let owned: OwnedHeaderLines = [("X-One", "1"), ("accept", "a"), ("x-ONE", "2")]
            .into_iter()
            .collect();
        let values: Vec<&[u8]> = owned
            .lines()
            .all(&HeaderName::from_static("x-one"))
            .map(|line| line.value)
            .collect();
        assert_eq!(values, [b"1", b"2"]);
        assert!(owned.lines().first(&HeaderName::from_static("host")).is_none());
    }

    #[test]
    fn spans_point_into_their_own_head_only() {
        let head = b"name: value".to_vec();
        let span = HeaderSpan::within(&head, &head[..4], &head[6..]).expect("parts of it");
        let spans = [span];
        let line = HeaderLines::new(&head, &spans).iter().next().expect("a line");
        assert_eq!((line.name, line.value), (&b"name"[..], &b"value"[..]));
        assert!(HeaderSpan::within(&head[..3], &head[..4], b"").is_none());
        assert!(HeaderSpan::within(&head, &[0][..], b"").is_none() || head.len() > HEAD_BYTES_MAX);
        assert!(
            HeaderLines::new(&head[..2], &spans)
                .iter()
                .all(|line| line.name.is_empty()),
            "never out of bounds"
        );
    }

    #[test]
    fn text_is_visible_ascii() {
        let owned: OwnedHeaderLines = [(&b"a"[..], &b"x y\tz"[..]), (b"b", b"\xe9"), (b"c", b"\x01")]
            .into_iter()
            .collect();
        let texts: Vec<Option<&str>> = owned.lines().iter().map(|line| line.text()).collect();
        assert_eq!(texts, [Some("x y\tz"), None, None]);
    }
}
