//! The seeds of the fuzz targets, run as ordinary tests: those of the domain over its properties, those of the engine over real sockets.

use std::path::Path;

use sentinel_testkit::Answer;

use super::{PROBE, echoing_upstream, get};
use crate::support::Sentinel;

#[path = "../../../../../fuzz/properties.rs"]
mod properties;

/// The seeds of a target with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(folder)
        .expect("the seeds are there")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(path).expect("a seed"))
        })
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 10, "{} seeds of {target}", seeds.len());
    seeds
}

#[test]
fn the_seeds_of_the_domain_hold() {
    for (target, property) in [
        ("client_ip", properties::client_ip as fn(&[u8])),
        ("credential", properties::credential),
        ("path", properties::path),
        ("proxy_header", properties::proxy_header),
    ] {
        for (name, seed) in seeds(target) {
            println!("{target}: {name}");
            property(&seed);
        }
    }
}

/// The first byte of these seeds is the fuzzer's own.
#[tokio::test]
async fn no_seed_of_the_engine_stops_it() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for (name, seed) in seeds("request_head") {
        let mut client = sentinel.client().await;
        let _ = client.try_send(&seed[1..]).await;
        drop(client);
        assert_eq!(
            sentinel.client().await.request(PROBE).await.text(),
            "GET /probe",
            "{name}"
        );
    }
    for (name, seed) in seeds("chunked") {
        let mut client = sentinel.client().await;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = client.try_send([head.as_bytes(), &seed[1..]].concat()).await;
        drop(client);
        assert_eq!(
            sentinel.client().await.request(PROBE).await.text(),
            "GET /probe",
            "{name}"
        );
    }
}

#[tokio::test]
async fn no_seed_of_an_answer_stops_it() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for (name, seed) in seeds("response_head") {
        upstream.answer_next(Answer::raw(seed[1..].to_vec()).then_close());
        let mut client = sentinel.client().await;
        client.send(get("connection: close\r\n")).await;
        client.wait_for_close().await;
        assert_eq!(
            sentinel.client().await.request(PROBE).await.text(),
            "GET /probe",
            "{name}"
        );
    }
}
