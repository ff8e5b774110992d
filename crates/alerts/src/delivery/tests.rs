mod scripted;

use std::time::Duration;

use sentinel_core::alert::ChannelId;
use sentinel_core::alert::conformance::draft;
use sentinel_core::alert::ports::{Delivery, DeliveryFilter, DeliveryState, Transition};
use sentinel_core::ports::StoreError;

use self::scripted::{ScriptedChannel, Step, failure};
use super::*;
use crate::channel::Again;
use crate::memory::MemoryAlertStore;
use crate::testing::{FlakyOutbox, TokioClock, channel_id};

/// The longest that a test looks for a state; tokio's clock is paused, so it takes no time.
const LOOKED_FOR_MAX: Duration = Duration::from_hours(48);
const LOOK_PAUSE: Duration = Duration::from_millis(100);

struct Post {
    outbox: MemoryAlertStore,
    parts: CourierParts,
    clock: Arc<TokioClock>,
}

impl Post {
    fn new() -> Self {
        let outbox = MemoryAlertStore::new();
        Self::with(outbox.clone(), Arc::new(outbox))
    }

    fn with(outbox: MemoryAlertStore, seen_as: Arc<dyn AlertStore>) -> Self {
        let clock = TokioClock::start();
        let parts = CourierParts {
            outboxes: vec![seen_as],
            clock: clock.clone(),
            jitter: Jitter::fixed(1_000),
            bell: Arc::default(),
        };
        Self { outbox, parts, clock }
    }

    fn start(&self, channels: &[&Arc<ScriptedChannel>]) -> Couriers {
        let channels = channels
            .iter()
            .map(|channel| Arc::clone(channel) as Arc<dyn Channel>)
            .collect();
        Couriers::start(channels, &self.parts).expect("few channels")
    }

    /// Raises one alert for these channels and rings.
    async fn raise(&self, number: i64, channels: &[&ScriptedChannel]) {
        let ids: Vec<ChannelId> = channels.iter().map(|channel| channel.id().clone()).collect();
        let alert = draft(number, self.clock.now().unix_ms());
        let wanted = Transition::Raise(Box::new(alert));
        self.outbox.transition(wanted, &ids).await.expect("raised");
        self.parts.bell.notify_waiters();
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            limit: 1_000,
            ..DeliveryFilter::default()
        };
        self.outbox.deliveries(filter).await.expect("deliveries")
    }

    async fn wait_for(&self, state: DeliveryState, count: usize) -> Vec<Delivery> {
        for _ in 0..LOOKED_FOR_MAX.as_millis() / LOOK_PAUSE.as_millis() {
            let mut found = self.deliveries().await;
            found.retain(|delivery| delivery.state == state);
            if found.len() == count {
                return found;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        panic!("{count} {state:?}: {:?}", self.deliveries().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_goes_out_at_once_and_once() {
    let post = Post::new();
    let channel = ScriptedChannel::new("ops", []);
    let couriers = post.start(&[&channel]);
    tokio::time::sleep(LOOK_PAUSE).await;
    let raised = post.clock.now();
    post.raise(1, &[&channel]).await;
    post.wait_for(DeliveryState::Delivered, 1).await;
    tokio::time::sleep(LEASE * 3).await;
    let sent = channel.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].at.since(raised) < POLL, "the bell woke the courier");
    couriers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_rings_for_is_found_by_asking() {
    let post = Post::new();
    let channel = ScriptedChannel::new("ops", []);
    let _couriers = post.start(&[&channel]);
    tokio::time::sleep(LOOK_PAUSE).await;
    let alert = Box::new(draft(1, post.clock.now().unix_ms()));
    let wanted = Transition::Raise(alert);
    let raised = post.outbox.transition(wanted, &[channel_id("ops")]).await;
    raised.expect("raised");
    post.wait_for(DeliveryState::Delivered, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_for_a_while_gets_it_when_it_is_back() {
    let post = Post::new();
    let down = failure(Again::Later(None));
    let channel = ScriptedChannel::new("ops", [down.clone(), down.clone(), down]);
    let _couriers = post.start(&[&channel]);
    post.raise(1, &[&channel]).await;
    let delivered = post.wait_for(DeliveryState::Delivered, 1).await;
    assert_eq!(delivered[0].attempts, 4);
    let sent = channel.sent();
    let names: Vec<&str> = sent.iter().map(|sent| sent.notice.as_str()).collect();
    assert!(
        names.iter().all(|name| *name == names[0]),
        "the same name each time"
    );
    let pauses: Vec<Duration> = sent.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    for (pause, doublings) in pauses.iter().zip(0..) {
        let expected = BACKOFF_FIRST * 2_u32.pow(doublings);
        assert!(*pause >= expected && *pause <= expected + POLL * 2, "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_receiver_asks_for_is_kept() {
    let post = Post::new();
    let asked = Duration::from_mins(20);
    let channel = ScriptedChannel::new("ops", [failure(Again::Later(Some(asked)))]);
    let _couriers = post.start(&[&channel]);
    post.raise(1, &[&channel]).await;
    post.wait_for(DeliveryState::Delivered, 1).await;
    let sent = channel.sent();
    let pause = sent[1].at.since(sent[0].at);
    assert!(pause >= asked && pause <= asked + POLL * 2, "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_stands_among_the_dead_and_is_brought_back() {
    let post = Post::new();
    let steps = std::iter::repeat_n(failure(Again::Later(None)), ATTEMPTS_MAX as usize);
    let channel = ScriptedChannel::new("ops", steps);
    let _couriers = post.start(&[&channel]);
    post.raise(1, &[&channel]).await;
    let dead = post.wait_for(DeliveryState::Dead, 1).await;
    assert_eq!(dead[0].attempts, ATTEMPTS_MAX);
    assert_eq!(dead[0].last_error.as_deref(), Some("scripted"));
    assert_eq!(channel.sent().len(), ATTEMPTS_MAX as usize);
    let now = post.clock.now();
    assert_eq!(post.outbox.retry(dead[0].id, now).await, Ok(true));
    post.wait_for(DeliveryState::Delivered, 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_no_attempt_can_help_is_given_up_at_once() {
    let post = Post::new();
    let channel = ScriptedChannel::new("ops", [failure(Again::Never)]);
    let _couriers = post.start(&[&channel]);
    post.raise(1, &[&channel]).await;
    let dead = post.wait_for(DeliveryState::Dead, 1).await;
    assert_eq!(dead[0].attempts, 1);
}

/// The process dies, or the store does, between the sending and its mark.
#[tokio::test(start_paused = true)]
async fn what_was_sent_but_not_marked_is_sent_again_under_the_same_name() {
    let outbox = MemoryAlertStore::new();
    let flaky = Arc::new(FlakyOutbox::new(outbox.clone()));
    flaky.fail_marks(MARK_ATTEMPTS_MAX);
    let post = Post::with(outbox, flaky);
    let channel = ScriptedChannel::new("ops", []);
    let _couriers = post.start(&[&channel]);
    post.raise(1, &[&channel]).await;
    let delivered = post.wait_for(DeliveryState::Delivered, 1).await;
    let sent = channel.sent();
    assert_eq!((sent.len(), delivered[0].attempts), (2, 2));
    assert_eq!(sent[0].notice, sent[1].notice);
    assert!(sent[1].at.since(sent[0].at) >= LEASE);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_delays_and_loses_nothing() {
    let outbox = MemoryAlertStore::new();
    let flaky = Arc::new(FlakyOutbox::new(outbox.clone()));
    flaky.set_away(true);
    let post = Post::with(outbox, flaky.clone());
    let channel = ScriptedChannel::new("ops", []);
    let _couriers = post.start(&[&channel]);
    post.raise(1, &[&channel]).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(channel.sent().len(), 0);
    flaky.set_away(false);
    post.wait_for(DeliveryState::Delivered, 1).await;
    assert_eq!(
        AlertStore::open(&*flaky).await.map(|open| open.len()),
        Ok::<_, StoreError>(1)
    );
}

#[tokio::test(start_paused = true)]
async fn two_replicas_never_send_the_same_delivery_at_once() {
    let post = Post::new();
    let slow = std::iter::repeat_n(Step::Take(Duration::from_secs(20)), 60);
    let channel = ScriptedChannel::new("ops", slow);
    for number in 0..60 {
        post.raise(number, &[&channel]).await;
    }
    let replicas = [post.start(&[&channel]), post.start(&[&channel])];
    post.wait_for(DeliveryState::Delivered, 60).await;
    let mut names: Vec<String> = channel.sent().into_iter().map(|sent| sent.notice).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), channel.sent().len()), (60, 60), "each once");
    assert!(channel.most_at_once() <= 2 * CONCURRENT_MAX);
    for couriers in replicas {
        couriers.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_takes_so_many_places_and_delays_no_other() {
    let post = Post::new();
    let hanging = ScriptedChannel::new("hangs", std::iter::repeat_n(Step::Hang, CONCURRENT_MAX + 1));
    let quick = ScriptedChannel::new("quick", []);
    let _couriers = post.start(&[&hanging, &quick]);
    for number in 0..20 {
        post.raise(number, &[&hanging, &quick]).await;
    }
    let began = post.clock.now();
    post.wait_for(DeliveryState::Delivered, 20).await;
    assert!(post.clock.now().since(began) < ATTEMPT_TIMEOUT);
    assert_eq!(hanging.most_at_once(), CONCURRENT_MAX);
    let late = post.deliveries().await;
    let cut: Vec<_> = late
        .iter()
        .filter(|delivery| delivery.channel == *hanging.id())
        .collect();
    assert!(
        cut.iter()
            .all(|delivery| delivery.state == DeliveryState::Pending)
    );
    post.wait_for(DeliveryState::Delivered, 40).await;
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_asks_once_and_lets_all_through_again() {
    let post = Post::new();
    // Some are under way when the last one fails that it takes.
    let before = FAILURES_MAX as usize - 1 + CONCURRENT_MAX;
    let down = std::iter::repeat_n(failure(Again::Later(None)), before + 1);
    let channel = ScriptedChannel::new("ops", down);
    for number in 0..20 {
        post.raise(number, &[&channel]).await;
    }
    let _couriers = post.start(&[&channel]);
    post.wait_for(DeliveryState::Delivered, 20).await;
    let sent = channel.sent();
    let (opened, probe, second) = (sent[before - 1].at, sent[before].at, sent[before + 1].at);
    let pause = probe.since(opened);
    assert!(pause >= OPEN_FIRST && pause <= OPEN_FIRST + POLL * 2, "{pause:?}");
    let pause = second.since(probe);
    let expected = OPEN_FIRST * 2;
    assert!(
        pause >= expected && pause <= expected + POLL * 2,
        "one probe at a time: {pause:?}"
    );
    let attempts: u32 = post
        .deliveries()
        .await
        .iter()
        .map(|delivery| delivery.attempts)
        .sum();
    assert_eq!(attempts as usize, sent.len(), "waiting costs no attempt");
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_is_under_way_and_begins_nothing_more() {
    let post = Post::new();
    let slow = std::iter::repeat_n(Step::Take(Duration::from_secs(20)), 20);
    let channel = ScriptedChannel::new("ops", slow);
    for number in 0..20 {
        post.raise(number, &[&channel]).await;
    }
    let couriers = post.start(&[&channel]);
    while channel.sent().len() < CONCURRENT_MAX {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    couriers.stop().await;
    assert_eq!(channel.sent().len(), CONCURRENT_MAX);
    assert_eq!(
        post.wait_for(DeliveryState::Delivered, CONCURRENT_MAX)
            .await
            .len(),
        CONCURRENT_MAX
    );
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(channel.sent().len(), CONCURRENT_MAX);
}

#[tokio::test]
async fn there_are_so_many_channels_at_most() {
    let post = Post::new();
    let channels = |count: usize| -> Vec<Arc<dyn Channel>> {
        (0..count)
            .map(|number| ScriptedChannel::new(&format!("c{number}"), []) as Arc<dyn Channel>)
            .collect()
    };
    assert!(Couriers::start(channels(CHANNELS_MAX), &post.parts).is_ok());
    let more = Couriers::start(channels(CHANNELS_MAX + 1), &post.parts);
    assert_eq!(more.map(drop), Err(TooManyChannels));
}

#[test]
fn a_lease_is_longer_than_an_attempt_and_all_marks() {
    assert!(crate::channel::SMTP_TIMEOUT < ATTEMPT_TIMEOUT);
    assert!(crate::outbound::HTTP_TIMEOUT < ATTEMPT_TIMEOUT);
    assert!(ATTEMPT_TIMEOUT + Duration::from_secs(30) < LEASE);
    assert!(BACKOFF_MAX < DELIVERY_AGE_MAX && OPEN_MAX < BACKOFF_MAX);
}
