//! Texts in which LiteLLM finds another key than the text as a whole.

use super::*;

const SIGNED: [&str; 3] = [
    "AWS4-HMAC-SHA256Credential=sk-stolen,x",
    "aws4-hmac-sha256 Credential=Bearer sk-stolen/20260101/us-east-1/bedrock/aws4_request, Signature=0",
    "AWS4-HMAC-SHA256",
];

#[test]
fn a_signature_is_never_a_key() {
    for value in SIGNED {
        for name in [
            "x-litellm-api-key",
            "authorization",
            "api-key",
            "x-api-key",
            "x-goog-api-key",
        ] {
            assert_eq!(
                read_in("litellm", CHAT, &[(name, value)]),
                "Malformed",
                "{name} {value}"
            );
        }
        for name in ["authorization", "mj-api-secret", "api-key"] {
            assert_eq!(
                read_in("new-api", CHAT, &[(name, value)]),
                "Malformed",
                "{name} {value}"
            );
        }
    }
    let behind_a_scheme = [("authorization", "Bearer AWS4-HMAC-SHA256Credential")];
    assert_eq!(read_in("new-api", CHAT, &behind_a_scheme), "Malformed");
    let protocol = [(
        "sec-websocket-protocol",
        "openai-insecure-api-key.AWS4-HMAC-SHA256-x",
    )];
    assert_eq!(read_in("litellm", CHAT, &protocol), "Malformed");
}

#[test]
fn a_signature_beside_the_checked_key_stays_behind() {
    let headers = [("x-litellm-api-key", "sk-a"), ("authorization", SIGNED[1])];
    let (_, left) = forwarded("litellm", CHAT, &headers);
    assert_eq!(left, ["x-litellm-api-key: sk-a"]);
}

#[test]
fn a_key_has_the_characters_of_a_bearer_token() {
    for key in [
        "sk-a,b", "sk-a=b", "sk-a;b", "sk-a:b", "\"sk-a\"", "sk-a\\b", "===",
    ] {
        for (name, value) in [
            ("authorization", format!("Bearer {key}")),
            ("api-key", key.to_owned()),
        ] {
            assert_eq!(
                read_in("litellm", CHAT, &[(name, &value)]),
                "Malformed",
                "{name} {value}"
            );
        }
    }
    for key in ["sk-Az09-_", "eyJh.eyJz.s_-g", "c2st+/YQ==", "a~b"] {
        let value = format!("Bearer {key}");
        assert_eq!(read_in("litellm", CHAT, &[("authorization", &value)]), key);
    }
}

#[test]
fn the_langfuse_route_takes_the_decoded_password() {
    let langfuse = "/langfuse/api/public/ingestion";
    for (value, expected) in [
        ("Basic cGs6c2stYQ==", "sk-a"),
        ("Basic OnNrLWE=", "sk-a"),
        // Decoded: two colons, no colon, a blank, nothing behind the colon (then it is no key at all).
        ("Basic cGs6c2stYTpzay1i", "Malformed"),
        ("Basic c2stYQ==", "Malformed"),
        ("Basic cGs6c2sgYQ==", "Malformed"),
        ("Basic cGs6", "none"),
        // Spellings that a lenient decoder takes too.
        ("Basic cGs6c2stYQ", "Malformed"),
        ("Basic cGs6-c2stYQ==", "Malformed"),
        ("Basic cGs6c2stYR==", "Malformed"),
        ("Basic  cGs6c2stYQ==", "Malformed"),
        ("basic cGs6c2stYQ==", "none"),
        ("Bearer sk-b", "sk-b"),
    ] {
        assert_eq!(
            read_in("litellm", langfuse, &[("authorization", value)]),
            expected,
            "{value}"
        );
    }
    let (_, left) = forwarded("litellm", langfuse, &[("authorization", "Basic cGs6c2stYQ==")]);
    assert_eq!(left, ["authorization: Basic cGs6c2stYQ=="]);
    let (_, left) = forwarded("litellm", CHAT, &[("authorization", "Basic cGs6c2stYQ==")]);
    assert!(left.is_empty(), "elsewhere it is no key, and never goes on");
    let in_disguise = read_in(
        "litellm",
        "/lang%66use/x",
        &[("authorization", "Basic cGs6c2stYQ==")],
    );
    assert_eq!(in_disguise, "Path");
}

#[test]
fn several_passwords_are_none() {
    assert_eq!(basic_password("Basic YTpi"), Ok(Some("b".to_owned())));
    assert_eq!(
        basic_password("Basic YTpiOmM="),
        Err(CredentialAmbiguous::Malformed),
        "whatever the alphabet"
    );
}

#[test]
fn the_pass_through_header_never_goes_on() {
    let headers = [
        ("authorization", "Bearer sk-a"),
        ("litellm_user_api_key", "sk-stolen"),
    ];
    let (_, left) = forwarded("litellm", "/vertex_ai/x", &headers);
    assert_eq!(left, ["authorization: Bearer sk-a"]);
}

#[test]
fn the_query_is_read_wherever_a_verb_of_google_stands() {
    for path in [
        "/v1beta/models/x:generateContent",
        "/models/x:streamGenerateContent",
        "/models/x:batchGenerateContent",
        "/generateContent",
        "/openai/generateContent/x",
        "/models/x:countTokens",
        "/gemini/x",
    ] {
        assert_eq!(
            read_in("litellm", &format!("{path}?key=sk-q"), &[]),
            "sk-q",
            "{path}"
        );
        let (target, _) = forwarded("litellm", &format!("{path}?key=sk-q"), &[("api-key", "sk-a")]);
        assert_eq!(target, path, "an unchecked key stays behind");
    }
}
