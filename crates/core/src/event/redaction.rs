//! Text that a client chose, without the keys in it.
//!
//! People put keys into paths and user agents, and escape them. So the text is searched in every form that decoding gives
//! it, and what was found is hidden in the form that was written. Must never show a whole key, not even a short one.

use percent_encoding::percent_decode;

use super::{PATH_CHARACTERS_MAX, USER_AGENT_CHARACTERS_MAX, printable};

/// The most bytes of a text that are looked at; the rest is dropped.
const SEARCHED_BYTES_MAX: usize = 8 * 1024;
/// How often a text is decoded, for keys that were escaped more than once.
const DECODINGS_MAX: usize = 3;
/// What one byte can grow to when it is escaped [`DECODINGS_MAX`] times, each character anew.
const ESCAPED_BYTES_MAX: usize = 27;
/// How many characters of a hidden run stay, so that operators can tell one from another.
const SHOWN_CHARACTERS: usize = 4;
/// A shorter run is hidden whole.
const SHOWN_OF_CHARACTERS_MIN: usize = 11;
/// How many characters behind `sk-` make it a key.
const KEY_CHARACTERS_MIN: usize = 8;
/// In lower case.
const KEY_PREFIX: &[u8] = b"sk-";
/// A run of letters and digits this long is a secret, whatever it is called.
const SECRET_CHARACTERS_MIN: usize = 32;
/// A part of the presented key that is shorter than this may be any word.
const KEY_PART_CHARACTERS_MIN: usize = 4;

/// `text` as [`printable`] gives it, with `…` in the place of every key: of `presented` (with and without `sk-`, without regard
/// to case), of whatever follows `sk-`, and of long runs that mix letters and digits. The first characters of long ones stay.
pub fn printable_without_keys(text: &[u8], characters_max: usize, presented: Option<&str>) -> String {
    if let Some(text) = harmless(text, characters_max, presented.unwrap_or_default()) {
        return text.to_owned();
    }
    searched(text, characters_max, presented)
}

/// The text itself, if one look at it shows that there is nothing to hide, to escape or to cut: true of nearly all.
fn harmless<'t>(text: &'t [u8], characters_max: usize, presented: &str) -> Option<&'t str> {
    if text.len() > characters_max.min(SEARCHED_BYTES_MAX) {
        return None;
    }
    let (mut run, mut longest) = (0, 0);
    for byte in text {
        if !matches!(byte, b' '..=b'~') || *byte == b'%' {
            return None;
        }
        run = if is_key_byte(*byte) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let is_long = longest >= SECRET_CHARACTERS_MIN;
    let may_be_key = longest >= KEY_PREFIX.len() + KEY_CHARACTERS_MIN
        && text
            .windows(KEY_PREFIX.len())
            .any(|window| window.eq_ignore_ascii_case(KEY_PREFIX));
    // The presented key and its parts have the shortest of them in common. One of key bytes alone lies within a run.
    let (stem, head) = parts(presented);
    let shortest = [head, stem]
        .into_iter()
        .find(|part| part.len() >= KEY_PART_CHARACTERS_MIN);
    let shortest = shortest.unwrap_or(presented);
    let may_hold = !shortest.is_empty() && (shortest.len() <= longest || !shortest.bytes().all(is_key_byte));
    if is_long || may_be_key || may_hold {
        return None;
    }
    std::str::from_utf8(text).ok()
}

fn searched(text: &[u8], characters_max: usize, presented: Option<&str>) -> String {
    let presented = presented.unwrap_or_default().to_ascii_lowercase();
    let searched = &text[..text.len().min(SEARCHED_BYTES_MAX)];
    let mut hidden = vec![false; searched.len()];
    if searched.len() < text.len() {
        // A key may go on behind the end, where nobody looks.
        let reach = presented.len().saturating_mul(ESCAPED_BYTES_MAX).max(1_024);
        hidden[searched.len().saturating_sub(reach)..].fill(true);
    }
    for form in forms(searched) {
        hide_keys(&form, &presented, &mut hidden);
    }
    let shown = printable(&without_hidden(searched, &hidden), characters_max);
    // Only a key that repeats itself, or one that is shorter than what stays of another, can still be there.
    if forms(shown.as_bytes()).any(|form| form.holds(&presented)) {
        return "…".to_owned();
    }
    shown
}

/// A path without its query and its parameters: cut at the first `?` or `;`, escaped ones included.
pub fn path_shown(path: &str, presented: Option<&str>) -> String {
    let path = path.as_bytes();
    let end = (0..path.len()).find(|at| is_separator(&path[*at..]));
    printable_without_keys(&path[..end.unwrap_or(path.len())], PATH_CHARACTERS_MAX, presented)
}

/// The client's name for itself.
pub fn user_agent_shown(value: &[u8], presented: Option<&str>) -> String {
    printable_without_keys(value, USER_AGENT_CHARACTERS_MAX, presented)
}

/// Whether `text` begins with a `?` or a `;`, escaped as often as one likes.
fn is_separator(text: &[u8]) -> bool {
    let Some(mut escaped) = text.strip_prefix(b"%") else {
        return matches!(text.first(), Some(b'?' | b';'));
    };
    while let Some(rest) = escaped.strip_prefix(b"25") {
        escaped = rest;
    }
    matches!(escaped, [b'3', b'f' | b'F' | b'b' | b'B', ..])
}

/// A text after some decodings: what is searched, and where each of its bytes was written.
struct Form {
    /// Each byte in lower case; 0 where it is no ASCII, so that this is text.
    folded: String,
    /// For each byte the first byte that stands for it in the text as written, and at the end the length of that.
    written: Vec<usize>,
}

/// The text as written, and decoded up to [`DECODINGS_MAX`] times.
fn forms(text: &[u8]) -> impl Iterator<Item = Form> {
    let first = Form {
        folded: folded(text),
        written: (0..=text.len()).collect(),
    };
    std::iter::successors(Some(first), Form::decoded).take(1 + DECODINGS_MAX)
}

fn folded(text: &[u8]) -> String {
    text.iter()
        .map(|byte| {
            if byte.is_ascii() {
                char::from(byte.to_ascii_lowercase())
            } else {
                '\0'
            }
        })
        .collect()
}

fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

impl Form {
    /// Decoded once more; none when there is nothing to decode.
    fn decoded(&self) -> Option<Self> {
        let text = self.folded.as_bytes();
        if !text.contains(&b'%') {
            return None;
        }
        let mut bytes = Vec::with_capacity(text.len());
        let mut written = Vec::with_capacity(self.written.len());
        let mut at = 0;
        while at < text.len() {
            let escape = text.get(at..at + 3).filter(|escape| is_escape(escape));
            let symbol = escape.unwrap_or(&text[at..=at]);
            bytes.extend(percent_decode(symbol));
            written.push(self.written[at]);
            at += symbol.len();
        }
        written.push(*self.written.last()?);
        let changed = bytes.len() < text.len();
        changed.then(|| Self {
            folded: folded(&bytes),
            written,
        })
    }

    /// Whether it contains the key, which is in lower case.
    fn holds(&self, key: &str) -> bool {
        !key.is_empty() && self.can_hold(key) && self.folded.contains(key)
    }

    /// Whether there is room for it: most texts are shorter than a key, and need no search.
    fn can_hold(&self, key: &str) -> bool {
        key.len() <= self.folded.len()
    }

    /// Marks the bytes from `start` to `end` as hidden, apart from the first few of a long run.
    fn hide(&self, start: usize, end: usize, hidden: &mut [bool]) {
        let shown = if end - start < SHOWN_OF_CHARACTERS_MIN {
            0
        } else {
            SHOWN_CHARACTERS
        };
        hidden[self.written[start + shown]..self.written[end]].fill(true);
    }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// What of the presented key is looked for, too: it without `sk-`, and the first part of that.
fn parts(presented: &str) -> (&str, &str) {
    let stem = match presented.get(..KEY_PREFIX.len()) {
        Some(prefix) if prefix.as_bytes().eq_ignore_ascii_case(KEY_PREFIX) => &presented[KEY_PREFIX.len()..],
        _ => presented,
    };
    (stem, stem.split('-').next().unwrap_or_default())
}

/// Hides what looks like a key, and `presented`, which is in lower case.
fn hide_keys(form: &Form, presented: &str, hidden: &mut [bool]) {
    let (stem, head) = parts(presented);
    let is_part = |part: &&str| part.len() >= KEY_PART_CHARACTERS_MIN;
    let parts = [stem, head].into_iter().filter(is_part);
    for key in std::iter::once(presented)
        .chain(parts)
        .filter(|key| !key.is_empty() && form.can_hold(key))
    {
        for (start, found) in form.folded.match_indices(key) {
            form.hide(start, start + found.len(), hidden);
        }
    }
    let mut start = 0;
    for run in form.folded.as_bytes().split(|byte| !is_key_byte(*byte)) {
        let end = start + run.len();
        let mixes = run.iter().any(u8::is_ascii_digit) && run.iter().any(u8::is_ascii_alphabetic);
        if mixes && run.len() >= SECRET_CHARACTERS_MIN {
            form.hide(start, end, hidden);
        } else if let Some(key) = run.windows(3).position(|window| window == b"sk-") {
            // A later one in the same run is hidden with it.
            if run.len() - key - 3 >= KEY_CHARACTERS_MIN {
                form.hide(start + key, end, hidden);
            }
        }
        start = end + 1;
    }
}

/// The text with one `…` in the place of each hidden stretch.
fn without_hidden(text: &[u8], hidden: &[bool]) -> Vec<u8> {
    let mut left = Vec::with_capacity(text.len());
    let mut was_hidden = false;
    for (byte, is_hidden) in text.iter().zip(hidden) {
        if !is_hidden {
            left.push(*byte);
        } else if !was_hidden {
            left.extend_from_slice("…".as_bytes());
        }
        was_hidden = *is_hidden;
    }
    left
}

#[cfg(test)]
mod tests;
