use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use sentinel_core::decision::RefusalReason;

use super::super::tests::intercept;
use super::*;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn take(inbox: &Inbox) -> Taken {
    inbox.take(Vec::new(), Duration::ZERO)
}

#[test]
fn what_is_taken_comes_in_order_with_the_last_ticket() {
    let inbox = Inbox::default();
    let tickets: Vec<_> = (0..3)
        .map(|_| inbox.record(intercept(RefusalReason::KeyBanned)).0)
        .collect();
    assert_eq!(tickets, [1, 2, 3]);
    let taken = take(&inbox);
    assert_eq!((taken.records.len(), taken.ticket), (3, 3));
    assert_eq!(take(&inbox).ticket, 3);
}

#[test]
fn beyond_the_bound_records_are_counted_and_settled_all_the_same() {
    let inbox = Inbox::default();
    for _ in 0..QUEUED_MAX {
        inbox.record(intercept(RefusalReason::KeyIpMismatch));
    }
    assert_eq!((inbox.waiting(), inbox.overflowed()), (QUEUED_MAX, 0));
    inbox.record(intercept(RefusalReason::KeyBanned));
    let last = inbox.record(intercept(RefusalReason::KeyMissing));
    let taken = take(&inbox);
    assert_eq!(taken.records.len(), QUEUED_MAX);
    assert_eq!(taken.overflow.words(), "key_banned 1, key_missing 1");
    assert_eq!((taken.ticket, inbox.overflowed()), (last.0, 2));
    assert!(take(&inbox).overflow.is_empty());
    assert!(emptied(taken.records).capacity() <= BUFFER_RECORDS_KEPT);
}

#[test]
fn a_flood_of_cheap_refusals_leaves_room_for_a_stolen_key() {
    let inbox = Inbox::default();
    for _ in 0..QUEUED_MAX {
        inbox.record(intercept(RefusalReason::CredentialAmbiguous));
    }
    assert_eq!(inbox.waiting(), QUEUED_MAX - QUEUE_RESERVE);
    for _ in 0..QUEUE_RESERVE {
        inbox.record(intercept(RefusalReason::KeyBanned));
    }
    assert_eq!(inbox.waiting(), QUEUED_MAX);
    assert_eq!(
        take(&inbox).overflow.words(),
        format!("credential_ambiguous {QUEUE_RESERVE}")
    );
}

#[test]
fn whoever_waits_is_woken_once_by_the_next_settlement() {
    let inbox = Inbox::default();
    let woken = Arc::<Woken>::default();
    let count = || woken.0.load(Ordering::SeqCst);
    let waker = Waker::from(Arc::clone(&woken));
    inbox.record(intercept(RefusalReason::KeyBanned));
    inbox.wake_beyond(RecordTicket(0), &waker);
    inbox.wake_beyond(RecordTicket(0), &waker);
    assert_eq!(count(), 0);
    inbox.settle(1);
    assert_eq!((count(), inbox.settled()), (1, RecordTicket(1)));
    inbox.settle(2);
    assert_eq!(count(), 1);
    inbox.wake_beyond(RecordTicket(1), &waker);
    assert_eq!(count(), 2, "it is settled already");
}

#[test]
fn a_sleeping_thread_is_woken_by_a_record_and_by_the_end() {
    let inbox = Arc::<Inbox>::default();
    for is_last in [false, true] {
        let taking = {
            let inbox = Arc::clone(&inbox);
            std::thread::spawn(move || inbox.take(Vec::new(), Duration::from_mins(10)))
        };
        if is_last {
            inbox.close();
        } else {
            inbox.record(intercept(RefusalReason::KeyBanned));
        }
        let taken = taking.join().expect("no panic");
        assert_eq!(
            (taken.records.len(), taken.is_closed),
            (usize::from(!is_last), is_last)
        );
    }
}
