use super::fields::HINT_CHARACTERS_MAX;
use super::*;
use crate::conformance::at;
use crate::conformance::transfer::{binding, samples};

fn header() -> Line {
    Line::Header(Header {
        made_at: at(7),
        hmac_check: Some("ab".repeat(32)),
        profile: "new-api".to_owned(),
    })
}

/// A good line for a binding with one field in another state; none takes it away.
fn binding_with(field: &str, value: Option<Value>) -> String {
    let text = Line::Item(TransferItem::Binding(binding(1))).to_text();
    let mut object: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("an object");
    object.remove(field);
    if let Some(value) = value {
        object.insert(field.to_owned(), value);
    }
    Value::Object(object).to_string()
}

#[test]
fn every_line_comes_back_as_it_was_written() {
    let mut lines = vec![header(), Line::End { lines: 9 }];
    lines.extend(samples().into_iter().map(Line::Item));
    for value in ["3", "\"observe\""] {
        lines.push(Line::Setting {
            name: "policy.x".to_owned(),
            value: value.to_owned(),
        });
    }
    for line in lines {
        let text = line.to_text();
        assert!(text.starts_with("{\"kind\":\"") && !text.contains('\n'), "{text}");
        assert_eq!(Line::parse(&text), Ok(line), "{text}");
    }
}

#[test]
fn a_binding_is_written_so() {
    let text = Line::Item(TransferItem::Binding(binding(1))).to_text();
    let fingerprint = crate::change::hexadecimal(&binding(1).fingerprint);
    let expected = format!(
        r#"{{"kind":"binding","fingerprint":"{fingerprint}","hint":"sk-001…end","status":"banned","networks":["203.0.113.0/24","2001:db8::/48"],"policy":{{"mode":"observe","slots":3}},"bound_at_ms":1700000000001,"updated_at_ms":1700000000002,"last_used_at_ms":1700000000003,"use_count":12,"ban_reason":"sold on a forum","ban_expires_at_ms":1900000000004,"note":"ask the team","labels":["batch","team \"a\""],"profile":"new-api"}}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn the_widest_binding_fits_a_line() {
    let mut widest = binding(1);
    widest.networks = (0..64)
        .map(|number| {
            format!("2001:db8:aaaa:bbbb:cccc:dddd:eeee:{number:x}/128")
                .parse()
                .expect("a network")
        })
        .collect();
    widest.ban_reason = "\u{1b}".repeat(500);
    let text = Line::Item(TransferItem::Binding(widest)).to_text();
    assert!(text.len() < LINE_BYTES_MAX / 4, "{}", text.len());
}

#[test]
fn what_is_wrong_is_named_and_never_quoted() {
    use serde_json::json;
    let key = "sk-secret-0123456789";
    let long = "x".repeat(HINT_CHARACTERS_MAX + 1);
    let wrong = [
        ("fingerprint", Some(json!(key)), "fingerprint"),
        ("fingerprint", None, "fingerprint"),
        ("fingerprint", Some(json!({"key": key})), "fingerprint"),
        ("hint", Some(json!(long)), "hint"),
        ("status", Some(json!(key)), "status"),
        ("networks", Some(json!([])), "networks"),
        ("networks", Some(json!(["10.0.0.0/8", key])), "networks[1]"),
        (
            "networks",
            Some(json!(["10.0.0.0/8", "10.0.0.0/8"])),
            "networks[1]",
        ),
        ("networks", Some(json!(["10.0.0.0/8", 7])), "networks[1]"),
        ("policy", Some(json!({"mode": key})), "policy.mode"),
        ("bound_at_ms", Some(json!(key)), "bound_at_ms"),
        ("use_count", Some(json!(-1)), "use_count"),
        ("use_count", Some(json!(u64::MAX)), "use_count"),
    ];
    for (field, value, named) in wrong {
        let text = binding_with(field, value);
        let error = Line::parse(&text).expect_err(&text);
        assert!(
            matches!(&error, LineError::Field { field, .. } if field == named),
            "{text}: {error:?}"
        );
        assert!(!error.to_string().contains(key), "{error}");
    }
    let longest = binding_with("hint", Some(json!(&long[1..])));
    assert!(Line::parse(&longest).is_ok());
}

#[test]
fn other_texts_are_no_lines() {
    assert_eq!(Line::parse("sk-secret"), Err(LineError::NotJson { column: 1 }));
    for text in ["", "[]", "\"sk-secret\"", "{\"kind\":\"binding\"", "{} {}"] {
        let error = Line::parse(text).expect_err(text).to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    for kind in ["{}", r#"{"kind":7}"#, r#"{"kind":"sk-secret"}"#] {
        assert_eq!(Line::parse(kind), Err(LineError::Kind), "{kind}");
    }
    let newer = header().to_text().replace("\"format\":1", "\"format\":2");
    assert_eq!(Line::parse(&newer), Err(LineError::Format));
    let twice = format!("{} {{}}", header().to_text());
    assert!(matches!(Line::parse(&twice), Err(LineError::NotJson { .. })));
}

#[test]
fn what_a_newer_version_adds_is_passed_over() {
    let text = binding_with("colour", Some(Value::from("blue")));
    assert_eq!(
        Line::parse(&text),
        Ok(Line::Item(TransferItem::Binding(binding(1))))
    );
}
