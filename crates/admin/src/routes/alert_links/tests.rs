use axum::body::Body;
use http::{Request, StatusCode, header};

use crate::testing::alerts::LINK;
use crate::testing::{Answer, Console};
use std::time::Duration;

const PATH: &str = "/admin/ui/alerts/act";

async fn open(console: &Console, token: &str, language: &str) -> Answer {
    let request = Request::get(format!("{PATH}?token={token}")).header(header::ACCEPT_LANGUAGE, language);
    console
        .send(request.body(Body::empty()).expect("a good request"))
        .await
}

async fn confirm(console: &Console, form: &str) -> Answer {
    let request = Request::post(PATH).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    console
        .send(request.body(Body::from(form.to_owned())).expect("a good request"))
        .await
}

#[tokio::test]
async fn opening_a_link_asks_and_does_nothing() {
    let console = Console::new();
    let page = open(&console, LINK, "de, en").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Ban this key?"), "{}", page.text);
    assert!(page.text.contains("name=\"token\" value=\"payload.signature\""));
    let chinese = open(&console, LINK, "zh-CN,zh;q=0.9").await;
    assert!(chinese.text.contains("封禁此密钥"), "{}", chinese.text);
    assert!(console.alerts.lock().followers.is_empty());
}

#[tokio::test]
async fn confirming_with_a_name_does_it_once_and_says_who() {
    let console = Console::new();
    let unnamed = confirm(&console, "token=payload.signature&name=+").await;
    assert_eq!(unnamed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(console.alerts.lock().followers.is_empty());
    let done = confirm(&console, "token=payload.signature&name=Ann%1b").await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(done.text.contains("The key is banned"), "{}", done.text);
    {
        let content = console.alerts.lock();
        let [actor] = &content.followers[..] else {
            panic!("one did it: {:?}", content.followers);
        };
        assert_eq!(actor.name, "link: Ann\\u{1b}");
        assert_eq!(
            actor.client_ip.map(|ip| ip.to_string()).as_deref(),
            Some("192.0.2.1")
        );
    }
    let again = confirm(&console, "token=payload.signature&name=Bob").await;
    assert_eq!(again.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_link_that_is_none_or_too_old_is_refused_in_words() {
    let console = Console::new();
    for form in ["", "token=x&name=Ann", "name=Ann", "%ff=%ff"] {
        assert_eq!(
            confirm(&console, form).await.status,
            StatusCode::NOT_FOUND,
            "{form}"
        );
    }
    assert_eq!(open(&console, "x", "en").await.status, StatusCode::NOT_FOUND);
    console.clock.advance(Duration::from_hours(24));
    let expired = open(&console, LINK, "en").await;
    assert_eq!(expired.status, StatusCode::GONE);
    assert!(expired.text.contains("expired"));
}

#[tokio::test]
async fn the_page_escapes_what_it_shows_and_allows_no_script() {
    let console = Console::new();
    let page = open(&console, LINK, "en").await;
    assert!(page.text.contains("sk-&lt;b&gt;…wxyz"), "{}", page.text);
    assert!(!page.text.contains("<script"));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    let style = console.get_anonymously("/admin/ui/alerts/act.css").await;
    assert_eq!(style.headers[header::CONTENT_TYPE], "text/css; charset=utf-8");
}
