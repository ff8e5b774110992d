use http::{Method, Request, StatusCode, header};
use sentinel_core::binding::{
    BINDING_NETWORKS_MAX, BindingEdit, BindingId, BindingStatus, LABEL_CHARACTERS_MAX, LABELS_MAX,
    NOTE_CHARACTERS_MAX,
};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Console, START, USERNAME, binding, ip};

fn console() -> Console {
    let console = Console::new();
    console.store.lock().bindings = (1..=3).map(binding).collect();
    console
}

#[tokio::test]
async fn a_row_carries_what_an_operator_needs_and_no_fingerprint() {
    let answer = console().get("/admin/api/bindings/2").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        json!({
            "id": 2, "hint": "sk-ab…wxyz", "status": "active", "networks": ["192.0.2.0/24"],
            "bound_ip": "192.0.2.0/24", "policy": {}, "bound_at": "2027-01-15T08:00:00Z",
            "updated_at": "2027-01-15T08:00:00Z", "last_used_at": null, "use_count": 3,
            "ban_reason": "", "ban_expires_at": null, "note": "", "labels": [], "profile": "", "version": 102
        })
    );
    assert!(!answer.text.contains("abab"), "no fingerprint");
}

#[tokio::test]
async fn the_cursor_leads_through_all_pages() {
    let console = console();
    let first = console.get("/admin/api/bindings?limit=2").await;
    let ids = |body: &Value| -> Vec<i64> {
        body["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|row| row["id"].as_i64())
            .collect()
    };
    assert_eq!(
        (ids(&first.body), &first.body["next_before"]),
        (vec![3, 2], &json!(2))
    );
    let second = console.get("/admin/api/bindings?limit=2&before=2").await;
    assert_eq!(
        (ids(&second.body), &second.body["next_before"]),
        (vec![1], &json!(null))
    );
}

#[tokio::test]
async fn every_filter_reaches_the_store() {
    let console = console();
    let path = "/admin/api/bindings?status=banned&hint=ab%25&address=::ffff:192.0.2.9&before=9&limit=200\
         &network=192.0.2.0/24&within=10.0.0.0/8&profile=new-api&label=batch&note=team\
         &used_after=2027-01-01T00:00:00Z&used_before=2027-02-01T00:00:00Z";
    assert_eq!(console.get(path).await.status, StatusCode::OK);
    let filter = console.store.lock().binding_filters.pop().expect("asked");
    assert_eq!(filter.status, Some(BindingStatus::Banned));
    assert_eq!(filter.hint.as_deref(), Some("ab%"));
    assert_eq!(filter.address, Some(ip("192.0.2.9")));
    assert_eq!((filter.before, filter.limit), (Some(BindingId(9)), 201));
    let texts = [filter.profile, filter.label, filter.note].map(Option::unwrap_or_default);
    assert_eq!(texts, ["new-api", "batch", "team"]);
    let networks = [filter.network, filter.within].map(|network| network.expect("given").to_string());
    assert_eq!(networks, ["192.0.2.0/24", "10.0.0.0/8"]);
    let moments = [filter.used_after, filter.used_before].map(|at| at.map(Timestamp::rfc3339));
    assert_eq!(
        moments.map(Option::unwrap_or_default),
        ["2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"]
    );
}

#[tokio::test]
async fn a_bad_filter_is_named() {
    let console = console();
    let long = format!("hint={}", "x".repeat(query::PART_CHARACTERS_MAX + 1));
    for (query, field) in [
        ("status=gone", "status"),
        (long.as_str(), "hint"),
        ("address=home", "address"),
        ("before=x", "before"),
        ("network=home", "network"),
        ("within=10.0.0.0/99", "within"),
        ("sort=best", "sort"),
        ("sort=oldest&before=3", "before"),
        ("sort=oldest&after=newest.1.1", "after"),
        ("used_after=today", "used_after"),
        ("limit=0", "limit"),
        ("offset=7", "offset"),
    ] {
        console
            .get(&format!("/admin/api/bindings?{query}"))
            .await
            .names_field(field);
    }
    console.get("/admin/api/bindings/x").await.names_field("id");
}

#[tokio::test]
async fn changes_change_and_say_who_made_them() {
    let console = console();
    let banned = console
        .post(
            "/admin/api/bindings/ban",
            &json!({"id": 1, "reason": " resold\u{1b} "}),
        )
        .await;
    assert_eq!(banned.status, StatusCode::OK, "{banned:?}");
    assert_eq!(banned.body["status"], "banned");
    assert_eq!(banned.body["ban_reason"], "resold\\u{1b}");
    let unbanned = console.post("/admin/api/bindings/unban", &json!({"id": 1})).await;
    assert_eq!(unbanned.body["status"], "active");
    let unbound = console
        .post("/admin/api/bindings/unbind", &json!({"id": 1}))
        .await;
    assert_eq!((unbound.status, &unbound.body["id"]), (StatusCode::OK, &json!(1)));
    let gone = console.get("/admin/api/bindings/1").await;
    gone.is_problem(StatusCode::NOT_FOUND, "binding_not_found");

    let stored = console.store.lock();
    assert_eq!(stored.actors.len(), 3);
    for actor in &stored.actors {
        assert_eq!(
            (actor.name.as_str(), actor.client_ip, actor.at),
            (USERNAME, Some(ip("192.0.2.1")), START)
        );
    }
}

#[tokio::test]
async fn networks_are_set_one_or_several_at_a_time() {
    let console = console();
    let one = console
        .put(
            "/admin/api/bindings/ip",
            &json!({"id": 1, "bound_ip": " 198.51.100.7 "}),
        )
        .await;
    assert_eq!(one.status, StatusCode::OK, "{one:?}");
    assert_eq!(one.body["networks"], json!(["198.51.100.7/32"]));
    let several = json!({"id": 1, "bound_ips": ["198.51.100.0/24", "2001:db8::/48", "198.51.100.9/24"]});
    let several = console.put("/admin/api/bindings/ip", &several).await;
    assert_eq!(
        several.body["networks"],
        json!(["198.51.100.0/24", "2001:db8::/48"])
    );
    assert_eq!(several.body["bound_ip"], "198.51.100.0/24");
}

#[tokio::test]
async fn the_number_of_networks_is_bounded() {
    let console = console();
    let put = async |count: usize| {
        let networks: Vec<String> = (0..count).map(|number| format!("10.0.{number}.0/24")).collect();
        console
            .put("/admin/api/bindings/ip", &json!({"id": 1, "bound_ips": networks}))
            .await
    };
    assert_eq!(put(BINDING_NETWORKS_MAX).await.status, StatusCode::OK);
    put(BINDING_NETWORKS_MAX + 1).await.names_field("bound_ips");
    put(0).await.names_field("bound_ips");
}

#[tokio::test]
async fn a_bad_change_is_named_and_changes_nothing() {
    let console = console();
    let long = "x".repeat(changes::BAN_REASON_CHARACTERS_MAX + 1);
    for (action, body, field) in [
        ("unbind", json!({}), "id"),
        ("unbind", json!({"id": "1"}), "id"),
        ("unbind", json!({"id": 1, "reason": "x"}), "reason"),
        ("unban", json!({"id": 1.5}), "id"),
        ("ban", json!({"id": 1, "why": "x"}), "why"),
        ("ban", json!({"id": 1, "reason": 7}), "reason"),
        ("ban", json!({"id": 1, "reason": long}), "reason"),
    ] {
        console
            .post(&format!("/admin/api/bindings/{action}"), &body)
            .await
            .names_field(field);
    }
    for (body, field) in [
        (json!({"id": 1}), "bound_ip"),
        (json!({"id": 1, "bound_ip": "home"}), "bound_ip"),
        (json!({"id": 1, "bound_ip": "::ffff:192.0.2.1"}), "bound_ip"),
        (
            json!({"id": 1, "bound_ips": ["192.0.2.1", "192.0.2.0/33"]}),
            "bound_ips[1]",
        ),
        (json!({"id": 1, "bound_ips": ["192.0.2.1", 7]}), "bound_ips[1]"),
        (
            json!({"id": 1, "bound_ip": "192.0.2.1", "bound_ips": ["192.0.2.1"]}),
            "bound_ips",
        ),
    ] {
        console
            .put("/admin/api/bindings/ip", &body)
            .await
            .names_field(field);
    }
    assert!(console.store.lock().actors.is_empty());
}

#[tokio::test]
async fn a_reason_for_a_ban_fits_up_to_its_bound() {
    let reason = "é".repeat(changes::BAN_REASON_CHARACTERS_MAX);
    let answer = console()
        .post("/admin/api/bindings/ban", &json!({"id": 1, "reason": reason}))
        .await;
    assert_eq!(answer.body["ban_reason"], json!(reason));
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let console = console();
    for action in ["unbind", "ban", "unban"] {
        let answer = console
            .post(&format!("/admin/api/bindings/{action}"), &json!({"id": 99}))
            .await;
        answer.is_problem(StatusCode::NOT_FOUND, "binding_not_found");
    }
    let change = json!({"id": 99, "bound_ip": "192.0.2.1"});
    let answer = console.put("/admin/api/bindings/ip", &change).await;
    answer.is_problem(StatusCode::NOT_FOUND, "binding_not_found");
}

#[tokio::test]
async fn a_busy_or_damaged_store_is_told_apart() {
    let console = console();
    let token = console.token().await;
    for (failure, status, code) in [
        (StoreError::Busy, StatusCode::SERVICE_UNAVAILABLE, "store_busy"),
        (
            StoreError::Unavailable(String::new()),
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
        ),
        (
            StoreError::Damaged(String::new()),
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
        ),
    ] {
        console.store.lock().failure = Some(failure);
        let answer = console
            .call(Method::GET, "/admin/api/bindings", Some(&token), &Value::Null)
            .await;
        answer.is_problem(status, code);
    }
}

#[tokio::test]
async fn an_order_leads_through_all_pages_by_its_cursor() {
    let console = console();
    let (mut seen, mut path) = (Vec::new(), "/admin/api/bindings?sort=oldest&limit=2".to_owned());
    loop {
        let page = console.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let items = page.body["items"].as_array().expect("a list");
        seen.extend(items.iter().filter_map(|row| row["id"].as_i64()));
        assert_eq!(page.body["next_before"], json!(null));
        let Some(after) = page.body["next_after"].as_str() else {
            break;
        };
        path = format!("/admin/api/bindings?sort=oldest&limit=2&after={after}");
    }
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test]
async fn counts_follow_the_filter_and_say_when_they_are_bounded() {
    let console = console();
    let counts = console.get("/admin/api/bindings/counts?label=batch").await;
    let wanted = json!({"total": 9, "active": 7, "banned": 2, "is_exact": false});
    assert_eq!(counts.body, wanted);
    let filter = console.store.lock().binding_filters.pop().expect("asked");
    assert_eq!(filter.label.as_deref(), Some("batch"));
}

async fn patch(console: &Console, version: Option<&str>, body: &Value) -> crate::testing::Answer {
    let token = console.token().await;
    let mut request = Request::builder()
        .method(Method::PATCH)
        .uri("/admin/api/bindings/1")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    if let Some(version) = version {
        request = request.header(header::IF_MATCH, version);
    }
    console
        .send(request.body(body.to_string().into()).expect("a good request"))
        .await
}

#[tokio::test]
async fn a_change_of_another_version_than_the_stored_one_is_refused() {
    let console = console();
    let note = json!({"note": "ask the team"});
    let outdated = patch(&console, Some("\"100\""), &note).await;
    outdated.is_problem(StatusCode::PRECONDITION_FAILED, "binding_changed");
    assert_eq!(console.store.lock().bindings[0].remarks.note, "");
    let done = patch(&console, Some("\"101\""), &note).await;
    assert_eq!(
        (done.status, &done.body["note"]),
        (StatusCode::OK, &json!("ask the team"))
    );
    for version in ["101", "\"x\"", "*", "\"1\", \"2\""] {
        patch(&console, Some(version), &note)
            .await
            .names_field("If-Match");
    }
}

#[tokio::test]
async fn remarks_are_kept_up_to_their_bounds() {
    let console = console();
    let labels = |count: usize, length: usize| -> Vec<String> {
        (0..count).map(|number| format!("{number:0length$}")).collect()
    };
    let full = json!({
        "note": "é".repeat(NOTE_CHARACTERS_MAX), "labels": labels(LABELS_MAX, LABEL_CHARACTERS_MAX)
    });
    let kept = patch(&console, None, &full).await;
    assert_eq!(kept.body["labels"], full["labels"], "{kept:?}");
    assert_eq!(kept.body["note"], full["note"]);
    for (body, field) in [
        (json!({"note": "x".repeat(NOTE_CHARACTERS_MAX + 1)}), "note"),
        (json!({"labels": labels(LABELS_MAX + 1, 3)}), "labels"),
        (
            json!({"labels": labels(1, LABEL_CHARACTERS_MAX + 1)}),
            "labels[0]",
        ),
        (json!({"labels": ["a", " "]}), "labels[1]"),
        (json!({"labels": ["a\u{202e}b"]}), "labels[0]"),
        (json!({}), "note"),
    ] {
        patch(&console, None, &body).await.names_field(field);
    }
}

#[tokio::test]
async fn a_ban_may_end_by_itself_but_not_before_it_begins() {
    let console = console();
    let ban = async |at: &str| {
        let body = json!({"id": 1, "expires_at": at});
        console.post("/admin/api/bindings/ban", &body).await
    };
    for past in ["2027-01-15T08:00:00Z", "2020-01-01T00:00:00Z", "tomorrow"] {
        ban(past).await.names_field("expires_at");
    }
    let banned = ban("2027-01-15T08:00:00.001Z").await;
    assert_eq!(
        banned.body["ban_expires_at"], "2027-01-15T08:00:00.001Z",
        "{banned:?}"
    );
    let edit = console.store.lock().edits.pop().expect("made");
    assert!(
        matches!(
            edit,
            BindingEdit::Ban {
                expires_at: Some(_),
                ..
            }
        ),
        "{edit:?}"
    );
}
