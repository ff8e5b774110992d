//! Links in alerts' messages: from the message to the page, and from the page to the key that is banned on every replica.

use sentinel_testkit::{RawClient, RawResponse};

use crate::alerts::{items, receiver, sending_to, verified};
use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::{ELSEWHERE, HOME, KEY};

const PAGE: &str = "/admin/ui/alerts/act";

async fn open(replica: &Replica, target: &str) -> RawResponse {
    RawClient::connect(replica.admin).await.get(target, &[]).await
}

async fn confirm(replica: &Replica, token: &str, name: &str) -> RawResponse {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!("token={token}&name={name}");
    RawClient::connect(replica.admin)
        .await
        .post(PAGE, &headers, &form)
        .await
}

#[tokio::test]
async fn a_link_in_a_message_bans_the_key_once_on_all_replicas() {
    let receiver = receiver().await;
    let builder = sending_to(Cluster::builder(), receiver.address())
        .variable("ALERT_THRESHOLD_COUNT", "1")
        .variable("ALERT_THRESHOLD_SECONDS", "60");
    let cluster = builder.start(2).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    assert_eq!(here.get(HOME, KEY).await.status(), 200);
    assert_eq!(here.get(ELSEWHERE, KEY).await.status(), 403);
    let message = verified(&receiver.wait_for_body(0).await);
    let url = message["ban_url"].as_str().expect("a link");
    let target = url
        .strip_prefix("https://sentinel.example.com")
        .expect("the console's");
    let (_, token) = target.split_once("token=").expect("a token");

    // Opened, also by whatever previews links: nothing happens.
    let page = open(there, target).await;
    assert_eq!(page.status(), 200);
    assert_eq!(here.get(HOME, KEY).await.status(), 200);

    let done = confirm(there, token, "Ann").await;
    assert_eq!(done.status(), 200, "{done:?}");
    here.until_status(HOME, KEY, 403).await;
    assert_eq!(confirm(here, token, "Bob").await.status(), 410);
    let console = here.console().await;
    let bindings = items(&console, "/admin/api/bindings").await;
    assert_eq!(bindings[0]["status"], "banned");
}
