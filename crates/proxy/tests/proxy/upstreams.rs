//! Several upstream addresses: who gets a request, what happens when one of them dies and comes back, and how names are followed.

mod descriptors;
mod log;
mod relay;
mod resolver;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sentinel_proxy::{Bounds, HealthPath, HostHeader, Upstream, UpstreamTarget};
use sentinel_testkit::{Answer, ScriptedUpstream, bounded, unreachable_address};

use self::relay::Relay;
use self::resolver::ScriptedResolver;
use crate::support::{CHAT, KEY, Options, Sentinel, code, upstream};

/// A time that no test reaches.
const NEVER: Duration = Duration::from_hours(1);

/// In front of these origins, with `set` over bounds under which an address that failed is tried again at once, and nothing
/// is tried by itself.
fn start(urls: &[String], set: impl FnOnce(&mut Options)) -> Sentinel {
    let target = UpstreamTarget::parse(&urls.join(",")).expect("origins");
    Sentinel::start_with(([127, 0, 0, 1], 1).into(), |options| {
        options.upstream = Some(Upstream::new(target));
        options.bounds = Bounds {
            upstream_health_interval: NEVER,
            upstream_down_min: NEVER,
            upstream_down_max: NEVER,
            ..Bounds::default()
        };
        set(options);
    })
}

/// Waits until so many of the addresses are known and work.
async fn wait_for_addresses(sentinel: &Sentinel, known: usize, up: usize) {
    let figures = sentinel.engine.figures();
    bounded(&format!("{up} of {known} addresses to work"), async {
        loop {
            let now = figures.snapshot();
            if (now.upstream_addresses, now.upstream_addresses_up) == (known, up) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn post() -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 2\r\n\r\n{{}}")
}

async fn chats(sentinel: &Sentinel, count: usize) {
    for _ in 0..count {
        assert_eq!(sentinel.chat().await.status(), 200);
    }
}

#[tokio::test]
async fn two_upstreams_share_the_load() {
    let (one, two) = (upstream().await, upstream().await);
    let sentinel = start(&[one.url(), two.url()], |_| {});
    chats(&sentinel, 10).await;
    assert_eq!((one.requests().len(), two.requests().len()), (5, 5));
    let figures = sentinel.engine.figures().snapshot();
    assert_eq!(
        (figures.upstream_connected, figures.upstream_reused),
        (2, 8),
        "each has idle connections of its own"
    );
    wait_for_addresses(&sentinel, 2, 2).await;
}

#[tokio::test]
async fn the_upstream_with_fewer_requests_under_way_gets_the_next() {
    let (one, two) = (upstream().await, upstream().await);
    let sentinel = start(&[one.url(), two.url()], |_| {});
    one.answer_next(Answer::never());
    let mut held = sentinel.client().await;
    held.send(post()).await;
    one.wait_for_requests(1).await;
    chats(&sentinel, 5).await;
    assert_eq!((one.requests().len(), two.requests().len()), (1, 5));
}

#[tokio::test]
async fn when_one_dies_its_share_moves_and_comes_back_with_it() {
    let (one, two) = (upstream().await, upstream().await);
    let front = Relay::start(one.address()).await;
    let sentinel = start(&[front.url(), two.url()], |options| {
        options.bounds.upstream_health_interval = Duration::from_millis(10);
    });
    chats(&sentinel, 4).await;
    assert_eq!(one.requests().len(), 2);
    let port = front.stop().await;
    chats(&sentinel, 10).await;
    assert_eq!((one.requests().len(), two.requests().len()), (2, 12));
    wait_for_addresses(&sentinel, 2, 1).await;

    let _front = Relay::start_on(port, one.address()).await;
    wait_for_addresses(&sentinel, 2, 2).await;
    chats(&sentinel, 4).await;
    assert_eq!((one.requests().len(), two.requests().len()), (4, 14));
}

/// Without a health check it is the next request after the time of being avoided that finds out.
#[tokio::test]
async fn an_address_that_was_avoided_for_its_time_is_tried_by_a_request() {
    let (one, two) = (upstream().await, upstream().await);
    let front = Relay::start(one.address()).await;
    let sentinel = start(&[front.url(), two.url()], |options| {
        options.bounds.upstream_down_min = Duration::from_millis(1);
        options.bounds.upstream_down_max = Duration::from_millis(1);
    });
    let port = front.stop().await;
    chats(&sentinel, 4).await;
    assert!(one.requests().is_empty());
    let _front = Relay::start_on(port, one.address()).await;
    bounded("the first address to be used again", async {
        while one.requests().is_empty() {
            chats(&sentinel, 1).await;
        }
    })
    .await;
    wait_for_addresses(&sentinel, 2, 2).await;
}

#[tokio::test]
async fn a_request_under_way_on_a_dying_upstream_is_a_502_and_not_sent_again() {
    let (one, two) = (upstream().await, upstream().await);
    let front = Relay::start(one.address()).await;
    let sentinel = start(&[front.url(), two.url()], |_| {});
    one.answer_next(Answer::never());
    let mut client = sentinel.client().await;
    client.send(post()).await;
    one.wait_for_requests(1).await;
    let _port = front.stop().await;
    assert_eq!(client.read_response().await.status(), 502);
    assert_eq!((one.requests().len(), two.requests().len()), (1, 0));
    chats(&sentinel, 4).await;
    assert_eq!((one.requests().len(), two.requests().len()), (1, 4));
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_before_an_answer_marks_its_address() {
    let (one, two) = (upstream().await, upstream().await);
    one.answer_next(Answer::reset());
    let sentinel = start(&[one.url(), two.url()], |_| {});
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(sentinel.chat().await.status());
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 502).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(one.requests().len(), 1);
    wait_for_addresses(&sentinel, 2, 1).await;
}

#[tokio::test]
async fn when_all_are_down_the_answer_is_a_502_at_once() {
    let dead = [unreachable_address().await, unreachable_address().await];
    let sentinel = start(&dead.map(|address| format!("http://{address}")), |options| {
        options.bounds.connect_timeout = NEVER;
    });
    for _ in 0..3 {
        let refused = sentinel.chat().await;
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (502, "upstream_unreachable")
        );
    }
    wait_for_addresses(&sentinel, 2, 0).await;
}

#[tokio::test]
async fn a_single_upstream_is_tried_by_every_request() {
    let one = upstream().await;
    let front = Relay::start(one.address()).await;
    let sentinel = start(&[front.url()], |_| {});
    let port = front.stop().await;
    assert_eq!(sentinel.chat().await.status(), 502);
    let _front = Relay::start_on(port, one.address()).await;
    chats(&sentinel, 2).await;
    wait_for_addresses(&sentinel, 1, 1).await;
}

#[tokio::test]
async fn an_address_that_fails_its_health_check_gets_no_requests() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let ill = Arc::clone(&is_ill);
    let one = ScriptedUpstream::start_with(move |request| match request.target.as_str() {
        "/healthz" if ill.load(Ordering::SeqCst) => Answer::new(503, "{}"),
        _ => Answer::new(200, "{}"),
    })
    .await;
    let two = upstream().await;
    let sentinel = start(&[one.url(), two.url()], |options| {
        options.bounds.upstream_health_interval = Duration::from_millis(10);
        let upstream = options.upstream.as_mut().expect("it was set");
        upstream.health_path = HealthPath::parse("/healthz");
    });
    let chats_of = |upstream: &ScriptedUpstream| {
        let requests = upstream.requests();
        requests.iter().filter(|request| request.target == CHAT).count()
    };
    wait_for_addresses(&sentinel, 2, 1).await;
    chats(&sentinel, 4).await;
    assert_eq!((chats_of(&one), chats_of(&two)), (0, 4));
    let checks = one.requests();
    assert_eq!(checks[0].method, "GET");
    assert_eq!(checks[0].header("host"), Some(one.address().to_string()));
    assert_eq!(checks[0].header("authorization"), None);

    is_ill.store(false, Ordering::SeqCst);
    wait_for_addresses(&sentinel, 2, 2).await;
    chats(&sentinel, 4).await;
    assert_eq!((chats_of(&one), chats_of(&two)), (2, 6));
}

#[tokio::test]
async fn each_upstream_sees_its_own_name() {
    let (one, two) = (upstream().await, upstream().await);
    let sentinel = start(&[one.url(), two.url()], |options| {
        options.host_header = HostHeader::Upstream;
    });
    chats(&sentinel, 4).await;
    for upstream in [&one, &two] {
        for request in upstream.requests() {
            assert_eq!(request.header("host"), Some(upstream.address().to_string()));
        }
    }
}

#[tokio::test]
async fn a_name_is_followed_to_its_other_addresses() {
    let (one, two) = (upstream().await, upstream().await);
    let resolver = ScriptedResolver::new(Ok(vec![one.address()]));
    let sentinel = start(&["http://gateway.test".to_owned()], |options| {
        options.bounds.upstream_resolve_interval = Duration::from_millis(10);
        options.upstream.as_mut().expect("it was set").resolver = resolver.clone();
    });
    chats(&sentinel, 2).await;
    assert_eq!(one.requests().len(), 2);
    assert_eq!(one.requests()[0].header("host"), Some("test.invalid".to_owned()));

    resolver.answer(Ok(vec![one.address(), two.address()]));
    wait_for_addresses(&sentinel, 2, 2).await;
    chats(&sentinel, 4).await;
    assert_eq!((one.requests().len(), two.requests().len()), (4, 2));

    resolver.answer(Ok(vec![two.address()]));
    wait_for_addresses(&sentinel, 1, 1).await;
    one.wait_for_clients_gone(1).await;
    chats(&sentinel, 2).await;
    assert_eq!((one.requests().len(), two.requests().len()), (4, 4));

    // While it cannot be looked up, or has no address, what was known stays.
    for answer in [Err("no answer"), Ok(Vec::new())] {
        resolver.answer(answer);
        resolver.wait_for_lookups(2).await;
        chats(&sentinel, 1).await;
    }
    assert_eq!(two.requests().len(), 6);
}

#[tokio::test]
async fn a_name_that_means_nothing_is_a_502_at_once_and_found_later() {
    let one = upstream().await;
    let resolver = ScriptedResolver::new(Err("no such host"));
    let sentinel = start(&["http://gateway.test".to_owned()], |options| {
        options.bounds.connect_timeout = NEVER;
        options.bounds.upstream_resolve_interval = Duration::from_millis(10);
        options.upstream.as_mut().expect("it was set").resolver = resolver.clone();
    });
    assert_eq!(sentinel.chat().await.status(), 502);
    resolver.answer(Ok(vec![one.address()]));
    wait_for_addresses(&sentinel, 1, 1).await;
    chats(&sentinel, 1).await;
}

#[tokio::test]
async fn a_lookup_that_hangs_is_waited_for_within_the_time_for_connecting() {
    let resolver = ScriptedResolver::hanging();
    let sentinel = start(&["http://gateway.test".to_owned()], |options| {
        options.bounds.connect_timeout = Duration::from_millis(100);
        options.upstream.as_mut().expect("it was set").resolver = resolver.clone();
    });
    let refused = sentinel.chat().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (504, "upstream_timeout")
    );
    resolver.answer(Err("let go"));
}
