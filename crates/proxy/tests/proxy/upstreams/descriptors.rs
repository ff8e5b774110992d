//! No file descriptor left: nothing is wrong with the upstream then. Runs in a process of its own, since the limit is the process's.

use std::fs::File;
use std::process::Command;

use sentinel_core::policy::Keyless;
use sentinel_testkit::RawClient;

use super::{log, post, start};
use crate::support::{code, upstream};

/// Set in the process with few descriptors.
const FEW: &str = "SENTINEL_TEST_FEW_DESCRIPTORS";
const THIS_TEST: &str = "upstreams::descriptors::without_descriptors_an_upstream_is_not_down";

#[tokio::test]
async fn without_descriptors_an_upstream_is_not_down() {
    if std::env::var_os(FEW).is_some() {
        return with_few_descriptors().await;
    }
    let this = std::env::current_exe().expect("a path");
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact --nocapture \"$1\""])
        .arg(this)
        .arg(THIS_TEST)
        .env(FEW, "1")
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn with_few_descriptors() {
    log::listen();
    let upstream = upstream().await;
    let sentinel = start(&[upstream.url()], |options| options.rules.keyless = Keyless::Deny);
    assert_eq!(
        log::lines_with("open files run out").len(),
        1,
        "said at the start"
    );
    let mut client = sentinel.client().await;
    let refused = client.get("/v1/models", &[]).await;
    assert_eq!(
        refused.status(),
        401,
        "it is accepted, and the upstream not connected to"
    );
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    chat_is_refused(&mut client).await;
    let counts = sentinel.engine.figures().snapshot();
    assert_eq!((counts.upstream_addresses, counts.upstream_addresses_up), (1, 1));
    assert_eq!(log::lines_with("Too many open files").len(), 1, "the cause, once");
    drop(taken);
    assert_eq!(client.request(post()).await.status(), 200);
}

async fn chat_is_refused(client: &mut RawClient) {
    for _ in 0..2 {
        let refused = client.request(post()).await;
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (502, "upstream_unreachable")
        );
    }
}
