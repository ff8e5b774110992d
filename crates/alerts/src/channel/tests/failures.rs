//! What each channel makes of answers that are no success: which help to repeat, and that none tells a secret.

use super::*;
use crate::secret::Secret;
use crate::testing::alert;

const LATER: Again = Again::Later(None);

fn seconds(seconds: u64) -> Again {
    Again::Later(Some(Duration::from_secs(seconds)))
}

async fn outcome<P: Platform>(answer: Answer, platform: impl FnOnce(HttpUrl) -> P) -> Result<(), Again> {
    let receiver = Receiver::start(answer, platform).await;
    receiver.send(&alert()).await.map_err(|failure| {
        for secret in ["key=", "SECRET", "http://"] {
            assert!(!failure.text.contains(secret), "{}", failure.text);
        }
        failure.again
    })
}

fn secret() -> Secret {
    Secret::new("SECRET")
}

#[tokio::test]
async fn statuses_say_whether_another_attempt_helps() {
    for (status, again) in [
        (301, Again::Never),
        (307, Again::Never),
        (400, Again::Never),
        (401, Again::Never),
        (404, Again::Never),
        (408, LATER),
        (410, Again::Never),
        (413, Again::Never),
        (425, LATER),
        (429, LATER),
        (500, LATER),
        (502, LATER),
        (503, LATER),
        (504, LATER),
    ] {
        let headers = [("location", "http://169.254.169.254/latest/")];
        let answer = || Answer::with_headers(status, &headers, "no");
        let webhook = outcome(answer(), |url| Webhook::new(url, Vec::new()).expect("no secrets")).await;
        assert_eq!(webhook, Err(again), "webhook {status}");
        let feishu = outcome(answer(), |url| Feishu::new(url, Some(secret()))).await;
        assert_eq!(feishu, Err(again), "feishu {status}");
        let slack = outcome(answer(), SlackWebhook::new).await;
        assert_eq!(slack, Err(again), "slack {status}");
    }
    let busy = Answer::with_headers(503, &[("retry-after", "7")], "");
    let webhook = outcome(busy, |url| Webhook::new(url, Vec::new()).expect("no secrets")).await;
    assert_eq!(webhook, Err(seconds(7)));
}

#[tokio::test]
async fn an_error_inside_of_200_is_a_failure() {
    for (body, expected) in [
        (r#"{"code":0,"msg":"success"}"#, Ok(())),
        (r#"{"StatusCode":0,"StatusMessage":"success"}"#, Ok(())),
        (
            r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#,
            Err(Again::Never),
        ),
        (r#"{"code":19024,"msg":"Key Words Not Found"}"#, Err(Again::Never)),
        (
            r#"{"code":9499,"msg":"Bad Request","data":{}}"#,
            Err(Again::Never),
        ),
        (r#"{"code":11232,"msg":"frequency limited"}"#, Err(LATER)),
        (r#"{"msg":"success"}"#, Err(LATER)),
        ("<html>", Err(LATER)),
    ] {
        let feishu = outcome(Answer::new(200, body), |url| Feishu::new(url, Some(secret()))).await;
        assert_eq!(feishu, expected, "feishu {body}");
    }
    for (body, expected) in [
        (r#"{"errcode":0,"errmsg":"ok"}"#, Ok(())),
        (
            r#"{"errcode":310000,"errmsg":"sign not match"}"#,
            Err(Again::Never),
        ),
        (
            r#"{"errcode":300001,"errmsg":"token is not exist"}"#,
            Err(Again::Never),
        ),
        (
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            Err(seconds(600)),
        ),
        (r#"{"errcode":-1,"errmsg":"system busy"}"#, Err(LATER)),
        ("", Err(LATER)),
    ] {
        let dingtalk = outcome(Answer::new(200, body), |url| DingTalk::new(url, Some(secret()))).await;
        assert_eq!(dingtalk, expected, "dingtalk {body}");
    }
    for (body, expected) in [
        (r#"{"errcode":0,"errmsg":"ok"}"#, Ok(())),
        (
            r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
            Err(Again::Never),
        ),
        (
            r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
            Err(seconds(60)),
        ),
        (r#"{"errcode":-1,"errmsg":"system busy"}"#, Err(LATER)),
        ("[]", Err(LATER)),
    ] {
        let wecom = outcome(Answer::new(200, body), WeCom::new).await;
        assert_eq!(wecom, expected, "wecom {body}");
    }
    for (body, expected) in [
        ("ok", Ok(())),
        ("ok\n", Ok(())),
        ("no_text", Err(LATER)),
        ("", Err(LATER)),
    ] {
        let slack = outcome(Answer::new(200, body), SlackWebhook::new).await;
        assert_eq!(slack, expected, "slack {body}");
    }
    for (body, expected) in [
        (r#"{"ok":true}"#, Ok(())),
        (r#"{"ok":false,"error":"channel_not_found"}"#, Err(Again::Never)),
        (r#"{"ok":false,"error":"invalid_auth"}"#, Err(Again::Never)),
        (r#"{"ok":false,"error":"ratelimited"}"#, Err(seconds(30))),
        (r#"{"ok":false,"error":"internal_error"}"#, Err(seconds(30))),
        (r#"{"ok":false}"#, Err(Again::Never)),
        ("{}", Err(LATER)),
    ] {
        let bot = |url: HttpUrl| SlackBot::new(&url, &secret(), "C1").expect("a token");
        let slack = outcome(Answer::new(200, body), bot).await;
        assert_eq!(slack, expected, "slack's bot {body}");
    }
}

#[tokio::test]
async fn telegram_says_in_the_body_what_its_status_means() {
    for (status, body, expected) in [
        (200, r#"{"ok":true,"result":{}}"#, Ok(())),
        (
            200,
            r#"{"ok":false,"error_code":400,"description":"Bad Request"}"#,
            Err(Again::Never),
        ),
        (
            401,
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            Err(Again::Never),
        ),
        (
            403,
            r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked"}"#,
            Err(Again::Never),
        ),
        (
            429,
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}"#,
            Err(seconds(9)),
        ),
        (
            502,
            r#"{"ok":false,"error_code":502,"description":"Bad Gateway"}"#,
            Err(LATER),
        ),
        (502, "<html>", Err(LATER)),
        (302, "", Err(Again::Never)),
    ] {
        let telegram = |url: HttpUrl| Telegram::new(&url, &secret(), "1", None);
        let outcome = outcome(Answer::new(status, body), telegram).await;
        assert_eq!(outcome, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_or_resets_is_tried_again() {
    for answer in [Answer::close(), Answer::reset(), Answer::cut_short(99, "{")] {
        let feishu = outcome(answer, |url| Feishu::new(url, None)).await;
        assert_eq!(feishu, Err(LATER));
    }
}

#[test]
fn what_a_platform_says_is_cut() {
    let said = Failure::said(Again::Never, 1, &"x".repeat(ANSWER_CHARACTERS_MAX + 1));
    let shown = said.text.chars().filter(|character| *character == 'x').count();
    assert_eq!(shown, ANSWER_CHARACTERS_MAX - 1, "and an ellipsis");
}
