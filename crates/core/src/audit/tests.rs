use super::*;
use crate::network::ClientIp;
use crate::time::Timestamp;

fn event(number: i64) -> AdminEvent {
    AdminEvent {
        at: Timestamp::from_unix_ms(number),
        actor: "root".to_owned(),
        client_ip: Some(ClientIp::new("192.0.2.1".parse().expect("an address"))),
        action: "ban".to_owned(),
        detail: format!("number {number}"),
    }
}

/// Events 4 to 8, of which 1 to 3 were there before the chain.
fn chain() -> (ChainHead, Vec<ChainedEvent>) {
    let mut hash = ChainHash::BEGINNING;
    let chained: Vec<ChainedEvent> = (4..=8)
        .map(|id| {
            let before = hash;
            hash = before.followed_by(&event(id));
            ChainedEvent {
                id,
                event: event(id),
                hashes: Some((before, hash)),
            }
        })
        .collect();
    let head = ChainHead {
        began_after: 3,
        length: 5,
        last_id: 8,
        hash,
    };
    (head, chained)
}

fn verdict(head: ChainHead, chained: &[ChainedEvent]) -> Verdict {
    let mut verifier = Verifier::new(head);
    let ended = chained.iter().find_map(|event| verifier.look(event));
    ended.unwrap_or_else(|| verifier.finish())
}

#[test]
fn an_untouched_chain_is_whole_also_while_it_grows() {
    let (head, mut chained) = chain();
    let whole = Verdict {
        checked: 5,
        first_broken: None,
    };
    assert_eq!(verdict(head, &chained), whole);
    chained.push(ChainedEvent {
        id: 9,
        event: event(9),
        hashes: None,
    });
    assert_eq!(verdict(head, &chained), whole);
}

#[test]
fn every_change_of_a_member_is_found() {
    let changes: [fn(&mut AdminEvent); 5] = [
        |event| event.at = Timestamp::from_unix_ms(1),
        |event| event.actor = "toor".to_owned(),
        |event| event.client_ip = None,
        |event| event.action = "unban".to_owned(),
        |event| event.detail.push(' '),
    ];
    for change in changes {
        let (head, mut chained) = chain();
        change(&mut chained[2].event);
        let found = verdict(head, &chained);
        assert_eq!((found.checked, found.first_broken), (2, Some(6)));
    }
}

#[test]
fn a_removed_moved_or_added_event_is_found() {
    for (place, id) in [(0, 5), (2, 7), (4, 8)] {
        let (head, mut chained) = chain();
        chained.remove(place);
        assert_eq!(verdict(head, &chained).first_broken, Some(id));
    }
    let (head, mut chained) = chain();
    chained.swap(1, 2);
    (chained[1].id, chained[2].id) = (5, 6);
    assert_eq!(verdict(head, &chained).first_broken, Some(5));
    let (head, mut chained) = chain();
    chained[1].hashes = None;
    assert_eq!(verdict(head, &chained).first_broken, Some(5));
    let (head, _) = chain();
    assert_eq!(verdict(head, &[]).first_broken, Some(4));
}

#[test]
fn what_two_members_hold_is_not_what_one_holds() {
    let (mut one, mut other) = (event(1), event(1));
    (one.actor, one.action) = ("a\",\"b".to_owned(), "c".to_owned());
    (other.actor, other.action) = ("a".to_owned(), "b\",\"c".to_owned());
    let hash = ChainHash::BEGINNING;
    assert_ne!(hash.followed_by(&one), hash.followed_by(&other));
}
