use std::time::Duration;

use sentinel_alerts::memory::MemoryAlertStore;
use sentinel_core::alert::AlertId;
use sentinel_core::binding::{BindingId, BindingStatus, NewBinding};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::ports::{BindingStore as _, Claim};
use sentinel_store::MemoryStore;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

struct Fixture {
    store: Arc<MemoryStore>,
    links: Links,
    binding: BindingId,
}

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

fn signer() -> LinkSigner {
    LinkSigner::new(b"a secret for tests")
}

async fn fixture() -> Fixture {
    let store = Arc::new(MemoryStore::new());
    let claimed = store
        .claim(NewBinding {
            fingerprint: KeyFingerprint::from_bytes([7; 32]),
            previous: None,
            hint: KeyHint::from_stored("sk-ab…wxyz".to_owned()),
            network: network("192.0.2.7/32"),
            bound_at: NOW,
            profile: "".into(),
        })
        .await;
    let Ok(Claim::Won(binding)) = claimed else {
        panic!("the first claim wins: {claimed:?}");
    };
    Fixture {
        links: Links {
            signer: signer(),
            used: Arc::new(MemoryAlertStore::new()),
            bindings: store.clone(),
            events: store.clone(),
        },
        store,
        binding: binding.id,
    }
}

fn link(action: LinkAction, binding: Option<BindingId>) -> ActionLink {
    ActionLink {
        action,
        alert: AlertId::from_stored("al_1".to_owned()),
        binding,
        network: (action == LinkAction::AllowNetwork).then(|| network("198.51.100.0/24")),
        expires_at: NOW.plus(Duration::from_hours(1)),
        nonce: format!("{action:?}"),
    }
}

fn ann() -> Actor {
    Actor {
        name: "link: Ann".to_owned(),
        client_ip: None,
        at: NOW,
    }
}

impl Fixture {
    fn token(&self, action: LinkAction) -> String {
        signer().sign(&link(action, Some(self.binding)))
    }

    async fn record(&self) -> BindingRecord {
        let found = self.store.show(self.binding).await;
        found.expect("it works").expect("bound")
    }
}

#[tokio::test]
async fn showing_does_nothing_and_following_bans_once() {
    let fixture = fixture().await;
    let token = fixture.token(LinkAction::Ban);
    let shown = fixture.links.show(&token, NOW).await.expect("ours");
    assert_eq!(shown.key.map(|(id, _)| id), Some(fixture.binding));
    assert_eq!(fixture.record().await.binding.status, BindingStatus::Active);
    fixture.links.follow(&token, ann()).await.expect("the first");
    let record = fixture.record().await;
    assert_eq!(record.binding.status, BindingStatus::Banned);
    assert_eq!(record.ban_reason, "by a link of alert al_1");
    assert_eq!(fixture.links.follow(&token, ann()).await, Err(LinkRefused::Used));
    let events = fixture.store.newest(1).await.expect("it works");
    assert_eq!(events[0].actor, "link: Ann");
}

#[tokio::test]
async fn a_network_is_added_to_the_others() {
    let fixture = fixture().await;
    let token = fixture.token(LinkAction::AllowNetwork);
    fixture.links.follow(&token, ann()).await.expect("the first");
    let networks: Vec<Network> = fixture.record().await.binding.networks.iter().copied().collect();
    assert_eq!(networks, [network("192.0.2.7/32"), network("198.51.100.0/24")]);
}

#[tokio::test]
async fn ignoring_leaves_only_an_event() {
    let fixture = fixture().await;
    let token = signer().sign(&link(LinkAction::Ignore, None));
    let before = fixture.record().await;
    fixture.links.follow(&token, ann()).await.expect("the first");
    assert_eq!(fixture.record().await, before);
    let events = fixture.store.newest(1).await.expect("it works");
    assert_eq!(
        (events[0].action.as_str(), events[0].detail.as_str()),
        ("alert_ignored", "alert al_1")
    );
}

#[tokio::test]
async fn what_is_forged_expired_or_has_nothing_left_to_act_on_is_refused_and_not_used_up() {
    let fixture = fixture().await;
    let gone = signer().sign(&link(LinkAction::Ban, Some(BindingId(999))));
    let ours = fixture.token(LinkAction::Ban);
    let late = Actor {
        at: NOW.plus(Duration::from_hours(1)),
        ..ann()
    };
    let forged = fixture.links.follow("x.y", ann()).await;
    assert_eq!(forged, Err(LinkRefused::Forged));
    assert_eq!(
        fixture.links.follow(&gone, ann()).await,
        Err(LinkRefused::Pointless)
    );
    assert_eq!(fixture.links.follow(&ours, late).await, Err(LinkRefused::Expired));
    assert!(fixture.links.follow(&ours, ann()).await.is_ok());
}

#[tokio::test]
async fn a_key_with_as_many_networks_as_it_may_have_gets_no_more() {
    let fixture = fixture().await;
    let many = (0..BINDING_NETWORKS_MAX).map(|number| network(&format!("10.0.{number}.0/24")));
    let set = fixture
        .store
        .set_networks(fixture.binding, many.collect(), ann())
        .await;
    set.expect("it works").expect("bound");
    let token = fixture.token(LinkAction::AllowNetwork);
    assert_eq!(
        fixture.links.follow(&token, ann()).await,
        Err(LinkRefused::Pointless)
    );
}
