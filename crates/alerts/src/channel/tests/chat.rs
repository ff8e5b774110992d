//! The chat platforms, each checked against what its documentation says of signatures, shapes and limits.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::mac::hmac_sha256;
use crate::secret::Secret;
use crate::testing::{alert, long_alert};

fn query(request: &SeenRequest) -> HashMap<String, String> {
    let url = format!("http://receiver{}", request.target);
    let url = url::Url::parse(&url).expect("a URL");
    url.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn feishu_gets_a_signed_card_of_plain_texts() {
    let ok = Answer::new(
        200,
        r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
    );
    let receiver = Receiver::start(ok, |url| Feishu::new(url, Some(Secret::new("secret")))).await;
    let (_, body) = receiver.seen(&alert()).await;
    let timestamp = text(&body["timestamp"]);
    assert_eq!(timestamp, "1767225600");
    let key = format!("{timestamp}\nsecret");
    let expected = BASE64_STANDARD.encode(hmac_sha256(key.as_bytes(), &[]));
    assert_eq!(text(&body["sign"]), expected);
    assert_eq!(body["msg_type"], "interactive");
    let card = &body["card"];
    assert_eq!(card["header"]["template"], "orange");
    assert_eq!(card["header"]["title"]["tag"], "plain_text");
    let elements = card["elements"].as_array().expect("elements");
    let (buttons, texts) = elements.split_last().expect("some");
    for element in texts {
        assert_eq!(
            (&element["tag"], &element["text"]["tag"]),
            (&"div".into(), &"plain_text".into())
        );
    }
    let shown: Vec<&str> = texts
        .iter()
        .map(|element| text(&element["text"]["content"]))
        .collect();
    assert!(
        shown.contains(&"Request: POST /v1/<b>&[x](https://evil)"),
        "{shown:?}"
    );
    assert_eq!(buttons["tag"], "action");
    let kinds: Vec<&str> = buttons["actions"]
        .as_array()
        .expect("buttons")
        .iter()
        .map(|button| {
            assert!(text(&button["url"]).starts_with("https://sentinel.example.com/base/admin/ui/"));
            text(&button["type"])
        })
        .collect();
    assert_eq!(kinds, ["primary", "danger", "default", "default"]);
}

#[tokio::test]
async fn feishu_gets_no_more_than_it_takes_and_no_signature_without_a_secret() {
    let receiver = Receiver::start(Answer::new(200, r#"{"code":0}"#), |url| Feishu::new(url, None)).await;
    let (request, body) = receiver.seen(&long_alert()).await;
    assert!(request.body.len() <= FEISHU_BODY_BYTES_MAX);
    assert!(body.get("sign").is_none() && body.get("timestamp").is_none());
}

#[tokio::test]
async fn dingtalk_gets_its_signature_in_the_url_and_a_card_without_markup_of_clients() {
    let ok = Answer::new(200, r#"{"errcode":0,"errmsg":"ok"}"#);
    let receiver = Receiver::start(ok, |url| DingTalk::new(url, Some(Secret::new("SECsecret")))).await;
    let (request, body) = receiver.seen(&alert()).await;
    let query = query(&request);
    assert_eq!(query["key"], "token", "the robot's own query stays");
    assert_eq!(query["timestamp"], "1767225600000", "milliseconds");
    let signed = b"1767225600000\nSECsecret";
    let expected = BASE64_STANDARD.encode(hmac_sha256(b"SECsecret", &[signed]));
    assert_eq!(query["sign"], expected);
    assert_eq!(body["msgtype"], "actionCard");
    let card = &body["actionCard"];
    let markdown = text(&card["text"]);
    assert!(
        markdown.contains("- **Request**: POST /v1/＜b＞＆［x］（https：//evil）"),
        "{markdown}"
    );
    assert!(!markdown.contains("<at") && !markdown.contains("@all"));
    let buttons = card["btns"].as_array().expect("buttons");
    assert_eq!(buttons.len(), 4);
    assert!(
        buttons
            .iter()
            .all(|button| button["title"].is_string() && button["actionURL"].is_string())
    );
    let (request, _) = receiver.seen(&long_alert()).await;
    assert!(request.body.len() <= DINGTALK_BODY_BYTES_MAX);
}

#[tokio::test]
async fn dingtalk_without_links_gets_markdown() {
    let ok = Answer::new(200, r#"{"errcode":0,"errmsg":"ok"}"#);
    let receiver = Receiver::start_with(ok, |url| DingTalk::new(url, None), None).await;
    let (request, body) = receiver.seen(&alert()).await;
    assert_eq!(request.target, "/hook?key=token");
    assert_eq!(body["msgtype"], "markdown");
    assert!(text(&body["markdown"]["text"]).starts_with("### "));
    assert!(body["markdown"]["title"].is_string());
}

#[tokio::test]
async fn wecom_gets_markdown_of_so_many_bytes() {
    let ok = Answer::new(200, r#"{"errcode":0,"errmsg":"ok"}"#);
    let receiver = Receiver::start(ok, WeCom::new).await;
    let (_, body) = receiver.seen(&alert()).await;
    assert_eq!(body["msgtype"], "markdown");
    let content = text(&body["markdown"]["content"]);
    assert!(content.starts_with("### <font color=\"warning\">"), "{content}");
    assert!(content.contains("> Request: POST /v1/＜b＞＆［x］（https：//evil）"));
    assert_eq!(content.matches("](https://sentinel.example.com/base/").count(), 4);
    assert_eq!(
        content.matches('<').count(),
        2,
        "the title's colour and nothing else"
    );
    let (_, body) = receiver.seen(&long_alert()).await;
    let content = text(&body["markdown"]["content"]);
    assert!(content.len() <= WECOM_CONTENT_BYTES_MAX);
    assert!(
        content.contains("](https://sentinel.example.com/base/"),
        "links stay"
    );
}

fn check_blocks(body: &Value) {
    let blocks = body["blocks"].as_array().expect("blocks");
    assert!(blocks.len() <= 50);
    assert_eq!(blocks[0]["type"], "header");
    assert!(text(&blocks[0]["text"]["text"]).chars().count() <= 150);
    let fields = blocks[1]["fields"].as_array().expect("fields");
    assert!((1..=10).contains(&fields.len()));
    for field in fields {
        assert_eq!(field["type"], "plain_text");
        assert!((1..=2_000).contains(&text(&field["text"]).chars().count()));
    }
    for button in blocks[2]["elements"].as_array().expect("buttons") {
        assert_eq!(
            (&button["type"], &button["text"]["type"]),
            (&"button".into(), &"plain_text".into())
        );
        assert!(text(&button["text"]["text"]).chars().count() <= 75);
        assert!(text(&button["url"]).len() <= 3_000);
    }
    let fallback = text(&body["text"]);
    assert!(!fallback.is_empty() && !fallback.contains('<'));
}

#[tokio::test]
async fn slack_gets_blocks_on_its_webhook() {
    let receiver = Receiver::start(Answer::new(200, "ok"), SlackWebhook::new).await;
    let (request, body) = receiver.seen(&alert()).await;
    check_blocks(&body);
    assert_eq!(request.header("authorization"), None);
    let (_, body) = receiver.seen(&long_alert()).await;
    check_blocks(&body);
}

#[tokio::test]
async fn slacks_bot_posts_to_its_conversation() {
    let receiver = Receiver::start(Answer::new(200, r#"{"ok":true,"ts":"1"}"#), |url| {
        SlackBot::new(&url, &Secret::new("xoxb-token"), "C0123").expect("a token")
    })
    .await;
    let (request, body) = receiver.seen(&alert()).await;
    assert!(
        request.target.starts_with("/hook/chat.postMessage"),
        "{}",
        request.target
    );
    assert_eq!(
        request.header("authorization").as_deref(),
        Some("Bearer xoxb-token")
    );
    assert_eq!(
        (&body["channel"], &body["unfurl_links"]),
        (&"C0123".into(), &false.into())
    );
    check_blocks(&body);
    assert!(SlackBot::new(&http("https://slack.com/api"), &Secret::new("a\nb"), "C").is_none());
}

#[tokio::test]
async fn telegram_gets_escaped_html_and_a_keyboard_of_links() {
    let ok = Answer::new(200, r#"{"ok":true,"result":{"message_id":1}}"#);
    let token = Secret::new("123:AbC");
    let receiver = Receiver::start(ok, |url| Telegram::new(&url, &token, "-100123", Some(7))).await;
    let (request, body) = receiver.seen(&alert()).await;
    assert!(
        request.target.starts_with("/hook/bot123:AbC/sendMessage"),
        "{}",
        request.target
    );
    assert_eq!(
        (&body["chat_id"], &body["message_thread_id"]),
        (&"-100123".into(), &7.into())
    );
    assert_eq!(body["parse_mode"], "HTML");
    let html = text(&body["text"]);
    assert!(
        html.contains("<code>POST /v1/&lt;b&gt;&amp;[x](https://evil)</code>"),
        "{html}"
    );
    for tag in html.split('<').skip(1) {
        let known = ["b>", "/b>", "code>", "/code>"];
        assert!(known.iter().any(|known| tag.starts_with(known)), "{tag}");
    }
    let rows = body["reply_markup"]["inline_keyboard"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    assert!(
        rows.iter()
            .all(|row| row[0]["url"].is_string() && row[0]["text"].is_string())
    );
    let (_, body) = receiver.seen(&long_alert()).await;
    assert!(text(&body["text"]).encode_utf16().count() <= TELEGRAM_TEXT_CHARACTERS_MAX);
}

#[tokio::test]
async fn telegram_gets_links_in_the_text_where_it_takes_no_buttons() {
    let signer = crate::links::LinkSigner::new(b"secret");
    let local = Arc::new(Console::new("http://localhost:7001", signer).expect("a URL"));
    let ok = Answer::new(200, r#"{"ok":true}"#);
    let token = Secret::new("1:a");
    let receiver = Receiver::start_with(ok, |url| Telegram::new(&url, &token, "1", None), Some(local)).await;
    let (_, body) = receiver.seen(&alert()).await;
    assert!(body.get("reply_markup").is_none() && body.get("message_thread_id").is_none());
    assert!(text(&body["text"]).contains("http://localhost:7001/admin/ui/alerts/al_"));
}

#[tokio::test]
async fn each_channel_speaks_its_language() {
    let upstream = ScriptedUpstream::start(Answer::new(200, "ok")).await;
    for (language, word) in [
        (Language::Chinese, "密钥被频繁拒绝"),
        (Language::English, "A key is refused"),
    ] {
        let platform = SlackWebhook::new(http(&upstream.url()));
        let channel = HttpChannel::new(channel_id("ops"), platform, local_client(), language, None);
        bounded("an attempt", channel.send(&alert(), NOW))
            .await
            .expect("taken");
        let last = upstream.requests().len() - 1;
        let seen = upstream.wait_for_body(last).await;
        assert!(String::from_utf8_lossy(&seen.body).contains(word));
    }
}
