use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};

use super::*;
use crate::testing::Console;

fn headers(name: HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, value.parse().expect("a value"))])
}

#[test]
fn a_coding_is_taken_when_it_is_named_and_not_refused() {
    for (text, is_taken) in [
        ("gzip, br", true),
        ("BR", true),
        ("br;q=0.5", true),
        ("br; q=0", false),
        ("br;q=x", false),
        ("gzip", false),
        ("", false),
    ] {
        let request = headers(header::ACCEPT_ENCODING, text);
        assert_eq!(accepts(&request, "br"), is_taken, "{text}");
    }
}

#[test]
fn a_tag_is_known_again_in_a_list_and_when_a_cache_made_it_weak() {
    let tag = etag(&[0xab; 32]);
    assert_eq!(tag.len(), 2 + 2 * ETAG_BYTES);
    let text = tag.to_str().expect("text");
    for known in [text.to_owned(), format!("\"x\", W/{text}"), "*".to_owned()] {
        assert!(
            has_already(&headers(header::IF_NONE_MATCH, &known), &tag),
            "{known}"
        );
    }
    assert!(!has_already(&headers(header::IF_NONE_MATCH, "\"x\""), &tag));
}

#[test]
fn routes_are_told_from_files() {
    for path in ["bindings", "settings/history", "a.b/c"] {
        assert!(!names_a_file(path), "{path}");
    }
    for path in ["favicon.svg", "assets/index", "old/main.js"] {
        assert!(names_a_file(path), "{path}");
    }
}

#[tokio::test]
async fn a_missing_file_is_a_problem_and_no_page() {
    let console = Console::new();
    for path in [
        "/admin/ui/assets/gone-1234.js",
        "/admin/ui/gone.css",
        "/admin/ui/index.html.br",
        "/admin/ui/..%2F..%2FREADME.md",
        "/admin/ui/%ff",
    ] {
        let answer = console.get_anonymously(path).await;
        answer.is_problem(StatusCode::NOT_FOUND, "not_found");
    }
}

#[tokio::test]
async fn the_page_answers_for_every_route_of_the_console() {
    let console = Console::new();
    let page = console.get_anonymously("/admin/ui/").await;
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let route = console.get_anonymously("/admin/ui/bindings?status=active").await;
    assert_eq!((route.status, &route.text), (page.status, &page.text));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    assert!(!policy.contains("unsafe"), "{policy}");
    if page.status == StatusCode::SERVICE_UNAVAILABLE {
        assert!(page.text.contains("make console"));
        return;
    }
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-cache");
    let again = Request::get("/admin/ui/")
        .header(header::IF_NONE_MATCH, &page.headers[header::ETAG])
        .body(Body::empty())
        .expect("good");
    let again = console.send(again).await;
    assert_eq!(
        (again.status, again.text.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
}

#[tokio::test]
async fn shorter_addresses_lead_to_the_page() {
    let console = Console::new();
    for path in ["/admin", "/admin/", "/admin/ui"] {
        let answer = console.get_anonymously(path).await;
        assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT, "{path}");
        assert_eq!(answer.headers[header::LOCATION], ROOT);
    }
}
