//! The failsafe mode `open`: while PostgreSQL is away unknown keys go on, are counted and recorded, and bind when it is back.

use futures_util::future::join_all;

use super::{How, Installation, binds, enforces};
use crate::cluster::Cluster;
use crate::{ELSEWHERE, HOME};

/// More than one replica has connections to PostgreSQL.
const AT_ONCE: usize = 48;

async fn goes(how: How) {
    let open = Cluster::builder().variable("SENTINEL_FAILSAFE_MODE", "open");
    let installation = Installation::start_with(open).await;
    let [here, there] = installation.replicas();
    let console = here.console().await;
    installation.break_postgres(how).await;
    let key = |number: usize| format!("sk-openopenopen{number:03}open0123456789");
    // Several rounds: the first one notices, the others know.
    for _ in 0..3 {
        let answers = join_all((0..AT_ONCE).map(|number| {
            let key = key(number);
            async move { here.get(HOME, &key).await }
        }));
        for answer in answers.await {
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    }
    let sent = 3 * AT_ONCE;
    assert_eq!(there.get(ELSEWHERE, &key(0)).await.status(), 200);
    let observed = here.metric("sentinel_observed_total").await.expect("a number");
    assert!(
        observed >= f64::from(u32::try_from(sent).expect("small")),
        "{observed}"
    );
    // What is known is enforced, whatever the mode.
    enforces(here).await;
    enforces(there).await;

    installation.mend_postgres(how).await;
    here.until_ready().await;
    here.until("all that went on to be in the log", async || {
        let (_, logs) = console.get("/admin/api/logs?limit=200").await;
        let items = logs["items"].as_array().unwrap_or_else(|| panic!("{logs}"));
        let went_on = items
            .iter()
            .filter(|item| item["reason"] == "binding_store_unavailable" && item["outcome"] == "observed");
        let count: u64 = went_on
            .map(|item| item["count"].as_u64().expect("a number"))
            .sum();
        count == u64::try_from(sent).expect("small") + 1
    })
    .await;
    for number in [0, AT_ONCE - 1] {
        binds(here, &key(number)).await;
    }
    installation.is_well().await;
}

#[tokio::test]
async fn open_lets_unknown_keys_on_while_postgresql_is_killed() {
    goes(How::Killed).await;
}

#[tokio::test]
async fn open_lets_unknown_keys_on_while_postgresql_is_frozen() {
    goes(How::Frozen).await;
}
