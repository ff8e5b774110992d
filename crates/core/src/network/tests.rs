use super::*;

fn ip(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

/// spicedb PR 3184, ntpd-rs PR 2350, GO-2024-2917: `::ffff:1.2.3.4` must not slip past a network of version 4.
#[test]
fn mapped_ipv4_is_folded_and_matches_its_ipv4_network() {
    let network: Network = "1.2.3.0/24".parse().expect("a network");
    assert!(network.contains(ip("::ffff:1.2.3.4")));
    assert_eq!(ip("::ffff:1.2.3.4").to_string(), "1.2.3.4");
}

/// spicedb PR 3184, GO-2024-2917, Heimdall GHSA-38x9-25wx-7fg2: a network that would match nothing, or something else, must not be taken.
#[test]
fn mapped_networks_and_nonsense_are_refused() {
    assert!(matches!(
        "::ffff:1.2.3.0/120".parse::<Network>(),
        Err(NetworkError::MappedIpv4(_))
    ));
    for text in [
        "",
        "1.2.3",
        "1.2.3.4/33",
        "fe80::1%eth0",
        "[::1]",
        "1.2.3.4:80",
        "host",
        "1.2.3.4/",
        " 1.2.3.4",
    ] {
        assert!(text.parse::<Network>().is_err(), "{text}");
    }
}

#[test]
fn widening_cuts_host_bits_and_caps_the_prefix() {
    assert_eq!(
        Network::widen(ip("203.0.113.9"), 24, 64).to_string(),
        "203.0.113.0/24"
    );
    assert_eq!(
        Network::widen(ip("2001:db8::1:2:3:4"), 32, 64).to_string(),
        "2001:db8::/64"
    );
    assert_eq!(
        Network::widen(ip("203.0.113.9"), 99, 64).to_string(),
        "203.0.113.9/32"
    );
    assert_eq!(
        "203.0.113.9/24"
            .parse::<Network>()
            .expect("host bits are cut")
            .to_string(),
        "203.0.113.0/24"
    );
}

#[test]
fn a_network_names_its_ends_and_its_length() {
    for (text, first, last, length) in [
        ("203.0.113.9", "203.0.113.9", "203.0.113.9", 32),
        ("203.0.113.9/24", "203.0.113.0", "203.0.113.255", 24),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", 0),
        (
            "2001:db8::7/64",
            "2001:db8::",
            "2001:db8::ffff:ffff:ffff:ffff",
            64,
        ),
        ("::/80", "::", "255.255.255.255", 80),
    ] {
        let network: Network = text.parse().expect("a network");
        assert_eq!((network.first(), network.last()), (ip(first), ip(last)), "{text}");
        assert_eq!(network.prefix_length(), length, "{text}");
    }
}
