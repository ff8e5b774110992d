//! Moving an installation between the embedded store and PostgreSQL, and keys that are bound before their first use.

use std::fs;

use crate::cluster::{Cluster, succeeded};
use crate::{ELSEWHERE, HOME, KEY};

/// The lines of an export that must be the same everywhere.
fn content(export: &str) -> Vec<&str> {
    let is_content = |line: &&str| !line.contains("\"kind\":\"sentinel-export\"");
    export.lines().filter(is_content).collect()
}

#[tokio::test]
async fn an_installation_moves_to_postgresql_and_back_with_all_that_it_holds() {
    let embedded = Cluster::builder().embedded().start(1).await;
    let replica = embedded.replica();
    for number in 0..5 {
        let key = format!("sk-moving{number}moving{number}0123456789");
        assert_eq!(replica.get(HOME, &key).await.status(), 200);
    }
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let console = replica.console().await;
    let ids: Vec<i64> = console
        .bindings()
        .await
        .iter()
        .map(|binding| binding["id"].as_i64().expect("a number"))
        .collect();
    console.ban(ids[1]).await;
    console.unbind(ids[2]).await;
    let change = serde_json::json!({"version": 0, "values": {"policy.slots": 2}});
    assert_eq!(console.put("/admin/api/settings", &change).await.0, 200);
    replica
        .until("the uses to be written", async || {
            let bindings = console.bindings().await;
            bindings.iter().all(|binding| binding["use_count"] == 1)
        })
        .await;
    let export = embedded.path("export.jsonl");
    let path = export.to_str().expect("UTF-8");
    embedded.done(&["export", "--output", path]);
    let first = fs::read_to_string(&export).expect("it is there");
    assert!(!first.contains(KEY) && !first.contains("systemsystem"));

    let server = Cluster::start(1).await;
    let told = server.done(&["import", "--dry-run", path]);
    assert!(told.contains("Nothing was changed"), "{told}");
    assert!(server.replica().console().await.bindings().await.is_empty());
    server.done(&["import", path]);
    let second = server.done(&["export"]);
    assert_eq!(content(&second), content(&first));
    // They hold there, also on a replica that runs already.
    let replica = server.replica();
    replica.until_status(ELSEWHERE, KEY, 200).await;
    let banned = format!("sk-moving{}moving{}0123456789", 4, 4);
    assert_eq!(
        replica.verdict(HOME, &banned).await,
        (403, "key_banned".to_owned())
    );

    let back = Cluster::builder().embedded().start(0).await;
    let path = back.path("back.jsonl");
    fs::write(&path, &second).expect("it can be written");
    let path = path.to_str().expect("UTF-8");
    back.done(&["import", path]);
    assert_eq!(content(&back.done(&["export"])), content(&first));
    let again = back.done(&["import", "--existing", "replace", path]);
    let row = again
        .lines()
        .find(|line| line.starts_with("bindings"))
        .expect("a row");
    let counts: Vec<&str> = row.split_whitespace().skip(1).collect();
    assert_eq!(counts, ["0", "0", "0", "5"], "{again}");
}

#[tokio::test]
async fn keys_are_bound_before_their_first_use() {
    let cluster = Cluster::builder().without_redis().start(1).await;
    let path = cluster.path("keys.csv");
    fs::write(&path, format!("{KEY},{HOME}\n")).expect("it can be written");
    let told = cluster.command(&["import", "--keys", path.to_str().expect("UTF-8")]);
    assert!(!String::from_utf8_lossy(&told.stderr).contains(KEY));
    assert!(!succeeded(told).contains(KEY));
    let mismatch = (403, "key_ip_mismatch".to_owned());
    assert_eq!(cluster.replica().verdict(ELSEWHERE, KEY).await, mismatch);
    assert_eq!(cluster.replica().get(HOME, KEY).await.status(), 200);

    fs::write(&path, format!("{KEY},{HOME}\n{KEY} nowhere\n")).expect("it can be written");
    let output = cluster.command(&["import", "--keys", path.to_str().expect("UTF-8")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains("line 2 has something else than a network"),
        "{told}"
    );
    assert!(!told.contains(KEY), "{told}");
}
