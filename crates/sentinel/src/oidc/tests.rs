use sentinel_admin::ProviderForm;
use sentinel_alerts::outbound::ANSWER_BYTES_MAX;
use sentinel_testkit::{Answer, ScriptedUpstream, bounded, unreachable_address};
use zeroize::Zeroizing;

use super::*;

fn calls() -> Arc<dyn ProviderCalls> {
    let config = crate::config::of_variables(&[
        ("UPSTREAM_URL", "http://127.0.0.1:9"),
        ("SENTINEL_ADMIN_PUBLIC_URL", "https://sentinel.example"),
        ("SENTINEL_ADMIN_OIDC_ISSUER", "https://id.example"),
        ("SENTINEL_ADMIN_OIDC_CLIENT_ID", "sentinel"),
        ("SENTINEL_ADMIN_OIDC_CLIENT_SECRET", "secret"),
        ("SENTINEL_ADMIN_OIDC_VIEWERS", "staff"),
    ]);
    let config = config.admin.oidc.expect("a provider is configured");
    parts(&config).expect("no extra authorities").calls
}

async fn get(url: &str) -> Result<ProviderAnswer, CallFailed> {
    let calls = calls();
    let call = ProviderCall { url, form: None };
    bounded("an answer or an error", calls.call(call)).await
}

#[tokio::test]
async fn an_address_inside_the_installation_is_called_and_no_redirect_followed() {
    let elsewhere = ScriptedUpstream::start(Answer::new(200, "{}")).await;
    let target = format!("{}/evil", elsewhere.url());
    let redirect = Answer::with_headers(302, &[("location", &target)], "");
    let provider = ScriptedUpstream::start(redirect).await;
    let answer = get(&format!("{}/x?y=z", provider.url()))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 302);
    assert_eq!(elsewhere.requests().len(), 0, "nobody went there");
    let seen = provider.requests();
    assert_eq!(seen[0].target, "/x?y=z");
    assert_eq!(seen[0].header("accept").as_deref(), Some("application/json"));
}

#[tokio::test]
async fn a_form_is_posted_with_its_authorization() {
    let provider = ScriptedUpstream::start(Answer::new(200, "{}")).await;
    let form = ProviderForm {
        authorization: Some(Zeroizing::new("Basic eDp5".to_owned())),
        body: Zeroizing::new("a=b".to_owned()),
    };
    let url = format!("{}/token", provider.url());
    let call = ProviderCall {
        url: &url,
        form: Some(form),
    };
    let calls = calls();
    let answer = bounded("an answer", calls.call(call)).await.expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    let seen = provider.requests().remove(0);
    assert_eq!((seen.method.as_str(), &seen.body[..]), ("POST", &b"a=b"[..]));
    assert_eq!(seen.header("authorization").as_deref(), Some("Basic eDp5"));
    let kind = seen.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/x-www-form-urlencoded"));
}

#[tokio::test]
async fn of_an_endless_answer_a_part_is_read_and_what_is_no_answer_is_an_error() {
    let provider = ScriptedUpstream::start(Answer::new(200, vec![b' '; 2 * ANSWER_BYTES_MAX])).await;
    let answer = get(&provider.url()).await.expect("an answer");
    assert_eq!(answer.body.len(), ANSWER_BYTES_MAX);
    let closing = ScriptedUpstream::start(Answer::close()).await;
    assert!(get(&closing.url()).await.is_err());
    let nobody = format!("http://{}", unreachable_address().await);
    for url in [nobody.as_str(), "ftp://127.0.0.1", "nonsense"] {
        assert!(get(url).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_provider_that_speaks_no_tls_where_it_should_is_none() {
    let plain = ScriptedUpstream::start(Answer::new(200, "{}")).await;
    let failed = get(&plain.url().replace("http:", "https:")).await;
    assert!(failed.is_err(), "{failed:?}");
}
