//! The PROXY protocol, versions 1 and 2: how a balancer that forwards bare TCP says who its client is.
//! (haproxy, `doc/proxy-protocol.txt`.)
//!
//! Only a trusted peer's header may be read at all; that is the caller's to see to. What is not exactly a header is an error, never a guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::network::ClientIp;

/// The most bytes of a header: version 1 has at most 107, version 2 is cut off here though it could announce 64 KiB of extensions.
pub const HEADER_BYTES_MAX: usize = 2048;

/// How every header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// How every header of version 1 begins.
const WORD: &[u8] = b"PROXY ";
/// The most bytes of a header of version 1, its line end included.
const V1_BYTES_MAX: usize = 107;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The client; none where the balancer speaks for itself, as for a health check.
    pub client: Option<ClientIp>,
    /// How many bytes the header takes.
    pub length: usize,
}

/// The bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PROXY protocol header is missing or malformed")]
pub struct MalformedProxyHeader;

/// Reads a header off the front of `bytes`; none while it is incomplete.
pub fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, MalformedProxyHeader> {
    let begins = |text: &[u8]| bytes.iter().zip(text).all(|(byte, wanted)| byte == wanted);
    let header = if begins(SIGNATURE) && !bytes.is_empty() {
        version_2(bytes)?
    } else if begins(WORD) {
        version_1(bytes)?
    } else {
        return Err(MalformedProxyHeader);
    };
    if header.is_none() && bytes.len() >= HEADER_BYTES_MAX {
        return Err(MalformedProxyHeader);
    }
    Ok(header)
}

/// How many bytes more can be read without reading past the header, of which `bytes` is an incomplete beginning. At least one.
pub fn bytes_wanted(bytes: &[u8]) -> usize {
    // The shortest header of version 1 is longer than the signature of version 2.
    let wanted = if bytes.len() < SIGNATURE.len() {
        SIGNATURE.len()
    } else if !bytes.starts_with(SIGNATURE) {
        bytes.len() + 1
    } else {
        bytes.get(14..16).map_or(16, |length| {
            16 + usize::from(u16::from_be_bytes([length[0], length[1]]))
        })
    };
    wanted.saturating_sub(bytes.len()).max(1)
}

fn version_1(bytes: &[u8]) -> Result<Option<ProxyHeader>, MalformedProxyHeader> {
    let Some(end) = bytes.iter().take(V1_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() >= V1_BYTES_MAX {
            Err(MalformedProxyHeader)
        } else {
            Ok(None)
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(MalformedProxyHeader)?;
    let line = std::str::from_utf8(line).map_err(|_| MalformedProxyHeader)?;
    let words: Vec<&str> = line.split(' ').collect();
    let client = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        [
            "PROXY",
            "TCP4",
            source,
            destination,
            source_port,
            destination_port,
        ] => {
            let (source, _) = (address::<Ipv4Addr>(source)?, address::<Ipv4Addr>(destination)?);
            ports(source_port, destination_port)?;
            Some(ClientIp::new(IpAddr::V4(source)))
        }
        [
            "PROXY",
            "TCP6",
            source,
            destination,
            source_port,
            destination_port,
        ] => {
            let (source, _) = (address::<Ipv6Addr>(source)?, address::<Ipv6Addr>(destination)?);
            ports(source_port, destination_port)?;
            Some(ClientIp::new(IpAddr::V6(source)))
        }
        _ => return Err(MalformedProxyHeader),
    };
    Ok(Some(ProxyHeader {
        client,
        length: end + 1,
    }))
}

fn address<A: std::str::FromStr>(text: &str) -> Result<A, MalformedProxyHeader> {
    text.parse().map_err(|_| MalformedProxyHeader)
}

fn ports(source: &str, destination: &str) -> Result<(), MalformedProxyHeader> {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    if is_port(source) && is_port(destination) {
        Ok(())
    } else {
        Err(MalformedProxyHeader)
    }
}

fn version_2(bytes: &[u8]) -> Result<Option<ProxyHeader>, MalformedProxyHeader> {
    let Some(fixed) = bytes.get(12..16) else {
        return Ok(None);
    };
    let (version_and_command, family, announced) = (
        fixed[0],
        fixed[1],
        usize::from(u16::from_be_bytes([fixed[2], fixed[3]])),
    );
    let length = 16 + announced;
    if version_and_command >> 4 != 2 || length > HEADER_BYTES_MAX {
        return Err(MalformedProxyHeader);
    }
    let Some(body) = bytes.get(16..length) else {
        return Ok(None);
    };
    let client = match (version_and_command & 0xf, family) {
        // LOCAL: the balancer itself.
        (0, _) => None,
        // PROXY, TCP over IPv4: source, destination, two ports.
        (1, 0x11) => {
            let source: [u8; 4] = body
                .get(..12)
                .and_then(|body| body[..4].try_into().ok())
                .ok_or(MalformedProxyHeader)?;
            Some(ClientIp::new(IpAddr::V4(source.into())))
        }
        // PROXY, TCP over IPv6.
        (1, 0x21) => {
            let source: [u8; 16] = body
                .get(..36)
                .and_then(|body| body[..16].try_into().ok())
                .ok_or(MalformedProxyHeader)?;
            Some(ClientIp::new(IpAddr::V6(source.into())))
        }
        _ => return Err(MalformedProxyHeader),
    };
    Ok(Some(ProxyHeader { client, length }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(bytes: &[u8]) -> Option<String> {
        let header = parse(bytes).expect("a header").expect("a whole one");
        assert_eq!(header.length, bytes.len());
        header.client.map(|client| client.to_string())
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("small");
        [
            &SIGNATURE[..],
            &[0x20 | command, family],
            &length.to_be_bytes(),
            body,
        ]
        .concat()
    }

    #[test]
    fn both_versions_name_the_client() {
        assert_eq!(
            client(b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n").as_deref(),
            Some("203.0.113.7")
        );
        assert_eq!(
            client(b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n").as_deref(),
            Some("2001:db8::7")
        );
        assert_eq!(
            client(b"PROXY TCP6 ::ffff:203.0.113.7 ::1 5000 443\r\n").as_deref(),
            Some("203.0.113.7")
        );
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
        let v4 = [203, 0, 113, 7, 192, 0, 2, 1, 0x13, 0x88, 1, 0xbb];
        assert_eq!(client(&v2(1, 0x11, &v4)).as_deref(), Some("203.0.113.7"));
        assert_eq!(
            client(&v2(1, 0x11, &[&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat())).as_deref(),
            Some("203.0.113.7")
        );
        let v6: Vec<u8> = ["2001:db8::7", "2001:db8::1"]
            .iter()
            .flat_map(|text| text.parse::<Ipv6Addr>().expect("v6").octets())
            .chain([0; 4])
            .collect();
        assert_eq!(client(&v2(1, 0x21, &v6)).as_deref(), Some("2001:db8::7"));
        assert_eq!(client(&v2(0, 0, &[])), None);
    }

    #[test]
    fn it_may_come_in_pieces() {
        for whole in [
            b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n".to_vec(),
            v2(1, 0x11, &[0; 12]),
        ] {
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), Ok(None), "{cut}");
            }
            let followed = [&whole[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(
                parse(&followed).expect("a header").expect("whole").length,
                whole.len()
            );
        }
    }

    #[test]
    fn a_reader_never_reads_past_it() {
        for whole in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n".to_vec(),
            v2(1, 0x11, &[0; 40]),
            v2(0, 0, &[]),
        ] {
            let followed = [&whole[..], b"GET / HTTP/1.1\r\n"].concat();
            let mut read = 0;
            while parse(&followed[..read]).expect("no error").is_none() {
                read += bytes_wanted(&followed[..read]);
            }
            assert_eq!(read, whole.len());
        }
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        for text in [
            "GET / HTTP/1.1\r\n",
            "PROXY\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\n",
            "PROXY TCP4 2001:db8::7 192.0.2.1 5000 443\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 99999 443\r\n",
            "PROXY TCP4  203.0.113.7 192.0.2.1 1 2\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 +1 2\r\n",
            "PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n",
            "proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(MalformedProxyHeader), "{text:?}");
        }
        for bytes in [
            v2(2, 0x11, &[0; 12]),
            v2(1, 0x11, &[0; 11]),
            v2(1, 0x12, &[0; 12]),
            v2(1, 0x21, &[0; 35]),
            v2(1, 0x31, &[0; 216]),
        ] {
            assert_eq!(parse(&bytes), Err(MalformedProxyHeader));
        }
    }

    #[test]
    fn a_header_has_its_bounds() {
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(V1_BYTES_MAX));
        assert_eq!(parse(endless.as_bytes()), Err(MalformedProxyHeader));
        assert!(parse(&v2(0, 0, &vec![0; HEADER_BYTES_MAX - 16])).is_ok());
        assert_eq!(
            parse(&v2(0, 0, &vec![0; HEADER_BYTES_MAX - 15])),
            Err(MalformedProxyHeader)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..200), signed in any::<bool>()) {
            let bytes = if signed { [&SIGNATURE[..], &bytes].concat() } else { bytes };
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
