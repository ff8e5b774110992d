use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[expect(dead_code, reason = "only its parsing is tested")]
    id: i64,
    #[serde(default)]
    #[expect(dead_code, reason = "only its parsing is tested")]
    list: Vec<u8>,
}

fn refused(body: &str) -> (Code, Option<String>, String) {
    use axum::response::IntoResponse as _;
    use http_body_util::BodyExt as _;
    let problem = parse_json::<Sample>(body.as_bytes()).expect_err("refused");
    let body = problem.into_response().into_body().collect();
    let bytes = futures_util::FutureExt::now_or_never(body)
        .expect("in memory")
        .expect("in memory")
        .to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let code = if value["status"] == 400 {
        Code::MalformedJson
    } else {
        Code::InvalidField
    };
    (code, value["field"].as_str().map(str::to_owned), text)
}

#[test]
fn a_problem_names_the_field() {
    for (body, field) in [
        ("{}", "id"),
        (r#"{"id":1,"extra":2}"#, "extra"),
        (r#"{"id":1,"id":2}"#, "id"),
        (r#"{"id":"7"}"#, "id"),
        (r#"{"id":1.5}"#, "id"),
        (r#"{"id":1,"list":[1,300]}"#, "list[1]"),
        ("7", "body"),
        ("null", "body"),
    ] {
        let (code, named, text) = refused(body);
        assert_eq!(
            (code, named.as_deref()),
            (Code::InvalidField, Some(field)),
            "{body}: {text}"
        );
    }
}

#[test]
fn what_is_not_json_is_told_by_its_place() {
    for body in ["", "{", r#"{"id":1} {}"#, r#"{"id":1,}"#, "hunter2"] {
        let (code, field, text) = refused(body);
        assert_eq!((code, field), (Code::MalformedJson, None), "{body}: {text}");
        assert!(text.contains("line 1, column"), "{text}");
    }
}

#[test]
fn no_problem_repeats_a_value() {
    for body in [
        r#"{"id":"missing field `hunter2`"}"#,
        r#"{"id":"hunter2"}"#,
        "hunter2",
        r#"{"id":hunter2}"#,
    ] {
        let (_, _, text) = refused(body);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn moments_are_read_to_the_millisecond() {
    let parsed = parse_moment("since", "2027-01-15T09:00:00.0015+01:00").map(Timestamp::unix_ms);
    assert_eq!(parsed.ok(), Some(1_800_000_000_001));
    for text in ["", "2027-01-15", "1800000000", "2027-13-01T00:00:00Z"] {
        assert!(parse_moment("since", text).is_err(), "{text}");
    }
}

#[test]
fn an_address_is_read_in_its_canonical_form() {
    let parsed = parse_address("address", "::ffff:192.0.2.1").map(|address| address.to_string());
    assert_eq!(parsed.ok().as_deref(), Some("192.0.2.1"));
    for text in ["", "192.0.2.0/24", "192.0.2.1:80", "host"] {
        assert!(parse_address("address", text).is_err(), "{text}");
    }
}

#[test]
fn only_json_is_read_as_json() {
    let with = |media_type: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
        is_json(&headers)
    };
    assert!(with("application/json"));
    assert!(with("Application/JSON; charset=utf-8"));
    assert!(!with("text/plain"));
    assert!(!with("application/jsonp"));
    assert!(!is_json(&HeaderMap::new()));
}
