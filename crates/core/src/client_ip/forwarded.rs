//! `Forwarded` (RFC 7239), taken apart strictly: a line that is not exactly of its grammar names no hop that can be believed.

use super::parse_address;
use crate::network::ClientIp;

/// The addresses of the hops in one line, from the right. A hop that is hidden, unknown, or said in a way that leaves a choice is none.
pub(super) fn hops(line: &str) -> Vec<Option<ClientIp>> {
    let Some(elements) = split(line, ',') else {
        return vec![None];
    };
    elements.into_iter().rev().map(hop).collect()
}

fn hop(element: &str) -> Option<ClientIp> {
    let mut found = None;
    for pair in split(element, ';')? {
        let (name, value) = pair.split_once('=')?;
        if !name.trim_matches([' ', '\t']).eq_ignore_ascii_case("for") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(unquoted(value.trim_matches([' ', '\t']))?);
    }
    parse_address(found?)
}

/// The text between the quotes, where there are any; none where it has escapes, which no address needs.
fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        None => (!value.contains('"')).then_some(value),
        Some(rest) => rest.strip_suffix('"').filter(|text| !text.contains(['"', '\\'])),
    }
}

/// Splits at a separator outside of quotes; none where the quotes do not close.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(&text[start..index]);
                start = index + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        hops(line)
            .into_iter()
            .map(|hop| hop.map_or("-".to_owned(), |address| address.to_string()))
            .collect()
    }

    #[test]
    fn hops_come_from_the_right() {
        assert_eq!(
            shown("for=192.0.2.43, FOR=198.51.100.17;by=203.0.113.60;proto=http"),
            ["198.51.100.17", "192.0.2.43"]
        );
        assert_eq!(shown("for=\"[2001:db8::1]:4711\""), ["2001:db8::1"]);
        assert_eq!(shown("for=\"192.0.2.43:47011\""), ["192.0.2.43"]);
        assert_eq!(
            shown("proto=\"a,b;for=6.6.6.6\";for=192.0.2.1"),
            ["192.0.2.1"],
            "quoted text is no structure"
        );
    }

    #[test]
    fn what_cannot_be_believed_is_no_hop() {
        for line in [
            "",
            "for=unknown",
            "for=_hidden",
            "for=",
            "by=192.0.2.1",
            "for=192.0.2.1;for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=\"192.0.2.\\1\"",
            "192.0.2.1",
            "for",
            "for=\"2001:db8::1",
            ",",
        ] {
            assert!(shown(line).contains(&"-".to_owned()), "{line} {:?}", shown(line));
        }
    }
}
