//! The watch as it runs: when it looks, and how it ends.

use sentinel_core::ports::InterceptWatch as _;
use sentinel_testkit::bounded;

use super::*;

#[tokio::test]
async fn it_runs_until_it_is_told_to_stop_and_counts_what_is_there() {
    let fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    let (queue, receiver) = SignalQueue::new();
    let (queue, tally) = (Arc::new(queue), Arc::new(Tally::default()));
    let (stop, stopping) = watch::channel(false);
    let record = refusal(7, "198.51.100.7", fleet.clock.now(), 1);
    tally.saw(&vec![record; BATCH_MAX + 10]);
    stop.send_replace(true);
    let watch = fleet.watch(0);
    bounded("the watch's end", watch.run(tally, queue, receiver, stopping)).await;
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        alerts[0].seen.count,
        u64::try_from(BATCH_MAX).expect("small") + 10
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_is_looked_at_without_delay_and_the_next_ones_at_a_pace() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    let (queue, receiver) = SignalQueue::new();
    let (queue, tally) = (Arc::new(queue), Arc::new(Tally::default()));
    let (stop, stopping) = watch::channel(false);
    let asked = fleet.counters.asked();
    let running = tokio::spawn(fleet.watch(0).run(Arc::clone(&tally), queue, receiver, stopping));
    let record = refusal(7, "198.51.100.7", fleet.clock.now(), 5);
    let began = Instant::now();
    tally.saw(std::slice::from_ref(&record));
    while fleet.counters.asked() == asked {
        tokio::task::yield_now().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    tally.saw(std::slice::from_ref(&record));
    let counters = Arc::clone(&fleet.counters);
    let (before, step) = (counters.asked(), Duration::from_millis(1));
    while counters.asked() == before {
        tokio::time::sleep(step).await;
    }
    assert!(began.elapsed() >= PACE && began.elapsed() <= PACE + step * 2);
    stop.send_replace(true);
    running.await.expect("no panic");
    fleet.round().await;
    assert_eq!(fleet.alerts().await.len(), 1);
}
