//! Links in messages: to the console, and to pages where one alert is acted on. A link that acts is signed, expires, and works once.
//!
//! Opening one shows what would be done; only the page's own POST does it, after [`LinkSigner::verify`] and
//! [`ActionLink::use_once`]. Chat platforms open links to preview them, so a GET must never act.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
pub use sentinel_core::alert::LinkAction;
use sentinel_core::alert::ports::UsedLinks;
use sentinel_core::alert::{Alert, AlertId};
use sentinel_core::binding::BindingId;
use sentinel_core::network::Network;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use url::Url;
use zeroize::Zeroizing;

use crate::mac::hmac_sha256;

/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 1_024;
/// How long a link that acts works, from the transition that it was sent for.
pub const LINK_LIFE: Duration = Duration::from_hours(24);
/// The page that shows what a link would do, under the console's address.
pub const ACTION_PATH: &str = "admin/ui/alerts/act";
/// The page of one alert, under the console's address.
pub const ALERT_PATH: &str = "admin/ui/alerts";

/// Keeps these signatures apart from others under the same secret.
const PURPOSE: &[u8] = b"key-ip-sentinel alert link v1";

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionLink {
    /// What it does.
    pub action: LinkAction,
    /// The alert that it was sent for.
    pub alert: AlertId,
    /// The binding that it does it to.
    pub binding: Option<BindingId>,
    /// The network that it allows.
    pub network: Option<Network>,
    /// When it stops to work.
    pub expires_at: Timestamp,
    /// Its own name: a link with a name that was used works no more.
    pub nonce: String,
}

impl ActionLink {
    /// Whether this is its first use, which is noted. The caller has verified the link, and acts only when this says so.
    pub async fn use_once(&self, used: &dyn UsedLinks, now: Timestamp) -> Result<bool, StoreError> {
        used.use_once(&self.nonce, self.expires_at, now).await
    }
}

/// Why a link is not followed. It is not said to whoever opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    /// It is no link of ours, or was changed.
    #[error("the link is not one that this installation signed")]
    Forged,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    act: LinkAction,
    alert: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    exp: i64,
    nonce: String,
}

/// Signs links and checks them.
#[derive(Clone)]
pub struct LinkSigner(Zeroizing<[u8; 32]>);

impl LinkSigner {
    /// Signs under a key derived from the installation's secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(Zeroizing::new(hmac_sha256(secret, &[PURPOSE])))
    }

    /// The token of a link.
    ///
    /// # Panics
    ///
    /// Never: texts and numbers can be written as JSON.
    pub fn sign(&self, link: &ActionLink) -> String {
        let written = Written {
            act: link.action,
            alert: link.alert.as_str().to_owned(),
            binding: link.binding.map(|id| id.0),
            network: link.network.map(|network| network.to_string()),
            exp: link.expires_at.unix_ms(),
            nonce: link.nonce.clone(),
        };
        let payload = serde_json::to_vec(&written).expect("texts and numbers can be written");
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
        let signature =
            BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(&*self.0, &[b"token ", payload.as_bytes()]));
        format!("{payload}.{signature}")
    }

    /// What a token says, when it is ours and its time is not over.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<ActionLink, LinkRefused> {
        let (payload, signature) = Some(token)
            .filter(|token| token.len() <= TOKEN_BYTES_MAX)
            .and_then(|token| token.split_once('.'))
            .ok_or(LinkRefused::Forged)?;
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| LinkRefused::Forged)?;
        let expected = hmac_sha256(&*self.0, &[b"token ", payload.as_bytes()]);
        if !bool::from(expected.as_slice().ct_eq(&signature)) {
            return Err(LinkRefused::Forged);
        }
        let link = read(payload).ok_or(LinkRefused::Forged)?;
        if now >= link.expires_at {
            return Err(LinkRefused::Expired);
        }
        Ok(link)
    }

    /// The name of the link for one action of one transition. The same at every attempt and on every channel: wherever it is used
    /// first, it is used up.
    fn nonce(&self, alert: &Alert, action: LinkAction) -> String {
        let action: &[u8] = match action {
            LinkAction::Ban => b" ban",
            LinkAction::AllowNetwork => b" allow",
            LinkAction::Ignore => b" ignore",
        };
        let nonce = hmac_sha256(&*self.0, &[b"nonce ", alert.notice_id().as_bytes(), action]);
        BASE64_URL_SAFE_NO_PAD.encode(&nonce[..16])
    }
}

impl fmt::Debug for LinkSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkSigner(redacted)")
    }
}

fn read(payload: &str) -> Option<ActionLink> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let written: Written = serde_json::from_slice(&payload).ok()?;
    let network = match written.network {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    Some(ActionLink {
        action: written.act,
        alert: AlertId::from_stored(written.alert),
        binding: written.binding.map(BindingId),
        network,
        expires_at: Timestamp::from_unix_ms(written.exp),
        nonce: written.nonce,
    })
}

/// The console's address, as operators reach it.
#[derive(Clone, Debug)]
pub struct Console {
    base: Url,
    signer: LinkSigner,
}

/// The console's address is none that links can lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the console's address has to be an http or https URL without user name, query and fragment")]
pub struct ConsoleProblem;

impl Console {
    /// Links under `base`, such as `https://sentinel.example.com`.
    pub fn new(base: &str, signer: LinkSigner) -> Result<Self, ConsoleProblem> {
        let base = Url::parse(base).map_err(|_| ConsoleProblem)?;
        let is_plain = matches!(base.scheme(), "http" | "https")
            && base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        if is_plain {
            Ok(Self { base, signer })
        } else {
            Err(ConsoleProblem)
        }
    }

    /// The page of an alert.
    pub fn alert(&self, alert: &Alert) -> String {
        self.page(&format!("{ALERT_PATH}/{}", alert.id)).into()
    }

    /// The links that may be acted with on this alert, in the order in which they are shown. None once it is over.
    pub fn actions(&self, alert: &Alert) -> Vec<(LinkAction, String)> {
        if !alert.state.is_open() {
            return Vec::new();
        }
        let mut actions = Vec::new();
        if alert.binding.is_some() {
            actions.push((LinkAction::Ban, None));
            let network = alert.seen.networks.first().copied();
            if network.is_some() && !alert.seen.has_more_networks && alert.seen.networks.len() == 1 {
                actions.push((LinkAction::AllowNetwork, network));
            }
        }
        actions.push((LinkAction::Ignore, None));
        actions
            .into_iter()
            .map(|(action, network)| (action, self.action(alert, action, network)))
            .collect()
    }

    fn action(&self, alert: &Alert, action: LinkAction, network: Option<Network>) -> String {
        let token = self.signer.sign(&ActionLink {
            action,
            alert: alert.id.clone(),
            binding: alert.binding.filter(|_| action != LinkAction::Ignore),
            network,
            expires_at: alert.at.plus(LINK_LIFE),
            nonce: self.signer.nonce(alert, action),
        });
        let mut page = self.page(ACTION_PATH);
        page.query_pairs_mut().append_pair("token", &token);
        page.into()
    }

    fn page(&self, path: &str) -> Url {
        let mut page = self.base.clone();
        if let Ok(mut segments) = page.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        page
    }
}

#[cfg(test)]
mod tests;
