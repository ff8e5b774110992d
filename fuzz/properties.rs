//! What must hold of the domain for any bytes at all. Each function panics where it does not. Shared by the fuzz targets and by an ordinary test that
//! runs them over the seeds.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderName;
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource, parse_address};
use sentinel_core::credential::{self, CredentialAmbiguous, CredentialFilter, Passage, PresentedKey};
use sentinel_core::header::{HeaderLines, OwnedHeaderLines};
use sentinel_core::network::PeerAddr;
use sentinel_core::path::{READINGS_MAX, RequestPath};
use sentinel_core::profile::{Carrier, PathRule, Profile};
use sentinel_core::proxy_protocol::{self, HEADER_BYTES_MAX};

/// A request as text: the target on the first line, a header on each further one.
struct Request<'t> {
    path: &'t str,
    query: Option<&'t str>,
    lines: OwnedHeaderLines,
}

/// None when no HTTP parser would let such a request through.
fn request(input: &[u8]) -> Option<Request<'_>> {
    let mut parts = input.split(|byte| *byte == b'\n');
    let target = std::str::from_utf8(parts.next()?).ok()?;
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    Some(Request {
        path,
        query,
        lines: lines(parts)?,
    })
}

fn lines<'t>(parts: impl Iterator<Item = &'t [u8]>) -> Option<OwnedHeaderLines> {
    let mut lines = OwnedHeaderLines::default();
    for part in parts.filter(|part| !part.is_empty()) {
        let colon = part.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&part[..colon], part[colon + 1..].trim_ascii());
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let is_value = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        if name.is_empty() || !name.iter().all(is_token) || !value.iter().all(is_value) {
            return None;
        }
        lines.push(name, value);
    }
    Some(lines)
}

/// Input: one header line each. Whoever is not trusted is taken at the socket's word; what a trusted proxy says is one address or none; what
/// stands left of the address that was found has no say.
pub(crate) fn client_ip(input: &[u8]) {
    let Some(found) = lines(input.split(|byte| *byte == b'\n')) else {
        return;
    };
    let peer = |last: u8| PeerAddr(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 1));
    let trusted =
        || ["10.0.0.1/32", "192.168.0.0/16", "fd00::/8"].map(|text| text.parse().expect("a network"));
    for header in ["x-real-ip", "x-forwarded-for", "forwarded", "cf-connecting-ip"] {
        let name = HeaderName::from_static(header);
        let rules = ClientIpRules::new(trusted(), ClientIpSource::from_header(name));
        let stranger = rules.resolve(peer(9), found.lines());
        assert_eq!(
            stranger.ok(),
            Some(peer(9).ip()),
            "a stranger's headers have no say"
        );
        let Ok(address) = rules.resolve(peer(1), found.lines()) else {
            continue;
        };
        assert_eq!(
            parse_address(&address.to_string()),
            Some(address),
            "one canonical form"
        );
        assert!(
            found
                .lines()
                .iter()
                .any(|line| line.name.eq_ignore_ascii_case(header.as_bytes())),
            "never guessed"
        );
        let is_list = matches!(header, "x-forwarded-for" | "forwarded");
        if is_list && !rules.is_trusted(address) {
            let mut longer = OwnedHeaderLines::default();
            longer.push(header.as_bytes(), b"nonsense, 6.6.6.6, for=6.6.6.6");
            for line in found.lines().iter() {
                longer.push(line.name, line.value);
            }
            assert_eq!(
                rules.resolve(peer(1), longer.lines()).ok(),
                Some(address),
                "what a client writes in front has no say"
            );
        }
    }
}

/// Input: a target, then header lines. For every profile: what is forwarded reads to the same key, from wherever the gateway may look, and to no other.
pub(crate) fn credential(input: &[u8]) {
    let Some(request) = request(input) else { return };
    for name in Profile::BUILT_IN {
        let profile = Profile::built_in(name).expect("built in");
        for is_websocket in [false, true] {
            differential(&profile, &request, is_websocket);
        }
    }
}

fn differential(profile: &Profile, request: &Request<'_>, is_websocket: bool) {
    let path = RequestPath::new(request.path);
    let Ok(found) = credential::read(profile, &path, request.query, request.lines.lines()) else {
        return;
    };
    let carrier = found.as_ref().map(PresentedKey::carrier);
    let key = found.as_ref().map(|key| key.key().expose().to_owned());
    let filter = CredentialFilter::new(profile, carrier, is_websocket);
    let lines = forwarded(&filter, request.lines.lines());
    let query = request
        .query
        .map(|query| filter.query(&path, query).unwrap_or_else(|| query.to_owned()));
    let again = read(profile, &path, query.as_deref(), lines.lines());
    assert_eq!(
        again,
        Ok(key.clone()),
        "{}: what is forwarded reads to the same key",
        profile.name
    );
    let applies = |carrier: &&Carrier| path.readings().any(|reading| carrier.applies(reading));
    for other in profile.carriers.iter().filter(applies) {
        let alone = only(profile, other);
        let read = read(&alone, &path, query.as_deref(), lines.lines());
        assert!(
            matches!(&read, Ok(None)) || read == Ok(key.clone()),
            "{}: another credential goes on in {other:?}",
            profile.name
        );
    }
}

/// The profile with one place to look in, whatever the path.
fn only(profile: &Profile, carrier: &Carrier) -> Profile {
    let carrier = Carrier {
        place: carrier.place.clone(),
        paths: Cow::Owned(vec![PathRule::Any]),
    };
    Profile {
        carriers: Cow::Owned(vec![carrier]),
        ..profile.clone()
    }
}

fn read(
    profile: &Profile,
    path: &RequestPath<'_>,
    query: Option<&str>,
    lines: HeaderLines<'_>,
) -> Result<Option<String>, CredentialAmbiguous> {
    let key = credential::read(profile, path, query, lines)?;
    Ok(key.map(|key| key.key().expose().to_owned()))
}

/// The lines that go on.
fn forwarded(filter: &CredentialFilter<'_>, lines: HeaderLines<'_>) -> OwnedHeaderLines {
    let mut kept = OwnedHeaderLines::default();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for line in lines.iter() {
        let name = line.name.to_ascii_lowercase();
        if filter.passage(line, seen.contains(&name)) == Passage::Whole {
            kept.push(line.name, line.value);
        }
        seen.push(name);
    }
    if let Some(protocols) = filter.websocket_protocols(lines) {
        kept.push(b"sec-websocket-protocol", protocols.as_bytes());
    }
    kept
}

/// Input: a path. Its readings are bounded, the path as it was written is among them, and no other spelling of a claim path is none.
pub(crate) fn path(input: &[u8]) {
    let Ok(written) = std::str::from_utf8(input) else {
        return;
    };
    let path = RequestPath::new(written);
    let readings: Vec<&[u8]> = path.readings().collect();
    assert!(
        (1..=READINGS_MAX).contains(&readings.len()),
        "{} readings",
        readings.len()
    );
    assert_eq!((path.as_written(), readings[0]), (written, input));
    // Only a plain path has spellings that are surely the same to a gateway.
    if readings.len() > 1 || !written.starts_with('/') || !written.is_ascii() {
        return;
    }
    for name in Profile::BUILT_IN {
        let profile = Profile::built_in(name).expect("built in");
        if !profile.is_claim_path(&path) {
            continue;
        }
        for other in spellings(written) {
            assert!(
                profile.is_claim_path(&RequestPath::new(&other)),
                "{name}: {written} is claimed on, {other} is not"
            );
        }
    }
}

/// Other spellings of the same path.
fn spellings(path: &str) -> Vec<String> {
    let mut spellings = vec![
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/x/%2e%2e{path}"),
        path.replace('/', "//"),
        path.replace('/', "/./"),
        path.replace('/', "\\"),
    ];
    for (at, character) in path.char_indices().filter(|(at, _)| *at < 64) {
        let escaped = format!("%{:02x}", u32::from(character));
        spellings.push(format!("{}{escaped}{}", &path[..at], &path[at + 1..]));
    }
    spellings
}

/// Input: what a balancer sends. One verdict wherever it is cut, and whoever reads as much as is wanted never reads past the header.
pub(crate) fn proxy_header(input: &[u8]) {
    let whole = proxy_protocol::parse(input);
    for cut in 0..input.len().min(HEADER_BYTES_MAX + 1) {
        let early = proxy_protocol::parse(&input[..cut]);
        assert!(
            early == Ok(None) || early == whole,
            "what is known of {cut} bytes is known for good"
        );
    }
    if let Ok(Some(header)) = whole {
        assert!(header.length <= input.len().min(HEADER_BYTES_MAX));
        let text = header.client.map(|client| client.to_string());
        assert_eq!(
            text.as_deref().map(parse_address),
            header.client.map(Some),
            "one canonical form"
        );
    }
    let mut read = 0;
    while read <= input.len() {
        match proxy_protocol::parse(&input[..read]) {
            Ok(None) => {}
            Ok(Some(header)) => return assert_eq!(header.length, read, "not a byte past the header"),
            Err(error) => return assert_eq!(whole, Err(error)),
        }
        let wanted = proxy_protocol::bytes_wanted(&input[..read]);
        assert!(wanted > 0, "reading goes on");
        read += wanted;
    }
    assert!(
        !matches!(whole, Ok(Some(_))),
        "a whole header is found by reading"
    );
}
