//! Finds addresses in text, and writes the networks that they lie in.
//!
//! Anybody can put any text into an answer, so it is read from left to right, a bounded number of bytes at each place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentinel_core::network::{ClientIp, Network};

/// How much of an address is shown: IPv4, IPv6.
const PREFIXES: (u8, u8) = (24, 48);
/// The longest address with its prefix length, in bytes: an IPv4 address in an IPv6 one, and `/128`.
pub(super) const ADDRESS_BYTES_MAX: usize = 45 + 4;
const GROUPS: usize = 8;

/// Masks a text that comes in pieces.
#[derive(Default)]
pub(super) struct Masker {
    /// The end of the last piece, as it may be the beginning of an address.
    held: Vec<u8>,
    /// What stood before it.
    before: Option<u8>,
}

impl Masker {
    /// The text up to where an address may still go on.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let goes_on = |byte: &&u8| is_of_address(**byte) || **byte == b'/';
        let last = self.held.iter().rev().take(ADDRESS_BYTES_MAX);
        let open = last.take_while(goes_on).count();
        self.mask(self.held.len() - open)
    }

    /// The rest.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.mask(self.held.len())
    }

    /// Masks what begins before `end`.
    fn mask(&mut self, end: usize) -> Vec<u8> {
        let text = std::mem::take(&mut self.held);
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < end {
            let rest = &text[at..];
            if let Some(found) = address_at(self.before, rest) {
                out.extend_from_slice(found.shown.as_bytes());
                at += found.length;
            } else {
                out.push(rest[0]);
                at += 1;
            }
            self.before = Some(text[at - 1]);
        }
        self.held = text[at..].to_vec();
        out
    }
}

/// Whether this value of a query names an address, or a network that is narrower than what is shown.
pub(super) fn is_narrower(value: &str) -> bool {
    let mut masker = Masker::default();
    let mut masked = masker.take(value.as_bytes());
    masked.extend(masker.finish());
    masked != value.as_bytes()
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || is_separator(byte)
}

fn is_separator(byte: u8) -> bool {
    byte == b'.' || byte == b':'
}

/// An address, with the prefix length behind it if there is one.
struct Found {
    length: usize,
    shown: String,
}

/// The longest address that begins a text. One begins behind what belongs to none, or beside a separator.
fn address_at(before: Option<u8>, text: &[u8]) -> Option<Found> {
    let first = *text.first().filter(|byte| is_of_address(**byte))?;
    let is_edge = before.is_none_or(|before| !is_of_address(before) || is_separator(before));
    if !is_edge && !is_separator(first) {
        return None;
    }
    let ipv6 = ipv6_at(text).map(|(address, length)| (IpAddr::V6(address), length));
    let ipv4 = || ipv4_at(text).map(|(address, length)| (IpAddr::V4(address), length));
    let (address, length) = ipv6.or_else(ipv4)?;
    let (prefix, digits) = prefix_at(&text[length..]).unzip();
    if prefix.is_none() && (is_nobodys(address) || is_version(before, address)) {
        return None;
    }
    Some(Found {
        length: length + digits.unwrap_or(0),
        shown: shown(address, prefix),
    })
}

/// Whether no machine but this one has it.
fn is_nobodys(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

/// Whether it is the version of a program, as browsers write theirs: `Chrome/120.0.0.0`. Nothing of it would be hidden.
fn is_version(before: Option<u8>, address: IpAddr) -> bool {
    before == Some(b'/') && matches!(address, IpAddr::V4(address) if address.octets()[1..] == [0, 0, 0])
}

/// The longest IPv6 address that begins a text (RFC 4291, section 2.2), and its length.
fn ipv6_at(text: &[u8]) -> Option<(Ipv6Addr, usize)> {
    let (mut at, mut groups, mut has_gap, mut longest) = (0, 0, false, None);
    if text.starts_with(b"::") {
        (at, has_gap, longest) = (2, true, Some(2));
    }
    loop {
        // With a gap, at least one group has to be left for it.
        let room = GROUPS - usize::from(has_gap) - groups;
        if let Some((_, length)) = ipv4_at(&text[at..])
            && (room == 2 || has_gap && room > 2)
        {
            longest = Some(at + length);
            break;
        }
        let Some(length) = group_at(&text[at..]).filter(|_| room > 0) else {
            break;
        };
        at += length;
        groups += 1;
        if has_gap || groups == GROUPS {
            longest = Some(at);
        }
        let rest = &text[at..];
        if rest.starts_with(b"::") && !has_gap && groups < GROUPS {
            at += 2;
            (has_gap, longest) = (true, Some(at));
        } else if rest.first() == Some(&b':') {
            at += 1;
        } else {
            break;
        }
    }
    let length = longest?;
    let address = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((address, length))
}

/// The length of one to four hexadecimal digits.
fn group_at(text: &[u8]) -> Option<usize> {
    let digits = text
        .iter()
        .take(5)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    (1..=4).contains(&digits).then_some(digits)
}

/// The IPv4 address that begins a text, and its length.
fn ipv4_at(text: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let mut octets = [0; 4];
    let mut at = 0;
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            text.get(at).filter(|byte| **byte == b'.')?;
            at += 1;
        }
        let (value, digits) = number_at(&text[at..])?;
        *octet = value;
        at += digits;
    }
    let ends = text.get(at).is_none_or(|byte| !byte.is_ascii_hexdigit());
    ends.then_some((Ipv4Addr::from(octets), at))
}

/// The prefix length that begins a text, as `/24`, and how long that is; none when more digits follow than one has.
fn prefix_at(text: &[u8]) -> Option<(u8, usize)> {
    let (value, digits) = number_at(text.strip_prefix(b"/")?)?;
    Some((value, digits + 1))
}

/// A number below 256 in one to three digits, and how many they are.
fn number_at(text: &[u8]) -> Option<(u8, usize)> {
    let digits = text
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let value = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    (digits <= 3).then_some((value, digits))
}

/// The network in place of the address.
fn shown(address: IpAddr, length: Option<u8>) -> String {
    let address = ClientIp::new(address);
    let (ipv4, ipv6) = PREFIXES;
    let wide = |shown: u8| length.map_or(shown, |length| length.min(shown));
    Network::widen(address, wide(ipv4), wide(ipv6)).to_string()
}
