use super::*;

#[test]
fn slots_are_used_again() {
    let mut connections = Connections::default();
    let first = connections.enter(Waker::noop().clone());
    let second = connections.enter(Waker::noop().clone());
    connections.leave(first);
    assert_eq!(connections.enter(Waker::noop().clone()), first);
    assert_eq!(connections.slots.len(), 2);
    connections.leave(second);
    connections.change_phase(Phase::Draining);
    assert_eq!(
        (connections.phase(), connections.is_over(first)),
        (Phase::Draining, false)
    );
    connections.change_phase(Phase::Closing);
    assert!(connections.is_over(first));
    assert_eq!(connections.slots.iter().flatten().count(), 1);
}

#[test]
fn a_changed_binding_ends_its_own_keys_requests_only() {
    let ip = |last| ClientIp::new([192, 0, 2, last].into());
    let key = |byte| KeyFingerprint::from_bytes([byte; 32]);
    let mut connections = Connections::default();
    let lives = [(1, 1), (1, 2), (2, 1)];
    for (byte, last) in lives {
        let index = connections.enter(Waker::noop().clone());
        connections.set_live(
            index,
            Some(Live {
                fingerprint: key(byte),
                client_ip: ip(last),
                binding: Some(BindingId(1)),
            }),
        );
    }
    let between_requests = connections.enter(Waker::noop().clone());
    assert_eq!(connections.live_keys().len(), 2);
    let look = connections.begin_look();
    assert_eq!(
        connections.judge(&key(1), look, |live| live.client_ip == ip(1)),
        1
    );
    assert_eq!(
        [0, 1, 2, between_requests].map(|index| connections.is_over(index)),
        [false, true, false, false]
    );
    assert_eq!(
        connections.judge(&key(1), look, |_| false),
        1,
        "each is ended once"
    );
}

#[test]
fn what_was_let_on_during_a_look_is_not_judged_by_it() {
    let key = KeyFingerprint::from_bytes([1; 32]);
    let mut connections = Connections::default();
    let live = Live {
        fingerprint: key,
        client_ip: ClientIp::new([192, 0, 2, 1].into()),
        binding: None,
    };
    let before = connections.enter(Waker::noop().clone());
    connections.set_live(before, Some(live));
    let look = connections.begin_look();
    let during = connections.enter(Waker::noop().clone());
    connections.set_live(during, Some(live));
    assert_eq!(connections.judge(&key, look, |_| false), 1);
    assert_eq!(
        [before, during].map(|index| connections.is_over(index)),
        [true, false]
    );
    let look = connections.begin_look();
    assert_eq!(connections.judge(&key, look, |_| false), 1, "the next one does");
}

fn live(byte: u8) -> Live {
    Live {
        fingerprint: KeyFingerprint::from_bytes([byte; 32]),
        client_ip: ClientIp::new([192, 0, 2, 1].into()),
        binding: Some(BindingId(i64::from(byte))),
    }
}

/// How many connections a change of this key's binding looks at.
fn visited(connections: &mut Connections, byte: u8) -> usize {
    let mut visited = 0;
    connections.visit(&KeyFingerprint::from_bytes([byte; 32]), |_| visited += 1);
    visited
}

/// What a change costs depends on its own key's connections, not on how many others there are.
#[test]
fn a_changed_binding_looks_at_its_own_keys_connections_only() {
    let mut connections = Connections::default();
    for number in 0..10_000_u32 {
        let mut bytes = [0xff; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let fingerprint = KeyFingerprint::from_bytes(bytes);
        let index = connections.enter(Waker::noop().clone());
        connections.set_live(
            index,
            Some(Live {
                fingerprint,
                ..live(0)
            }),
        );
    }
    for _ in 0..3 {
        let index = connections.enter(Waker::noop().clone());
        connections.set_live(index, Some(live(1)));
    }
    assert_eq!(visited(&mut connections, 1), 3);
    assert_eq!(visited(&mut connections, 2), 0);
    assert_eq!(connections.live_keys().len(), 10_001);
    let look = connections.begin_look();
    let key = live(1).fingerprint;
    connections.let_go(&key, |_| true);
    let ended = connections.judge(&key, look, |live| {
        assert_eq!((live.fingerprint, live.binding), (key, None));
        false
    });
    assert_eq!(ended, 3);
}

#[test]
fn a_connection_between_requests_is_not_under_way_and_is_found_again() {
    let mut connections = Connections::default();
    let index = connections.enter(Waker::noop().clone());
    for byte in [1, 1, 2, 1] {
        connections.set_live(index, Some(live(byte)));
        assert_eq!(connections.live_keys(), [live(byte).fingerprint]);
        assert_eq!(visited(&mut connections, byte), 1);
        assert_eq!(visited(&mut connections, 3 - byte), 0, "it is in one list");
        connections.set_live(index, None);
        assert!(connections.live_keys().is_empty());
        let look = connections.begin_look();
        assert_eq!(connections.judge(&live(byte).fingerprint, look, |_| false), 0);
    }
    connections.leave(index);
    assert!(connections.by_key.is_empty(), "nothing is left of it");
}

proptest::proptest! {
    /// Whatever comes, goes and changes its key in whatever order: each key's list holds those that carried it last.
    #[test]
    fn the_lists_hold_what_is_open(steps in proptest::collection::vec((0_usize..8, 0_u8..5), 0..200)) {
        let mut connections = Connections::default();
        let mut open: Vec<(usize, Option<u8>)> = Vec::new();
        for (which, what) in steps {
            match (open.len(), what) {
                (0..8, 0) => open.push((connections.enter(Waker::noop().clone()), None)),
                (1.., 1) => connections.leave(open.swap_remove(which % open.len()).0),
                (1.., byte) => {
                    let which = which % open.len();
                    connections.set_live(open[which].0, Some(live(byte)));
                    open[which].1 = Some(byte);
                }
                _ => {}
            }
            let mut keys = 0;
            for byte in 0..5 {
                let expected = open.iter().filter(|(_, key)| *key == Some(byte)).count();
                proptest::prop_assert_eq!(visited(&mut connections, byte), expected);
                keys += usize::from(expected > 0);
            }
            proptest::prop_assert_eq!(connections.live_keys().len(), keys);
            proptest::prop_assert_eq!(connections.by_key.len(), keys);
        }
    }
}
