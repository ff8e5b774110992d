//! Promises about the figures of the day: how much went through, who was refused most, and which replicas there are.

use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, SEVERAL_CLIENTS};
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{
    InterceptStore, REPLICAS_MAX, REPORT_MINUTES_MAX, Replica, STRETCHES_MAX, TOP_SUBJECTS_CUT_MAX,
    TOP_SUBJECTS_MAX, TrafficCounts, TrafficKept, TrafficMeasure, TrafficReport, TrafficSpan, TrafficStretch,
};

use super::intercepts::intercept;
use super::{AnyStore, address, at, fingerprint};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Minute number `number`, in which so much of one measure was counted.
pub(crate) fn minute(number: i64, measure: TrafficMeasure, count: u64) -> TrafficStretch {
    TrafficStretch {
        from: at(number * MINUTE_MS),
        counts: TrafficCounts::default().with(measure, count),
    }
}

fn replica(run: &str, seen_at: i64) -> Replica {
    Replica {
        run: run.to_owned(),
        name: "sentinel-0".to_owned(),
        version: "1.2.3".to_owned(),
        started_at: at(1),
        seen_at: at(seen_at),
        is_stopped: false,
        propagation_ms: None,
    }
}

/// Report number `number` of the replica `one`.
pub(crate) fn report(number: u64, minutes: Vec<TrafficStretch>) -> TrafficReport {
    report_of("one", number, minutes)
}

/// Report number `number` of any replica.
pub(crate) fn report_of(run: &str, number: u64, minutes: Vec<TrafficStretch>) -> TrafficReport {
    TrafficReport {
        replica: replica(run, 5_000 * i64::try_from(number).expect("small")),
        number,
        minutes,
    }
}

async fn counted(store: &impl AnyStore, span: TrafficSpan, measure: TrafficMeasure) -> Vec<(i64, u64)> {
    let stretches = store.traffic(span, at(0)).await.unwrap();
    stretches
        .iter()
        .map(|stretch| (stretch.from.unix_ms(), stretch.counts.of(measure)))
        .collect()
}

pub(crate) async fn reports_add_up_by_minute_hour_and_day(store: impl AnyStore) {
    let refused = TrafficMeasure::Refused(RefusalReason::KeyBanned);
    let mut both = minute(59, TrafficMeasure::Allowed, 3);
    both.counts.add(refused, 2);
    let minutes = vec![
        both,
        minute(60, TrafficMeasure::Allowed, 4),
        minute(1_440, TrafficMeasure::Allowed, 5),
    ];
    assert_eq!(store.report(report(1, minutes)).await, Ok(true));
    let more = vec![minute(59, TrafficMeasure::Allowed, 10)];
    assert_eq!(store.report(report_of("two", 1, more)).await, Ok(true));
    let allowed = TrafficMeasure::Allowed;
    assert_eq!(
        counted(&store, TrafficSpan::Minute, allowed).await,
        [(59 * MINUTE_MS, 13), (60 * MINUTE_MS, 4), (DAY_MS, 5)]
    );
    assert_eq!(
        counted(&store, TrafficSpan::Hour, allowed).await,
        [(0, 13), (HOUR_MS, 4), (DAY_MS, 5)]
    );
    assert_eq!(
        counted(&store, TrafficSpan::Day, allowed).await,
        [(0, 17), (DAY_MS, 5)]
    );
    assert_eq!(
        counted(&store, TrafficSpan::Day, refused).await,
        [(0, 2), (DAY_MS, 0)]
    );
    let later = store.traffic(TrafficSpan::Hour, at(HOUR_MS)).await.unwrap();
    assert_eq!(later.len(), 2);
}

pub(crate) async fn a_report_that_comes_again_counts_once(store: impl AnyStore) {
    let one = report(7, vec![minute(1, TrafficMeasure::Bound, 1)]);
    assert_eq!(store.report(one.clone()).await, Ok(true));
    assert_eq!(store.report(one.clone()).await, Ok(false));
    let earlier = report(6, one.minutes.clone());
    assert_eq!(store.report(earlier).await, Ok(false));
    let mut other_run = one.clone();
    other_run.replica.run = "two".to_owned();
    assert_eq!(store.report(other_run).await, Ok(true));
    assert_eq!(store.report(report(8, one.minutes)).await, Ok(true));
    let bound = counted(&store, TrafficSpan::Day, TrafficMeasure::Bound).await;
    assert_eq!(bound, [(0, 3)]);
}

pub(crate) async fn replicas_that_report_at_once_sum_up(store: impl AnyStore) {
    const REPLICAS: u64 = 8;
    const REPORTS: u64 = 12;
    let mut running = tokio::task::JoinSet::new();
    for replica in 0..REPLICAS {
        let store = store.clone();
        running.spawn(async move {
            for number in 1..=REPORTS {
                // In an order of its own.
                let mut minutes: Vec<TrafficStretch> = TrafficMeasure::all()
                    .zip([3, 1, 2].into_iter().cycle())
                    .map(|(measure, minute_number)| minute(minute_number, measure, 1))
                    .collect();
                if replica % 2 == 0 {
                    minutes.reverse();
                }
                let report = report_of(&format!("replica {replica}"), number, minutes);
                assert_eq!(store.report(report).await, Ok(true));
            }
        });
    }
    running.join_all().await;
    let day = store.traffic(TrafficSpan::Day, at(0)).await.unwrap();
    for measure in TrafficMeasure::all() {
        assert_eq!(day[0].counts.of(measure), REPLICAS * REPORTS, "{measure:?}");
    }
}

pub(crate) async fn counts_stop_at_their_largest(store: impl AnyStore) {
    let most = |minute_number| minute(minute_number, TrafficMeasure::Allowed, u64::MAX);
    for number in [1, 2] {
        let report = report(number, vec![most(1), most(2)]);
        assert_eq!(store.report(report).await, Ok(true));
    }
    let allowed = counted(&store, TrafficSpan::Day, TrafficMeasure::Allowed).await;
    assert_eq!(allowed, [(0, i64::MAX.unsigned_abs())]);
}

pub(crate) async fn stretches_of_time_have_a_maximum(store: impl AnyStore) {
    let minutes = i64::from(STRETCHES_MAX) + 1;
    let all: Vec<TrafficStretch> = (0..minutes)
        .map(|number| minute(number, TrafficMeasure::Allowed, 1).with_all())
        .collect();
    for (number, minutes) in all.chunks(REPORT_MINUTES_MAX).enumerate() {
        let report = report(number as u64 + 1, minutes.to_vec());
        assert_eq!(store.report(report).await, Ok(true));
    }
    let stretches = store.traffic(TrafficSpan::Minute, at(0)).await.unwrap();
    assert_eq!(stretches.len(), STRETCHES_MAX as usize);
    let last = at((minutes - 1) * MINUTE_MS);
    assert_eq!(
        (stretches[0].from, stretches[stretches.len() - 1].from),
        (at(MINUTE_MS), last)
    );
    assert!(stretches.iter().all(|stretch| stretch.counts == all[0].counts));
}

trait WithAll {
    fn with_all(self) -> Self;
}

impl WithAll for TrafficStretch {
    /// The same with some of every measure.
    fn with_all(mut self) -> Self {
        for measure in TrafficMeasure::all() {
            self.counts.add(measure, 1);
        }
        self
    }
}

pub(crate) async fn replicas_are_seen_as_they_reported_last(store: impl AnyStore) {
    store.report(report(1, Vec::new())).await.unwrap();
    store.report(report_of("two", 3, Vec::new())).await.unwrap();
    let mut last = report(2, Vec::new());
    last.replica.is_stopped = true;
    last.replica.propagation_ms = Some(7);
    store.report(last.clone()).await.unwrap();
    let seen = store.replicas(at(0)).await.unwrap();
    assert_eq!(seen, [replica("two", 15_000), last.replica]);
    let later = store.replicas(at(15_000)).await.unwrap();
    assert_eq!(later, [replica("two", 15_000)]);
}

pub(crate) async fn replicas_have_a_maximum(store: impl AnyStore) {
    for number in 1..=u64::from(REPLICAS_MAX) + 1 {
        let report = report_of(&format!("run {number}"), number, Vec::new());
        store.report(report).await.unwrap();
    }
    let seen = store.replicas(at(0)).await.unwrap();
    assert_eq!(seen.len(), REPLICAS_MAX as usize);
    assert_eq!(seen[0].run, format!("run {}", REPLICAS_MAX + 1));
}

fn refused(number: u32, from: &str, binding: Option<i64>, count: u32) -> Intercept {
    let mut one = intercept(number);
    one.client_ip = address(from);
    one.binding = binding.map(BindingId);
    one.fingerprint = binding.map(|_| fingerprint(number));
    one.hint = binding.map(|id| KeyHint::from_stored(format!("sk-{id}…")));
    one.count = count;
    one
}

async fn addresses(store: &impl AnyStore, span: TrafficSpan, from: i64) -> Vec<(String, u64)> {
    let top = store.top_refused(span, at(from), 10).await.unwrap();
    top.addresses
        .iter()
        .map(|top| (top.client_ip.to_string(), top.count))
        .collect()
}

pub(crate) async fn who_is_refused_most_is_known_by_hour_and_day(store: impl AnyStore) {
    let mut observed = refused(1, "192.0.2.9", Some(9), 99);
    observed.outcome = InterceptOutcome::Observed;
    let mut unknown = refused(2, "192.0.2.1", None, 1);
    unknown.fingerprint = Some(fingerprint(77));
    unknown.hint = Some(KeyHint::from_stored("sk-un…known".to_owned()));
    let mut of_many = refused(3, "192.0.2.1", Some(1), 4);
    of_many.client_ip = SEVERAL_CLIENTS;
    let batch = vec![
        observed,
        unknown,
        of_many,
        refused(4, "192.0.2.1", Some(1), 2),
        refused(5, "2001:db8::1", Some(2), 3),
        refused(6, "2001:db8::1", None, 1),
        // The next hour.
        refused(3_601, "2001:db8::1", Some(1), 10),
    ];
    InterceptStore::append(&store, batch).await.unwrap();
    let hour = store.top_refused(TrafficSpan::Hour, at(0), 10).await.unwrap();
    let keys: Vec<_> = hour
        .keys
        .iter()
        .map(|key| {
            let hint = key.hint.as_ref().map_or("", KeyHint::as_str);
            (key.binding.map(|id| id.0), hint, key.count)
        })
        .collect();
    assert_eq!(
        keys,
        [
            (Some(1), "sk-1…", 6),
            (Some(2), "sk-2…", 3),
            (None, "sk-un…known", 1)
        ]
    );
    assert_eq!((hour.other_keys, hour.other_addresses), (0, 4));
    assert_eq!(
        addresses(&store, TrafficSpan::Hour, 0).await,
        [("2001:db8::1".to_owned(), 4), ("192.0.2.1".to_owned(), 3)]
    );
    let day = store.top_refused(TrafficSpan::Day, at(0), 1).await.unwrap();
    assert_eq!((day.keys.len(), day.keys[0].count), (1, 16));
    assert_eq!((day.addresses.len(), day.addresses[0].count), (1, 14));
    let tomorrow = store.top_refused(TrafficSpan::Day, at(DAY_MS), 9).await.unwrap();
    assert!(tomorrow.keys.is_empty() && tomorrow.addresses.is_empty());
}

pub(crate) async fn a_batch_written_again_counts_its_refusals_once(store: impl AnyStore) {
    let batch = vec![
        refused(1, "192.0.2.1", None, 2),
        refused(1, "192.0.2.1", None, 2),
        refused(2, "192.0.2.1", None, 3),
    ];
    for _ in 0..2 {
        InterceptStore::append(&store, batch.clone()).await.unwrap();
    }
    let counted = addresses(&store, TrafficSpan::Day, 0).await;
    assert_eq!(counted, [("192.0.2.1".to_owned(), 5)]);
}

/// So many addresses, each refused once, from `first` on; within one hour.
pub(crate) fn many(first: u32, count: u32) -> Vec<Intercept> {
    (first..first + count)
        .map(|number| {
            let mut one = intercept(number);
            one.at = at(i64::from(number));
            one.client_ip = address(&std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string());
            one
        })
        .collect()
}

pub(crate) async fn a_list_has_a_maximum_and_loses_no_count(store: impl AnyStore) {
    let subjects = TOP_SUBJECTS_CUT_MAX + 1;
    let mut batch = many(1, subjects);
    batch[7].count = 50;
    for batch in batch.chunks(500) {
        InterceptStore::append(&store, batch.to_vec()).await.unwrap();
    }
    let limit = u32::MAX;
    let top = store.top_refused(TrafficSpan::Hour, at(0), limit).await.unwrap();
    assert_eq!(top.addresses.len(), TOP_SUBJECTS_MAX as usize);
    assert_eq!(top.addresses[0].client_ip, address("10.0.0.8"));
    let kept: u64 = top.addresses.iter().map(|address| address.count).sum();
    assert_eq!(kept + top.other_addresses, u64::from(subjects) + 49);
}

pub(crate) async fn who_comes_late_and_often_gets_a_place(store: impl AnyStore) {
    // A thousand that were there first have twenty each. Then come many that are there once, and among each thousand of them one four times:
    // never often enough at once to take a place, but more often than any other in the end.
    let mut first = many(1, TOP_SUBJECTS_MAX);
    for one in &mut first {
        one.count = 20;
    }
    InterceptStore::append(&store, first).await.unwrap();
    let late = address("192.0.2.200");
    let mut number = TOP_SUBJECTS_MAX + 1;
    for _ in 0..12 {
        let mut batch = many(number, TOP_SUBJECTS_MAX);
        number += TOP_SUBJECTS_MAX;
        for place in [100, 300, 500, 700] {
            batch[place].client_ip = late;
        }
        InterceptStore::append(&store, batch).await.unwrap();
    }
    let top = store.top_refused(TrafficSpan::Hour, at(0), 10).await.unwrap();
    let first = &top.addresses[0];
    assert_eq!(first.client_ip, late);
    assert!((21..=48).contains(&first.count), "{first:?}");
}

pub(crate) async fn what_is_old_is_forgotten(store: impl AnyStore) {
    let days = 3;
    let minutes = (0..days).map(|day| minute(day * 1_440, TrafficMeasure::Allowed, 1));
    store.report(report(1, minutes.collect())).await.unwrap();
    store.report(report_of("two", 2, Vec::new())).await.unwrap();
    for day in 0..days {
        let mut one = intercept(1);
        one.at = at(day * DAY_MS);
        InterceptStore::append(&store, vec![one]).await.unwrap();
    }
    let kept = TrafficKept {
        minutes_from: at(2 * DAY_MS),
        hours_from: at(DAY_MS),
        days_from: at(0),
        top_hours_from: at(2 * DAY_MS),
        top_days_from: at(DAY_MS),
        replicas_from: at(10_000),
    };
    let gone = store.forget(kept).await.unwrap();
    assert!(gone.is_some_and(|rows| rows > 0));
    let mut left = Vec::new();
    for span in TrafficSpan::ALL {
        left.push(counted(&store, span, TrafficMeasure::Allowed).await.len());
    }
    assert_eq!(left, [1, 2, 3]);
    for (span, day, is_kept) in [
        (TrafficSpan::Hour, 1, false),
        (TrafficSpan::Hour, 2, true),
        (TrafficSpan::Day, 0, false),
        (TrafficSpan::Day, 1, true),
    ] {
        let listed = addresses(&store, span, day * DAY_MS).await;
        assert_eq!(!listed.is_empty(), is_kept, "{span:?} {day}");
    }
    let seen = store.replicas(at(0)).await.unwrap();
    assert_eq!(seen, [replica("two", 10_000)]);
    assert_eq!(store.forget(kept).await, Ok(Some(0)));
}
