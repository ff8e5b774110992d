use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use sentinel_testkit::{Answer, ScriptedUpstream, bounded, unreachable_address};

mod tls;

use super::*;
use crate::testing::{NOW, ScriptedResolver, dialer, http, local_client, network};

async fn post(client: &HttpClient, url: &HttpUrl) -> Result<Reply, OutboundError> {
    bounded(
        "an answer or an error",
        client.post_json(url, Vec::new(), Bytes::from_static(b"{}"), NOW),
    )
    .await
}

fn guard(resolver: ScriptedResolver, allowed: &[&str]) -> (Arc<ScriptedResolver>, Guard) {
    let resolver = Arc::new(resolver);
    let allowed: Vec<_> = allowed.iter().map(|text| network(text)).collect();
    (Arc::clone(&resolver), Guard::new(resolver, allowed))
}

/// Every form in which an address that is no public host's can be written into a URL.
#[tokio::test]
async fn addresses_that_are_not_public_are_refused_however_they_are_written() {
    let (resolver, guard) = guard(ScriptedResolver::default(), &[]);
    for written in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7f000001",
        "0X7F.0.0.0x1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "１２７.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "①②⑦.0.0.1",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "012.1",
        "0xa9fea9fe",
        "169.254.169.254",
        "2852039166",
        "100.100.100.200",
        "172.16.0.1",
        "192.168.1",
        "3232235777",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[100::1]",
    ] {
        let url = HttpUrl::parse(&format!("https://{written}/hook"), false).expect(written);
        assert!(url.destination().is_forbidden(&[]), "{written}");
        let judged = guard.addresses(url.destination()).await;
        assert!(
            matches!(judged, Err(OutboundError::Forbidden { .. })),
            "{written}: {judged:?}"
        );
    }
    assert_eq!(resolver.asked(), Vec::<String>::new(), "none of them is a name");
}

#[test]
fn urls_that_are_not_called_are_refused_when_they_are_written() {
    use DestinationProblem::{Credentials, Malformed, Port, Scheme};
    for (text, problem) in [
        ("hooks.example.com", Malformed),
        ("https://", Malformed),
        ("https://[fe80::1%25eth0]/", Malformed),
        ("https://1.2.3.4.5/", Malformed),
        ("https://256.1/", Malformed),
        ("https://a b/", Malformed),
        ("https://host:65536/", Malformed),
        ("https://host:0/", Port),
        ("http://hooks.example.com/", Scheme),
        ("file:///etc/passwd", Scheme),
        ("gopher://127.0.0.1:25/", Scheme),
        ("ftp://example.com/", Scheme),
        ("javascript:alert(1)", Scheme),
        ("https://user@example.com/", Credentials),
        ("https://user:word@example.com/", Credentials),
        ("https://example.com@127.0.0.1/", Credentials),
    ] {
        assert_eq!(HttpUrl::parse(text, false), Err(problem), "{text}");
    }
    for (host, port) in [("", 25), ("a b", 25), ("mail.example.com", 0), ("a/b", 25)] {
        assert!(Destination::new(host, port).is_err(), "{host}:{port}");
    }
    let six = Destination::new("::1", 25).expect("an address");
    assert_eq!(six.to_string(), "[::1]:25");
    assert!(six.is_forbidden(&[]));
    let loopback = Destination::new("0x7f.1", 465).expect("an address");
    assert!(loopback.is_forbidden(&[]) && !loopback.is_forbidden(&[network("127.0.0.1")]));
    assert!(
        !Destination::new("mail.example.com", 25)
            .expect("a name")
            .is_forbidden(&[])
    );
}

#[test]
fn a_url_prints_no_secret() {
    let url = http("https://hooks.example.com:8443/services/T0/B0/token?key=word#x");
    assert_eq!(format!("{url:?}"), "HttpUrl(https://hooks.example.com:8443/…)");
    assert_eq!(url.target(), "/services/T0/B0/token?key=word");
    assert_eq!(url.authority(), "hooks.example.com:8443");
    assert_eq!(
        http("https://hooks.example.com:443/a").authority(),
        "hooks.example.com"
    );
    let more = url.with_query(&[("sign", "a+b/c=")]);
    assert_eq!(more.target(), "/services/T0/B0/token?key=word&sign=a%2Bb%2Fc%3D");
    let api = http("https://api.example.com/api/").with_segments(&["bot1:a/b", "send"]);
    assert_eq!(api.target(), "/api/bot1:a%2Fb/send");
}

#[tokio::test]
async fn a_name_leads_only_to_its_public_and_its_allowed_addresses() {
    let resolver = ScriptedResolver::default()
        .with("mixed.test", &[&["10.0.0.1", "8.8.8.8", "::1", "10.9.0.1"]])
        .with("inside.test", &[&["10.0.0.1", "fd00::1"]])
        .with("mapped.test", &[&["::ffff:10.9.0.7"]])
        .with("empty.test", &[&[]]);
    let (_, guard) = guard(resolver, &["10.9.0.0/16"]);
    let addresses = async |name: &str| {
        let found = guard
            .addresses(&Destination::new(name, 443).expect("a name"))
            .await?;
        Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        addresses("mixed.test").await,
        Ok(vec!["8.8.8.8:443".to_owned(), "10.9.0.1:443".to_owned()])
    );
    assert_eq!(
        addresses("mapped.test").await,
        Ok(vec!["10.9.0.7:443".to_owned()])
    );
    let forbidden = OutboundError::Forbidden {
        host: "inside.test".to_owned(),
        address: "10.0.0.1".parse().expect("an address"),
    };
    assert!(!forbidden.is_passing());
    assert_eq!(addresses("inside.test").await, Err(forbidden));
    let unresolved = |name: &str| Err(OutboundError::Unresolved(name.to_owned()));
    assert_eq!(addresses("empty.test").await, unresolved("empty.test"));
    assert_eq!(addresses("unknown.test").await, unresolved("unknown.test"));
}

#[tokio::test]
async fn so_many_addresses_of_a_name_are_looked_at() {
    let public = vec!["8.8.8.8"; RESOLVED_MAX + 1];
    let mut late = vec!["10.0.0.1"; RESOLVED_MAX];
    late.push("8.8.8.8");
    let resolver = ScriptedResolver::default()
        .with("many.test", &[&public])
        .with("late.test", &[&late]);
    let (_, guard) = guard(resolver, &[]);
    let named = |name| Destination::new(name, 1).expect("a name");
    let many = guard.addresses(&named("many.test")).await.expect("addresses");
    assert_eq!(many.len(), RESOLVED_MAX);
    let late = guard.addresses(&named("late.test")).await;
    assert!(matches!(late, Err(OutboundError::Forbidden { .. })));
}

/// A name whose answer changes between the judgement and the connection gets no second question.
#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let receiver = ScriptedUpstream::start(Answer::new(200, "{}")).await;
    let answers: [&[&str]; 3] = [&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]];
    let resolver = Arc::new(ScriptedResolver::default().with("rebound.test", &answers));
    let client = HttpClient::new(dialer(resolver.clone(), &["127.0.0.1"], b""));
    let url = http(&format!("http://rebound.test:{}/hook", receiver.address().port()));
    assert_eq!(post(&client, &url).await.map(|reply| reply.status), Ok(200));
    assert_eq!(resolver.asked(), ["rebound.test"], "one question a call");
    let rebound = post(&client, &url).await;
    assert!(
        matches!(rebound, Err(OutboundError::Forbidden { .. })),
        "{rebound:?}"
    );
    assert_eq!(receiver.connections(), 1);
    assert_eq!(post(&client, &url).await.map(|reply| reply.status), Ok(200));
    let seen = receiver.requests();
    let host = format!("rebound.test:{}", receiver.address().port());
    assert_eq!(seen[0].header("host"), Some(host));
}

#[tokio::test]
async fn so_many_addresses_are_tried_and_the_first_that_answers_is_used() {
    let receiver = ScriptedUpstream::start(Answer::new(200, "{}")).await;
    // Nobody listens on the other addresses of the loopback network at this port.
    let mut addresses: Vec<String> = (2..2 + CONNECT_ADDRESSES_MAX)
        .map(|last| format!("127.0.0.{last}"))
        .collect();
    addresses[CONNECT_ADDRESSES_MAX - 1] = "127.0.0.1".to_owned();
    let last_tried: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut too_late = last_tried.clone();
    too_late.insert(0, "127.0.0.9");
    let resolver = ScriptedResolver::default()
        .with("last.test", &[&last_tried])
        .with("late.test", &[&too_late]);
    let client = HttpClient::new(dialer(Arc::new(resolver), &["127.0.0.0/8"], b""));
    let port = receiver.address().port();
    let reached = post(&client, &http(&format!("http://last.test:{port}/"))).await;
    assert_eq!(reached.map(|reply| reply.status), Ok(200));
    let missed = post(&client, &http(&format!("http://late.test:{port}/"))).await;
    assert!(
        matches!(missed, Err(OutboundError::Unreachable { .. })),
        "{missed:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inside = ScriptedUpstream::start(Answer::new(200, "secrets")).await;
    let location = format!("{}/latest/meta-data", inside.url());
    for status in [301, 302, 303, 307, 308] {
        let answer = Answer::with_headers(status, &[("location", &location)], "");
        let receiver = ScriptedUpstream::start(answer).await;
        let reply = post(&local_client(), &http(&receiver.url()))
            .await
            .expect("an answer");
        assert_eq!(reply.status, status);
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_request_is_what_receivers_expect() {
    let receiver = ScriptedUpstream::start(Answer::new(204, "")).await;
    let url = http(&format!("{}/hook?key=a%20b", receiver.url()));
    let header = (
        HeaderName::from_static("webhook-id"),
        HeaderValue::from_static("al_1.0"),
    );
    let client = local_client();
    let sent = client.post_json(&url, vec![header], Bytes::from_static(b"{\"a\":1}"), NOW);
    let reply = bounded("an answer", sent).await.expect("an answer");
    assert_eq!(
        (reply.status, reply.retry_after, reply.body),
        (204, None, Bytes::new())
    );
    let seen = receiver.wait_for_body(0).await;
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/hook?key=a%20b")
    );
    assert_eq!(seen.body, b"{\"a\":1}");
    let header = |name| seen.header(name);
    assert_eq!(header("host"), Some(receiver.address().to_string()));
    assert_eq!(
        header("content-type").as_deref(),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(header("content-length").as_deref(), Some("7"));
    assert_eq!(header("webhook-id").as_deref(), Some("al_1.0"));
    assert!(header("user-agent").is_some_and(|agent| agent.starts_with("Key-IP-Sentinel/")));
}

#[tokio::test]
async fn so_much_of_an_answer_is_read_and_no_more() {
    let receiver = ScriptedUpstream::start(Answer::new(200, vec![b'x'; ANSWER_BYTES_MAX])).await;
    let reply = post(&local_client(), &http(&receiver.url()))
        .await
        .expect("an answer");
    assert_eq!(reply.body.len(), ANSWER_BYTES_MAX);
    let (endless, answer) = Answer::events();
    let receiver = ScriptedUpstream::start(answer).await;
    for _ in 0..=ANSWER_BYTES_MAX / 1_024 {
        endless.send(vec![b'x'; 1_024]);
    }
    let reply = post(&local_client(), &http(&receiver.url()))
        .await
        .expect("an answer");
    assert_eq!(reply.body.len(), ANSWER_BYTES_MAX);
}

#[tokio::test]
async fn an_endless_head_is_no_answer() {
    let line = b"x-filler: yyyyyyyyyyyyyyyyyyyyyyyy\r\n".as_slice();
    let lines = ANSWER_HEAD_BYTES_MAX / line.len() + 1;
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    head.extend(std::iter::repeat_n(line, lines).flatten());
    let receiver = ScriptedUpstream::start(Answer::raw(head)).await;
    let failed = post(&local_client(), &http(&receiver.url())).await;
    assert!(
        matches!(failed, Err(OutboundError::Protocol { .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn what_is_no_http_and_what_is_nobody_is_an_error_that_passes() {
    for answer in [
        Answer::raw("220 smtp ready\r\n"),
        Answer::close(),
        Answer::reset(),
    ] {
        let receiver = ScriptedUpstream::start(answer).await;
        let failed = post(&local_client(), &http(&receiver.url())).await;
        let error = failed.expect_err("it is no answer");
        assert!(
            matches!(error, OutboundError::Protocol { .. }) && error.is_passing(),
            "{error:?}"
        );
    }
    let nobody = http(&format!("http://{}/key?word=secret", unreachable_address().await));
    let error = post(&local_client(), &nobody).await.expect_err("nobody is there");
    assert!(matches!(error, OutboundError::Unreachable { .. }) && error.is_passing());
    assert!(!error.to_string().contains("secret"));
}

/// Its time is the clock's: the test does not wait for it.
#[tokio::test]
async fn a_receiver_that_hangs_costs_so_much_time() {
    let receiver = ScriptedUpstream::start(Answer::never()).await;
    let (client, url) = (local_client(), http(&receiver.url()));
    let calling = tokio::spawn(async move { client.post_json(&url, Vec::new(), Bytes::new(), NOW).await });
    receiver.wait_for_requests(1).await;
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let ended = calling.await.expect("no panic");
    assert_eq!(ended, Err(OutboundError::Timeout("127.0.0.1".to_owned())));
    // The clock moves in steps of a millisecond.
    assert!(before.elapsed() <= HTTP_TIMEOUT + Duration::from_millis(2));
    assert!(CONNECT_TIMEOUT < HTTP_TIMEOUT);
}

#[tokio::test]
async fn pauses_that_are_asked_for_are_read_in_both_forms() {
    for (value, pause) in [
        ("120", Some(Duration::from_mins(2))),
        (" 0 ", Some(Duration::ZERO)),
        ("Thu, 01 Jan 2026 00:00:30 GMT", Some(Duration::from_secs(30))),
        ("Wed, 31 Dec 2025 23:59:59 GMT", Some(Duration::ZERO)),
        ("999999999999", Some(RETRY_AFTER_MAX)),
        ("Fri, 01 Jan 2027 00:00:00 GMT", Some(RETRY_AFTER_MAX)),
        ("soon", None),
        ("-1", None),
    ] {
        let answer = Answer::with_headers(429, &[("retry-after", value)], "");
        let receiver = ScriptedUpstream::start(answer).await;
        let reply = post(&local_client(), &http(&receiver.url()))
            .await
            .expect("an answer");
        assert_eq!(reply.retry_after, pause, "{value}");
    }
}
