use proptest::prelude::*;

use super::*;
use crate::memory::MemoryAlertStore;
use crate::testing::{NOW, alert, console, network};

fn signer() -> LinkSigner {
    LinkSigner::new(b"the installation's secret")
}

fn link() -> ActionLink {
    ActionLink {
        action: LinkAction::AllowNetwork,
        alert: AlertId::from_stored("al_1".to_owned()),
        binding: Some(BindingId(42)),
        network: Some(network("2001:db8::/48")),
        expires_at: NOW.plus(LINK_LIFE),
        nonce: "nonce".to_owned(),
    }
}

fn token_of(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    let found = url.query_pairs().find(|(name, _)| name == "token");
    found.expect("a token").1.into_owned()
}

#[test]
fn a_link_says_what_was_signed_until_it_expires() {
    let signer = signer();
    for link in [
        link(),
        ActionLink {
            action: LinkAction::Ignore,
            binding: None,
            network: None,
            ..link()
        },
    ] {
        let token = signer.sign(&link);
        assert!(token.len() <= TOKEN_BYTES_MAX);
        assert_eq!(signer.verify(&token, NOW), Ok(link.clone()));
        let last = Timestamp::from_unix_ms(link.expires_at.unix_ms() - 1);
        assert_eq!(signer.verify(&token, last), Ok(link.clone()));
        assert_eq!(signer.verify(&token, link.expires_at), Err(LinkRefused::Expired));
    }
}

#[test]
fn what_is_not_ours_is_refused() {
    let token = signer().sign(&link());
    let (payload, signature) = token.split_once('.').expect("two parts");
    let other = LinkSigner::new(b"another installation's secret").sign(&link());
    let (_, other_signature) = other.split_once('.').expect("two parts");
    let banning = ActionLink {
        action: LinkAction::Ban,
        ..link()
    };
    let banning = signer().sign(&banning);
    let (other_payload, _) = banning.split_once('.').expect("two parts");
    let long = format!("{}.{signature}", "a".repeat(TOKEN_BYTES_MAX));
    for forged in [
        String::new(),
        ".".to_owned(),
        payload.to_owned(),
        format!("{payload}."),
        format!("{payload}.{other_signature}"),
        format!("{other_payload}.{signature}"),
        format!("{payload}.{}", &signature[1..]),
        format!("{payload}.{signature}x"),
        format!("{payload}.{signature}="),
        format!(" {token}"),
        other.clone(),
        long,
    ] {
        assert_eq!(
            signer().verify(&forged, NOW),
            Err(LinkRefused::Forged),
            "{forged}"
        );
    }
}

proptest! {
    #[test]
    fn no_change_of_a_token_goes_through(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let token = signer().sign(&link());
        let mut changed = token.clone().into_bytes();
        let place = place.index(changed.len());
        prop_assume!(changed[place] != byte);
        changed[place] = byte;
        if let Ok(changed) = String::from_utf8(changed) {
            let verified = signer().verify(&changed, NOW);
            // The last character of base64 carries bits that decoding ignores; the decoder refuses them.
            prop_assert_eq!(verified, Err(LinkRefused::Forged));
        }
    }
}

#[tokio::test]
async fn a_link_works_once_wherever_it_was_sent() {
    let alert = alert();
    let store = MemoryAlertStore::new();
    // Each channel, and each attempt, makes the message anew.
    let urls = [console().actions(&alert), console().actions(&alert)];
    assert_eq!(urls[0], urls[1]);
    for (action, url) in &urls[0] {
        let link = signer().verify(&token_of(url), NOW).expect("ours");
        assert_eq!(link.action, *action);
        assert_eq!(link.alert, alert.id);
        let first = link.use_once(&store, NOW).await;
        assert_eq!(first, Ok(true), "each action is one link");
        assert_eq!(link.use_once(&store, NOW).await, Ok(false));
    }
    let mut later = alert.clone();
    later.sequence = 1;
    let url = &console().actions(&later)[0].1;
    let link = signer().verify(&token_of(url), NOW).expect("ours");
    assert_eq!(
        link.use_once(&store, NOW).await,
        Ok(true),
        "another notice, another link"
    );
}

#[test]
fn what_can_be_done_depends_on_what_is_known() {
    use LinkAction::{AllowNetwork, Ban, Ignore};

    let actions = |change: fn(&mut Alert)| -> Vec<LinkAction> {
        let mut alert = alert();
        change(&mut alert);
        console()
            .actions(&alert)
            .into_iter()
            .map(|(action, _)| action)
            .collect()
    };
    assert_eq!(actions(|_| {}), [Ban, AllowNetwork, Ignore]);
    assert_eq!(actions(|alert| alert.binding = None), [Ignore]);
    assert_eq!(actions(|alert| alert.seen.networks.clear()), [Ban, Ignore]);
    let another = |alert: &mut Alert| alert.seen.add_network(network("192.0.2.1"));
    assert_eq!(actions(another), [Ban, Ignore], "which of them?");
    let over = |alert: &mut Alert| alert.state = sentinel_core::alert::AlertState::Calmed;
    assert_eq!(actions(over), []);
}

#[test]
fn links_lead_under_the_consoles_address() {
    let page = console().alert(&alert());
    assert_eq!(
        page,
        "https://sentinel.example.com/base/admin/ui/alerts/al_aaaabbbbccccdddd"
    );
    let (_, act) = console().actions(&alert()).remove(0);
    assert!(act.starts_with("https://sentinel.example.com/base/admin/ui/alerts/act?token="));
    for base in [
        "sentinel.example.com",
        "ftp://sentinel.example.com",
        "https://user@sentinel.example.com",
        "https://sentinel.example.com/?a=b",
        "https://sentinel.example.com/#a",
        "",
    ] {
        assert!(Console::new(base, signer()).is_err(), "{base}");
    }
    assert_eq!(format!("{:?}", signer()), "LinkSigner(redacted)");
}
