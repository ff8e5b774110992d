use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::header::OwnedHeaderLines;

fn rules(trusted: &[&str], header: &str) -> ClientIpRules {
    let trusted: Vec<Network> = trusted
        .iter()
        .map(|text| text.parse().expect("a network"))
        .collect();
    let header = HeaderName::from_bytes(header.as_bytes()).expect("a header name");
    ClientIpRules::new(trusted, ClientIpSource::from_header(header))
}

fn resolve(rules: &ClientIpRules, peer: &str, headers: &[(&str, &str)]) -> Result<String, Unresolvable> {
    let owned: OwnedHeaderLines = headers.iter().copied().collect();
    let peer = PeerAddr(peer.parse().expect("a socket address"));
    rules
        .resolve(peer, owned.lines())
        .map(|address| address.to_string())
}

/// gin GHSA-h395-qcrw-5vmq, sub2api#6112, axonhub PR 2424, Kong#1661: no header must be believed while nobody is trusted.
#[test]
fn by_default_no_header_is_believed() {
    let nobody = rules(&[], "x-real-ip");
    let spoofed = [("x-real-ip", "198.51.100.9"), ("x-forwarded-for", "198.51.100.9")];
    assert_eq!(
        resolve(&nobody, "203.0.113.7:5000", &spoofed),
        Ok("203.0.113.7".to_owned())
    );
}

/// oauth2-proxy CVE-2026-76835, gin GHSA-h395-qcrw-5vmq: a stranger must not choose its address.
#[test]
fn only_a_trusted_peer_is_believed() {
    let nginx = rules(&["10.0.0.0/24"], "x-real-ip");
    let header = [("x-real-ip", "198.51.100.9")];
    assert_eq!(
        resolve(&nginx, "10.0.0.2:5000", &header),
        Ok("198.51.100.9".to_owned())
    );
    assert_eq!(
        resolve(&nginx, "[::ffff:10.0.0.2]:5000", &header),
        Ok("198.51.100.9".to_owned())
    );
    assert_eq!(
        resolve(&nginx, "10.0.1.2:5000", &header),
        Ok("10.0.1.2".to_owned())
    );
}

/// CVE-2022-31813, CVE-2024-45410, CVE-2026-29054: a header that is gone must not make the proxy the client. Heimdall GHSA-38x9-25wx-7fg2: zones and
/// text that is no address must not pass for one.
#[test]
fn a_trusted_peer_must_name_its_client_in_one_clear_way() {
    let nginx = rules(&["10.0.0.0/24"], "x-real-ip");
    let judged = |headers: &[(&str, &str)]| resolve(&nginx, "10.0.0.2:5000", headers);
    assert_eq!(judged(&[]), Err(Unresolvable::Missing));
    assert_eq!(
        judged(&[("x-forwarded-for", "198.51.100.9")]),
        Err(Unresolvable::Missing)
    );
    assert_eq!(
        judged(&[("x-real-ip", "198.51.100.9"), ("x-real-ip", "198.51.100.8")]),
        Err(Unresolvable::Repeated)
    );
    assert_eq!(
        judged(&[("x-real-ip", "198.51.100.9"), ("x-real-ip", "198.51.100.9")]),
        Ok("198.51.100.9".to_owned())
    );
    for text in [
        "",
        "unknown",
        "fe80::1%eth0",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4, 5.6.7.8",
        "1.2.3.4:port",
        "[1.2.3.4]:80",
        "[::1]x",
        "1.2.3.4:99999",
        "1.2.3.4:+1",
        "0x7f.1",
        "2130706433",
    ] {
        assert_eq!(
            judged(&[("x-real-ip", text)]),
            Err(Unresolvable::Malformed),
            "{text}"
        );
    }
}

/// LiteLLM#33324, spicedb PR 3184, ntpd-rs PR 2350, GO-2024-2917, APISIX on `[v6]:port`: another spelling must not be another client.
#[test]
fn every_spelling_gives_one_canonical_address() {
    let nginx = rules(&["10.0.0.0/24"], "x-real-ip");
    for (text, address) in [
        ("198.51.100.9", "198.51.100.9"),
        (" 198.51.100.9\t", "198.51.100.9"),
        ("198.51.100.9:443", "198.51.100.9"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("[::ffff:c633:6409]:443", "198.51.100.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ] {
        assert_eq!(
            resolve(&nginx, "10.0.0.2:5000", &[("x-real-ip", text)]),
            Ok(address.to_owned()),
            "{text}"
        );
    }
}

/// gin GHSA-h395-qcrw-5vmq, sub2api#6112, axonhub PR 2424, oauth2-proxy CVE-2026-76835: what a client writes in front of a list, or on another
/// line of it, must have no say; an unreadable hop and a list without end must not pass.
#[test]
fn a_list_is_walked_from_the_right_past_trusted_hops() {
    let balancer = rules(&["10.0.0.0/24", "192.0.2.1"], "x-forwarded-for");
    let judged = |lines: &[&str]| {
        let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        resolve(&balancer, "10.0.0.2:5000", &headers)
    };
    assert_eq!(
        judged(&["6.6.6.6, 198.51.100.9, 10.0.0.7"]),
        Ok("198.51.100.9".to_owned())
    );
    assert_eq!(
        judged(&["6.6.6.6", "198.51.100.9", "192.0.2.1,10.0.0.7"]),
        Ok("198.51.100.9".to_owned())
    );
    assert_eq!(
        judged(&["10.0.0.9, 10.0.0.7"]),
        Ok("10.0.0.9".to_owned()),
        "all trusted: the farthest"
    );
    assert_eq!(
        judged(&["198.51.100.9, nonsense, 10.0.0.7"]),
        Err(Unresolvable::Malformed)
    );
    assert_eq!(
        judged(&["nonsense, 198.51.100.9"]),
        Ok("198.51.100.9".to_owned()),
        "nobody vouches for what lies beyond"
    );
    assert_eq!(judged(&["198.51.100.9,"]), Err(Unresolvable::Malformed));
    let long = vec!["10.0.0.7"; HOPS_MAX].join(",");
    assert_eq!(judged(&[&long]), Ok("10.0.0.7".to_owned()));
    assert_eq!(judged(&["10.0.0.7", &long]), Err(Unresolvable::TooManyHops));
}

#[test]
fn forwarded_is_walked_in_the_same_way() {
    let balancer = rules(&["10.0.0.0/24"], "forwarded");
    let judged = |line: &str| resolve(&balancer, "10.0.0.2:5000", &[("forwarded", line)]);
    assert_eq!(
        judged("for=6.6.6.6, for=198.51.100.9;proto=https, for=10.0.0.7"),
        Ok("198.51.100.9".to_owned())
    );
    assert_eq!(
        judged("for=198.51.100.9, for=unknown"),
        Err(Unresolvable::Malformed)
    );
    assert_eq!(judged("for=\"198.51.100.9"), Err(Unresolvable::Malformed));
}

#[test]
fn with_the_proxy_protocol_no_header_is_believed() {
    let balancer = rules(&["10.0.0.0/24"], "proxy-protocol");
    let spoofed = [("x-real-ip", "6.6.6.6"), ("proxy-protocol", "6.6.6.6")];
    assert_eq!(
        resolve(&balancer, "10.0.0.2:5000", &spoofed),
        Err(Unresolvable::Missing)
    );
    assert_eq!(
        resolve(&balancer, "203.0.113.7:5000", &spoofed),
        Ok("203.0.113.7".to_owned())
    );
    assert!(balancer.expects_proxy_header(PeerAddr("10.0.0.2:1".parse().expect("an address"))));
    assert!(!balancer.expects_proxy_header(PeerAddr("203.0.113.7:1".parse().expect("an address"))));
}

proptest! {
    #[test]
    fn any_text_is_an_address_or_nothing(text in "\\PC{0,60}") {
        if let Some(address) = parse_address(&text) {
            prop_assert!(address.addr().to_canonical() == address.addr());
        }
    }

    #[test]
    fn every_address_round_trips(bits in any::<u128>(), v4 in any::<u32>(), port in any::<u16>()) {
        for address in [IpAddr::V6(bits.into()), IpAddr::V4(v4.into())] {
            let expected = Some(ClientIp::new(address));
            prop_assert_eq!(parse_address(&address.to_string()), expected);
            prop_assert_eq!(parse_address(&SocketAddr::new(address, port).to_string()), expected);
        }
    }
}

/// What is shown to people is what was counted, in the same order.
#[test]
fn what_the_believed_header_names_is_shown_from_the_right_and_bounded() {
    let shown = |header: &str, lines: &[(&str, &str)]| -> Vec<String> {
        let owned: OwnedHeaderLines = lines.iter().copied().collect();
        let named = rules(&["10.0.0.0/24"], header).named(owned.lines());
        let text = |hop: Option<ClientIp>| hop.map_or("?".to_owned(), |address| address.to_string());
        named.into_iter().map(text).collect()
    };
    let chain = [
        ("x-forwarded-for", "198.51.100.1, me"),
        ("x-forwarded-for", "198.51.100.2, 10.0.0.3"),
    ];
    assert_eq!(
        shown("x-forwarded-for", &chain),
        ["10.0.0.3", "198.51.100.2", "?", "198.51.100.1"]
    );
    assert_eq!(
        shown("x-real-ip", &[("x-real-ip", "198.51.100.1")]),
        ["198.51.100.1"]
    );
    assert_eq!(
        shown("forwarded", &[("forwarded", "for=198.51.100.1")]),
        ["198.51.100.1"]
    );
    assert_eq!(shown("proxy-protocol", &chain), [""; 0]);
    let many = vec!["198.51.100.1"; HOPS_MAX + 9].join(",");
    assert_eq!(
        shown("x-forwarded-for", &[("x-forwarded-for", many.as_str())]).len(),
        HOPS_MAX
    );
}
