//! Accounts and sessions on several replicas: what ends on one of them ends on all.

use serde_json::json;

use crate::cluster::{Cluster, PASSWORD};
use crate::console::Console;

const SESSION: &str = "/admin/api/session";

#[tokio::test]
async fn what_ends_on_one_replica_is_over_on_the_others_within_seconds() {
    let cluster = Cluster::start(2).await;
    let [here, there] = &cluster.replicas[..] else {
        panic!("two were started");
    };
    let owner = here.console().await;
    let ann = json!({"name": "ann", "role": "operator", "password": PASSWORD});
    let (status, added) = owner.post("/admin/api/administrators", &ann).await;
    assert_eq!(status, 201, "{added}");

    let first = Console::sign_in_as(there.admin, "ann", PASSWORD).await;
    assert_eq!(
        first.on(here.admin).get(SESSION).await.1["account"]["name"],
        "ann"
    );
    let (status, _) = first.post("/admin/api/session/end", &json!({})).await;
    assert_eq!(status, 204);
    assert_eq!(first.get(SESSION).await.0, 401, "at once where it was signed out");
    let elsewhere = first.on(here.admin);
    here.until("the session to be over here, too", async || {
        elsewhere.get(SESSION).await.0 == 401
    })
    .await;

    let second = Console::sign_in_as(there.admin, "ann", PASSWORD).await;
    assert_eq!(second.get(SESSION).await.0, 200);
    let listed = cluster.done(&["admin", "list"]);
    assert!(listed.contains("ann") && listed.contains("operator"), "{listed}");
    cluster.done(&["admin", "reset-second-factor", "ann"]);
    there
        .until("a running server to follow the command", async || {
            second.get(SESSION).await.0 == 401
        })
        .await;
    let without_password = cluster.command(&["admin", "reset-password", "ann"]);
    assert_eq!(without_password.status.code(), Some(2), "{without_password:?}");
    assert_eq!(
        cluster
            .command(&["admin", "reset-second-factor", "bob"])
            .status
            .code(),
        Some(1)
    );
}

#[tokio::test]
async fn the_configured_account_signs_in_while_postgresql_is_away_and_nobody_else() {
    let cluster = Cluster::builder().without_redis().start(1).await;
    let owner = cluster.replica().console().await;
    let ann = json!({"name": "ann", "role": "operator", "password": PASSWORD});
    assert_eq!(owner.post("/admin/api/administrators", &ann).await.0, 201);
    cluster.postgres().stop().await;
    let replica = cluster.replica();
    let alone = replica.console().await;
    let (status, settings) = alone.get("/admin/api/settings").await;
    assert_eq!(status, 200, "{settings}");
    let (status, refused) = Console::try_sign_in(replica.admin, "ann", PASSWORD).await;
    assert_eq!(
        (status, &refused["type"]),
        (503, &json!("urn:sentinel:problem:store_unavailable"))
    );
}
