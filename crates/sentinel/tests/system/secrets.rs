//! The HMAC secret is changed under a running installation: who was bound or banned stays so, at every replica and at every step.

use serde_json::json;

use crate::cluster::{Cluster, HMAC_SECRET};
use crate::replica::Replica;
use crate::{ELSEWHERE, HOME, KEY};

const CHANGED: &str = "system-tests-changed-hmac-secret-0123456789";
const BANNED: &str = "sk-bannedbannedbanned0123456789";
const RESTING: &str = "sk-restingrestingresting0123456789";
const NEW: &str = "sk-newnewnewnewnewnewnew0123456789";

fn mismatch() -> (u16, String) {
    (403, "key_ip_mismatch".to_owned())
}

fn banned() -> (u16, String) {
    (403, "key_banned".to_owned())
}

fn unavailable() -> (u16, String) {
    (503, "binding_store_unavailable".to_owned())
}

/// With the secret before and the changed one.
fn changing() -> [(&'static str, String); 2] {
    [
        ("SENTINEL_HMAC_SECRET", CHANGED.to_owned()),
        ("SENTINEL_HMAC_SECRET_PREVIOUS", HMAC_SECRET.to_owned()),
    ]
}

/// Three keys from home, one of which is banned.
async fn bind(replica: &Replica) {
    for key in [BANNED, KEY, RESTING] {
        assert_eq!(replica.get(HOME, key).await.status(), 200);
    }
    let console = replica.console().await;
    let bindings = console.bindings().await;
    let first = bindings.iter().filter_map(|binding| binding["id"].as_i64()).min();
    console.ban(first.expect("three of them")).await;
    assert_eq!(replica.verdict(HOME, BANNED).await, banned());
}

/// What was bound and banned before is so.
async fn all_is_enforced(replica: &Replica) {
    assert_eq!(replica.verdict(ELSEWHERE, KEY).await, mismatch());
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    for from in [HOME, ELSEWHERE] {
        assert_eq!(replica.verdict(from, BANNED).await, banned());
        let header = format!("Bearer {BANNED}");
        let answer = replica
            .get_path(from, "/dashboard", &[("authorization", &header)])
            .await;
        assert_eq!(answer.status(), 403, "a ban holds off the claim paths, too");
    }
}

#[tokio::test]
async fn replicas_change_the_secret_one_after_the_other_and_nobody_gets_in() {
    // Also where everything else would let unknown keys on.
    let builder = Cluster::builder().variable("SENTINEL_FAILSAFE_MODE", "open");
    let mut cluster = builder.start(1).await;
    bind(cluster.replica()).await;
    cluster.add_replica_with(&changing()).await;
    let [old, new] = &cluster.replicas[..] else {
        panic!("two of them");
    };
    all_is_enforced(new).await;
    let console = new.console().await;
    let bindings = console.bindings().await;
    assert_eq!(bindings.len(), 3, "moved, not made anew");
    assert_eq!(bindings[0]["networks"], json!([format!("{HOME}/32")]));

    // Who does not know the secret finds what was not moved, and takes nothing else for unknown, on no path.
    assert_eq!(old.verdict(ELSEWHERE, RESTING).await, mismatch());
    assert_eq!(old.get(HOME, RESTING).await.status(), 200);
    for key in [KEY, BANNED, NEW] {
        old.until("what was moved to be forgotten", async || {
            old.verdict(ELSEWHERE, key).await == unavailable()
        })
        .await;
        let header = format!("Bearer {key}");
        let answer = old
            .get_path(ELSEWHERE, "/dashboard", &[("authorization", &header)])
            .await;
        assert_eq!(answer.status(), 503);
    }
    assert!(old.metric("sentinel_secret_outdated_total").await > Some(0.0));
    assert_eq!(new.get(HOME, NEW).await.status(), 200);
    assert_eq!(new.verdict(ELSEWHERE, NEW).await, mismatch());
    assert_eq!(old.verdict(ELSEWHERE, NEW).await, unavailable());
    assert_eq!(cluster.number("SELECT count(*) FROM bindings").await, 4);
    let log = old.log() + &new.log();
    assert!(!log.contains(HMAC_SECRET) && !log.contains(CHANGED), "{log}");
    ends(&mut cluster).await;
}

/// What still lies under the secret before is not lost by mistake.
async fn ends(cluster: &mut Cluster) {
    let outdated = cluster.start_and_fail("SENTINEL_HMAC_SECRET", HMAC_SECRET);
    let told = String::from_utf8_lossy(&outdated.stderr);
    assert!(
        told.contains("set SENTINEL_HMAC_SECRET to the same value everywhere"),
        "{told}"
    );

    let told = cluster.start_and_fail("SENTINEL_HMAC_SECRET", CHANGED);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.contains("1 bindings and 0 bans lie under an HMAC secret"),
        "{told}"
    );
    assert!(told.contains("set SENTINEL_HMAC_SECRET_PREVIOUS"), "{told}");
    let (_, mark) = told
        .split_once("SENTINEL_HMAC_SECRET_GIVEN_UP=")
        .expect("how to give them up");
    let given_up = [
        ("SENTINEL_HMAC_SECRET", CHANGED.to_owned()),
        ("SENTINEL_HMAC_SECRET_GIVEN_UP", mark[..16].to_owned()),
    ];
    all_is_enforced(cluster.add_replica_with(&given_up).await).await;
    // Or it moves with its next use, and nothing is left to be given up.
    assert_eq!(cluster.replicas[1].verdict(ELSEWHERE, RESTING).await, mismatch());
    let changed = [("SENTINEL_HMAC_SECRET", CHANGED.to_owned())];
    let last = cluster.add_replica_with(&changed).await;
    all_is_enforced(last).await;
    assert_eq!(last.verdict(ELSEWHERE, RESTING).await, mismatch());
}

#[tokio::test]
async fn a_single_server_changes_its_secret_and_keeps_its_bindings() {
    let mut cluster = Cluster::builder().embedded().start(1).await;
    bind(cluster.replica()).await;
    cluster.replicas[0].stop().await;
    let data = cluster.path("data-0").to_str().expect("UTF-8").to_owned();
    let on_it = |variables: &[(&'static str, String)]| {
        let folder = [("SENTINEL_DATA_DIR", data.clone())];
        folder
            .into_iter()
            .chain(variables.iter().cloned())
            .collect::<Vec<_>>()
    };
    let changed = cluster.add_replica_with(&on_it(&changing())).await;
    all_is_enforced(changed).await;
    changed.stop().await;
    for secret in [HMAC_SECRET, CHANGED] {
        let variables = [
            ("SENTINEL_DATA_DIR", data.as_str()),
            ("SENTINEL_HMAC_SECRET", secret),
        ];
        let output = cluster.command_with(&["serve"], &variables);
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("SENTINEL_HMAC_SECRET"), "{told}");
    }
    let again = cluster.add_replica_with(&on_it(&changing())).await;
    assert_eq!(again.verdict(ELSEWHERE, RESTING).await, mismatch());
    again.stop().await;
    let last = cluster
        .add_replica_with(&on_it(&[("SENTINEL_HMAC_SECRET", CHANGED.to_owned())]))
        .await;
    all_is_enforced(last).await;
    assert_eq!(last.verdict(ELSEWHERE, RESTING).await, mismatch());
}
