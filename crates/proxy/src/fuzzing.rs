//! What must hold of this crate's parsers for any bytes at all: what the fuzz targets call, and a test over their seeds. No part of the crate's
//! interface: it is there only with the feature `fuzzing`, and nothing else may use it.

mod refusal;

use sentinel_core::credential::CredentialFilter;
use sentinel_core::profile::Profile;

use crate::headers::{RequestContext, ResponseContext, write_request, write_response};
use crate::http1::body::BodyEncoding;
use crate::http1::chunked::{ChunkedDecoder, MalformedChunk};
use crate::http1::framing::{BodyLength, Version};
use crate::http1::request::{HeadBounds, RequestError, RequestHead};
use crate::http1::response::{ResponseError, ResponseHead};

pub use refusal::refusal;

const BOUNDS: HeadBounds = HeadBounds {
    bytes_max: 4_096,
    headers_max: 50,
};

/// A request's head has one verdict however its bytes are cut, and what is written for the upstream of it is read there as the same
/// request.
///
/// # Panics
///
/// When that does not hold.
pub fn request_head(bytes: &[u8], cut: usize) {
    let whole = taken(bytes, bytes.len());
    let in_two = taken(bytes, cut);
    match (&whole, &in_two) {
        (Ok(Some(whole)), Ok(Some(in_two))) => {
            assert!(
                whole.following().starts_with(in_two.following()),
                "what followed was there or not yet"
            );
            assert_eq!(
                (whole.method(), whole.path(), whole.body),
                (in_two.method(), in_two.path(), in_two.body)
            );
        }
        (whole, in_two) => assert_eq!(verdict(whole), verdict(in_two), "however it is cut"),
    }
    if let Ok(Some(head)) = whole {
        judge_request(&head);
    }
}

/// As a connection reads it: up to `cut` first, then the rest.
fn taken(bytes: &[u8], cut: usize) -> Result<Option<RequestHead>, RequestError> {
    let (first, rest) = bytes.split_at(cut.min(bytes.len()));
    let mut inbound = first.to_vec();
    if let Some(head) = RequestHead::take(&mut inbound, 0, BOUNDS)? {
        return Ok(Some(head));
    }
    let seen = inbound.len();
    inbound.extend_from_slice(rest);
    RequestHead::take(&mut inbound, seen, BOUNDS)
}

fn verdict<H>(taken: &Result<Option<H>, RequestError>) -> Result<bool, RequestError> {
    taken.as_ref().map(Option::is_some).map_err(|error| *error)
}

fn judge_request(head: &RequestHead) {
    assert!(
        head.path().is_empty()
            || head.path().starts_with('/')
            || matches!(head.method(), "OPTIONS" | "CONNECT")
    );
    assert!(!head.path().contains(['?', '#', ' ']) || head.method() == "CONNECT");
    for line in head.lines().iter() {
        assert!(!line.name.is_empty() && line.value.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
    }
    if head.method() == "CONNECT" {
        return;
    }
    let profile = Profile::built_in("new-api").expect("built in");
    let context = RequestContext {
        filter: CredentialFilter::new(&profile, None, false),
        checked: None,
        client_ip: b"192.0.2.1",
        peer_scheme: "http",
        peer_is_trusted: false,
        client_ip_header: None,
        upstream_host: b"upstream",
        replaces_host: false,
        upgrades: false,
    };
    let mut written = Vec::new();
    write_request(head, &context, &mut written);
    let wide = HeadBounds {
        bytes_max: 4 * BOUNDS.bytes_max,
        headers_max: 2 * BOUNDS.headers_max,
    };
    let again = RequestHead::take(&mut written, 0, wide)
        .expect("ours is well formed")
        .expect("ours is whole");
    let path = if head.path().is_empty() { "/" } else { head.path() };
    assert_eq!(
        (again.method(), again.path(), again.body),
        (head.method(), path, head.body)
    );
    assert!(again.following().is_empty(), "nothing stands behind a head");
}

/// Chunks have one verdict and one body however their bytes are cut, and that body in chunks of our own is read as the same.
///
/// # Panics
///
/// When that does not hold.
pub fn chunked(bytes: &[u8], cut: usize) {
    let whole = decoded(bytes, bytes.len());
    assert_eq!(whole, decoded(bytes, cut), "however they are cut");
    let Ok(Some((body, _))) = whole else { return };
    let mut ours = Vec::new();
    if !body.is_empty() {
        BodyEncoding::Chunked.data(&body, &mut ours);
    }
    BodyEncoding::Chunked.end(&mut ours);
    assert_eq!(decoded(&ours, ours.len()), Ok(Some((body, 0))));
}

/// The body and how many bytes stand behind it; none when it is incomplete.
fn decoded(bytes: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, MalformedChunk> {
    let (first, rest) = bytes.split_at(cut.min(bytes.len()));
    let mut decoder = ChunkedDecoder::new();
    let mut body = Vec::new();
    let mut behind = 0;
    for mut part in [first, rest] {
        while let Some(data) = decoder.decode(&mut part)? {
            body.extend_from_slice(data);
        }
        behind += part.len();
    }
    Ok(decoder.is_done().then_some((body, behind)))
}

/// An answer's head has one verdict however its bytes are cut, and what is written for the client of it is read there as the same answer
/// with one framing.
///
/// # Panics
///
/// When that does not hold.
pub fn response_head(bytes: &[u8], cut: usize) {
    for to_head in [false, true] {
        let whole = ResponseHead::take(&mut bytes.to_vec(), to_head);
        let mut first = bytes[..cut.min(bytes.len())].to_vec();
        // What is known to be wrong early is wrong later, and what is whole early is whole later.
        match (ResponseHead::take(&mut first, to_head), &whole) {
            (Ok(Some(early)), Ok(Some(whole))) => {
                assert_eq!((early.status, early.body), (whole.status, whole.body));
            }
            (Ok(Some(_)), _) => panic!("a whole head is none with more behind it"),
            (Err(error), whole) => assert_eq!(whole.as_ref().err(), Some(&error)),
            (Ok(None), _) => {}
        }
        if let Ok(Some(head)) = whole {
            judge_response(&head, to_head);
        }
    }
}

fn judge_response(head: &ResponseHead, to_head: bool) {
    assert!((100..=999).contains(&head.status));
    let chunked = matches!(head.body, BodyLength::Chunked | BodyLength::UntilClose);
    let context = ResponseContext {
        chunked,
        closes: false,
        version: Version::Http11,
    };
    let mut written = Vec::new();
    write_response(head, context, &mut written);
    let again = ResponseHead::take(&mut written, to_head);
    let again = match again {
        // Ours adds two lines to what can be as large as is read at all.
        Err(ResponseError::TooLarge) => return,
        again => again.expect("ours is well formed").expect("ours is whole"),
    };
    let body = if chunked { BodyLength::Chunked } else { head.body };
    assert_eq!(
        (again.status, again.body, again.reason()),
        (head.status, body, head.reason())
    );
    assert!(again.following().is_empty(), "nothing stands behind a head");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Each seed, cut in each place near its beginning and its end.
    fn over_seeds(target: &str, judge: fn(&[u8], usize)) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/seeds")
            .join(target);
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the seeds are there") {
            let seed = std::fs::read(entry.expect("an entry").path()).expect("a seed");
            // The first byte is the fuzzer's own cut.
            let (_, bytes) = seed.split_first().expect("a cut and bytes");
            (0..=bytes.len().min(300)).for_each(|cut| judge(bytes, cut));
            count += 1;
        }
        assert!(count >= 10, "{count} seeds of {target}");
    }

    #[test]
    fn the_seeds_of_request_heads_hold() {
        over_seeds("request_head", request_head);
    }

    #[test]
    fn the_seeds_of_chunks_hold() {
        over_seeds("chunked", chunked);
    }

    #[test]
    fn the_seeds_of_answers_heads_hold() {
        over_seeds("response_head", response_head);
    }

    #[test]
    fn the_seeds_of_refusals_hold() {
        over_seeds("refusal", refusal);
    }
}
