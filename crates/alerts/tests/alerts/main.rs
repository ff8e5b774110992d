//! The whole way by the public interface alone: refusals at three replicas, one alert, one delivery to each receiver. Must never leave
//! this machine.

mod counters;

use std::sync::Arc;
use std::time::Duration;

use sentinel_alerts::channel::{Feishu, HttpChannel, Webhook};
use sentinel_alerts::delivery::{CourierParts, Jitter};
use sentinel_alerts::links::{Console, LinkSigner};
use sentinel_alerts::memory::MemoryAlertStore;
use sentinel_alerts::outbound::{Dialer, Guard, HttpClient, HttpUrl, SystemResolver, trust};
use sentinel_alerts::text::Language;
use sentinel_alerts::watch::{SignalQueue, Tally, WatchParts, WatchSettings};
use sentinel_alerts::{Couriers, Secret, Watch};
use sentinel_core::alert::ports::{AlertFilter, AlertStore, DeliveryFilter, DeliveryState};
use sentinel_core::alert::{ChannelId, RuleKind, Rules};
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::InterceptWatch as _;
use sentinel_core::time::{Clock, SystemClock};
use sentinel_testkit::{Answer, ScriptedUpstream, bounded};
use tokio::sync::{Notify, watch};

use counters::SharedCounters;

const REPLICAS: usize = 3;

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

fn refusal() -> Intercept {
    Intercept {
        reference: Reference::random(),
        at: SystemClock.now(),
        last_at: SystemClock.now(),
        reason: RefusalReason::KeyIpMismatch,
        outcome: InterceptOutcome::Refused,
        binding: Some(BindingId(7)),
        networks: Vec::new().into(),
        fingerprint: Some(KeyFingerprint::from_bytes([7; 32])),
        hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
        client_ip: ClientIp::new("198.51.100.7".parse().expect("an address")),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        user_agent: "curl/8".to_owned(),
        count: 1,
        profile: "".into(),
        replica: "".into(),
    }
}

/// Only the rule that counts refusals of a key: others would raise alerts of their own.
fn rules() -> Rules {
    let mut rules = Rules::default();
    for kind in RuleKind::ALL {
        let mut rule = rules.get(kind).clone();
        rule.is_enabled = kind == RuleKind::RefusalsPerBinding;
        rules.set(rule).expect("good numbers");
    }
    rules
}

async fn until_delivered(store: &MemoryAlertStore, count: usize) {
    loop {
        let filter = DeliveryFilter {
            state: Some(DeliveryState::Delivered),
            limit: 100,
            ..DeliveryFilter::default()
        };
        if store.deliveries(filter).await.expect("deliveries").len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_attack_on_three_replicas_reaches_each_receiver_once() {
    let webhook = ScriptedUpstream::start(Answer::new(204, "")).await;
    let feishu = ScriptedUpstream::start(Answer::new(200, r#"{"code":0,"msg":"success"}"#)).await;
    let loopback = vec!["127.0.0.1".parse().expect("a network")];
    let guard = Guard::new(Arc::new(SystemResolver), loopback);
    let client = HttpClient::new(Dialer::new(guard, trust(b"").expect("public authorities")));
    let signer = LinkSigner::new(b"the installation's secret");
    let console = Console::new("https://sentinel.example.com", signer).expect("a URL");
    let console = Some(Arc::new(console));
    let url = |upstream: &ScriptedUpstream| HttpUrl::parse(&upstream.url(), true).expect("a URL");

    let store = MemoryAlertStore::new();
    let counters = Arc::new(SharedCounters::default());
    let channels = vec![channel("webhook"), channel("feishu")];
    let settings = WatchSettings {
        rules: rules(),
        channels: channels.clone(),
    };
    let (_settings, live) = watch::channel(Arc::new(settings));
    let (stop, stopping) = watch::channel(false);
    let mut tallies = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    let mut couriers = Vec::new();
    for number in 0..REPLICAS {
        let bell = Arc::new(Notify::new());
        let local = Arc::new(MemoryAlertStore::new());
        let parts = WatchParts {
            make_counters: counters.maker(),
            store: Arc::new(store.clone()),
            local: local.clone(),
            clock: Arc::new(SystemClock),
            bell: Arc::clone(&bell),
            replica: format!("replica-{number}"),
        };
        let (queue, signals) = SignalQueue::new();
        let (queue, tally) = (Arc::new(queue), Arc::new(Tally::default()));
        let watch = Watch::new(parts, live.clone());
        running.spawn(watch.run(Arc::clone(&tally), queue, signals, stopping.clone()));
        tallies.push(tally);
        let parts = CourierParts {
            outboxes: vec![Arc::new(store.clone()), local],
            clock: Arc::new(SystemClock),
            jitter: Jitter::random(),
            bell,
        };
        let webhook = Webhook::new(url(&webhook), Vec::new()).expect("no secrets");
        let feishu = Feishu::new(url(&feishu), Some(Secret::new("secret")));
        let (one, two) = (channels[0].clone(), channels[1].clone());
        let channels: Vec<Arc<dyn sentinel_alerts::channel::Channel>> = vec![
            Arc::new(HttpChannel::new(
                one,
                webhook,
                client.clone(),
                Language::English,
                console.clone(),
            )),
            Arc::new(HttpChannel::new(
                two,
                feishu,
                client.clone(),
                Language::Chinese,
                console.clone(),
            )),
        ];
        couriers.push(Couriers::start(channels, &parts).expect("two channels"));
    }

    for _ in 0..10 {
        for tally in &tallies {
            tally.saw(&[refusal()]);
        }
    }
    bounded("both deliveries", until_delivered(&store, 2)).await;
    stop.send_replace(true);
    bounded("the watches' end", async {
        while running.join_next().await.is_some() {}
    })
    .await;
    for couriers in couriers {
        bounded("the couriers' end", couriers.stop()).await;
    }

    let filter = AlertFilter {
        limit: 10,
        ..AlertFilter::default()
    };
    let alerts = store.alerts(filter).await.expect("alerts");
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0].alert;
    assert_eq!((alert.rule, alert.seen.peak), (RuleKind::RefusalsPerBinding, 30));
    for (receiver, name) in [(&webhook, "webhook"), (&feishu, "feishu")] {
        assert_eq!(receiver.requests().len(), 1, "{name}");
    }
    let seen = webhook.wait_for_body(0).await;
    assert_eq!(seen.header("webhook-id"), Some(format!("{}.0", alert.id)));
    let card = feishu.wait_for_body(0).await;
    assert!(String::from_utf8_lossy(&card.body).contains("密钥被频繁拒绝"));
}
