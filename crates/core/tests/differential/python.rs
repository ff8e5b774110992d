//! Starlette's requests and Python's own functions, as far as gateways use them to find a key.

use crate::request::Request;

/// `headers.get`: the first value.
pub(crate) fn header(request: &Request, name: &str) -> Option<String> {
    request.values(name).next()
}

/// `scope["path"]`: decoded once, broken escapes as they are.
pub(crate) fn path(request: &Request) -> String {
    unquote(&request.path)
}

/// `query_params.get`: what `parse_qsl` makes of it; the last one wins.
pub(crate) fn query(request: &Request, name: &str) -> Option<String> {
    let mut pairs = request.query.as_deref().unwrap_or_default().rsplit('&');
    pairs.find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| unquote(&text.replace('+', " "));
        (plain(key) == name).then(|| plain(value))
    })
}

/// `base64.b64decode` without `validate`, then `decode("utf-8")`: what is not of the alphabet is passed over.
pub(crate) fn decode_base64(text: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut decoded, mut bits, mut count, mut padding) = (Vec::new(), 0_u32, 0_usize, 0_usize);
    for byte in text.bytes() {
        if byte == b'=' {
            padding += 1;
            // A complete group ends what is read.
            if count >= 2 && count + padding >= 4 {
                return String::from_utf8(decoded).ok();
            }
            continue;
        }
        let Some(value) = ALPHABET.iter().position(|known| *known == byte) else {
            continue;
        };
        padding = 0;
        bits = (bits << 6) | u32::try_from(value).expect("below 64");
        count += 1;
        match count {
            2 => decoded.push(u8::try_from((bits >> 4) & 0xff).expect("masked")),
            3 => decoded.push(u8::try_from((bits >> 2) & 0xff).expect("masked")),
            4 => {
                decoded.push(u8::try_from(bits & 0xff).expect("masked"));
                (bits, count) = (0, 0);
            }
            _ => {}
        }
    }
    (count == 0).then(|| String::from_utf8(decoded).ok()).flatten()
}

fn unquote(text: &str) -> String {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    String::from_utf8_lossy(&decoded).into_owned()
}
