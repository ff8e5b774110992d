//! Finds addresses in text, and writes the networks that they lie in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentinel_core::network::{ClientIp, Network};

/// How much of an address is shown: IPv4, IPv6.
const PREFIXES: (u8, u8) = (24, 48);
/// The longest run of characters that can hold an address, in bytes: what is longer is none.
pub(super) const ADDRESS_BYTES_MAX: usize = 128;

/// Masks a text that comes in pieces.
#[derive(Default)]
pub(super) struct Masker {
    /// The end of the last piece, as it may be the beginning of an address.
    held: Vec<u8>,
}

impl Masker {
    /// The text up to where an address may still go on.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let open = open_end(&text);
        self.held = text.split_off(open);
        masked(&text)
    }

    /// The rest.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        masked(&std::mem::take(&mut self.held))
    }
}

/// Whether this value of a query names an address, or a network that is narrower than what is shown.
pub(super) fn is_narrower(value: &str) -> bool {
    masked(value.as_bytes()) != value.as_bytes()
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b'.' || byte == b':'
}

/// Where the last run begins that reaches the end of the text, its prefix length included; at the end when it is too long for an address.
fn open_end(text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(ADDRESS_BYTES_MAX)..];
    let run = tail
        .iter()
        .rev()
        .take_while(|byte| is_of_address(**byte) || **byte == b'/')
        .count();
    if run == ADDRESS_BYTES_MAX {
        text.len()
    } else {
        text.len() - run
    }
}

fn masked(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.iter().take_while(|byte| !is_of_address(**byte)).count();
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let run = rest.iter().take_while(|byte| is_of_address(**byte)).count();
        let (candidate, after) = rest.split_at(run);
        let digits = prefix_digits(after);
        let prefix = &after[..digits];
        if let Some((written, with_prefix)) = mask_run(candidate, prefix) {
            out.extend_from_slice(written.as_bytes());
            rest = &after[if with_prefix { digits } else { 0 }..];
        } else {
            out.extend_from_slice(candidate);
            rest = after;
        }
    }
    out
}

/// The length of `/24` at the beginning of a text; none when more digits follow than a prefix has.
fn prefix_digits(text: &[u8]) -> usize {
    if text.first() != Some(&b'/') {
        return 0;
    }
    let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=3).contains(&digits) { digits + 1 } else { 0 }
}

/// What to write in place of a run with an address in it, and whether its prefix length is in that already.
fn mask_run(run: &[u8], prefix: &[u8]) -> Option<(String, bool)> {
    let run = std::str::from_utf8(run)
        .ok()
        .filter(|run| run.len() <= ADDRESS_BYTES_MAX)?;
    if !run.contains(':') && run.matches('.').count() < 3 {
        return None;
    }
    let (first, last, address) = find(run)?;
    // A prefix length belongs to the address that it stands behind.
    let prefix = std::str::from_utf8(prefix).ok().filter(|_| last == run.len());
    let length = prefix.and_then(|prefix| prefix.strip_prefix('/')?.parse::<u8>().ok());
    let shown = shown(address, length);
    let before = &run[..first];
    // What stands behind it may hold another one.
    let behind = &run[last..];
    let behind = mask_run(behind.as_bytes(), b"").map_or(behind.to_owned(), |(text, _)| text);
    Some((format!("{before}{shown}{behind}"), length.is_some()))
}

/// The first and longest address in a run, and where it stands.
fn find(run: &str) -> Option<(usize, usize, IpAddr)> {
    let starts = edges(run, true);
    let ends = edges(run, false);
    for first in starts {
        for last in ends.iter().rev().copied().filter(|last| *last > first) {
            if let Some(address) = parse(&run[first..last]) {
                return Some((first, last, address));
            }
        }
    }
    None
}

/// Where an address can begin or end: at the ends of the run, and beside each of its separators.
fn edges(run: &str, is_start: bool) -> Vec<usize> {
    let mut edges = vec![if is_start { 0 } else { run.len() }];
    for (at, separator) in run.match_indices([':', '.']) {
        edges.push(at);
        edges.push(at + separator.len());
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn parse(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    }
}

/// The network in place of the address; `::` stays, as it stands for no one.
fn shown(address: IpAddr, length: Option<u8>) -> String {
    if address.is_unspecified() && length.is_none() {
        return address.to_string();
    }
    let address = ClientIp::new(address);
    let (ipv4, ipv6) = PREFIXES;
    let wide = |shown: u8| length.map_or(shown, |length| length.min(shown));
    Network::widen(address, wide(ipv4), wide(ipv6)).to_string()
}
