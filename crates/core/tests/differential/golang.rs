//! Go's `net/http`, `net/url` and `strings`, as far as gateways use them to find a key.

use crate::request::Request;

/// `Header.Get`: the first value, or nothing.
pub(crate) fn header(request: &Request, name: &str) -> String {
    request.values(name).next().unwrap_or_default()
}

/// `Request.URL.Path`: decoded once; none when an escape is broken, which is answered 400.
pub(crate) fn path(request: &Request) -> Option<String> {
    unescape(&request.path, false)
}

/// `URL.Query().Get`: pairs with a broken escape or a semicolon do not count; the first one wins.
pub(crate) fn query(request: &Request, name: &str) -> String {
    for pair in request.query.as_deref().unwrap_or_default().split('&') {
        if pair.is_empty() || pair.contains(';') {
            continue;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(key), Some(value)) = (unescape(key, true), unescape(value, true)) else {
            continue;
        };
        if key == name {
            return value;
        }
    }
    String::new()
}

/// `strings.TrimPrefix`.
pub(crate) fn trim_prefix<'t>(text: &'t str, prefix: &str) -> &'t str {
    text.strip_prefix(prefix).unwrap_or(text)
}

fn unescape(text: &str, is_query: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                at += 3;
            }
            b'+' if is_query => {
                decoded.push(b' ');
                at += 1;
            }
            byte => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}
