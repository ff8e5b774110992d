//! What is commonly wrong, judged from what was gathered. Asks nothing, and shows no secret: of one, only that it can be guessed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sentinel_admin::Finding;
use sentinel_core::binding::BindingRecord;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::policy::{Failsafe, Mode, Rules};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use sentinel_proxy::UpstreamTarget;
use zeroize::Zeroizing;

use crate::config::{AdminPassword, Config, Secret};

/// From how many bindings on their addresses say something.
const BINDINGS_MIN: usize = 20;
/// Of how many bindings, of a hundred, one network has to hold to look like a proxy's.
const ONE_NETWORK_PERCENT: usize = 60;
/// How far a clock may be off.
const CLOCK_OFF_MAX_MS: i64 = 5_000;
/// Texts that stand in examples where a secret belongs, and what people type in their place.
const GUESSABLE: [&str; 12] = [
    "admin", "change", "default", "demo", "example", "password", "secret", "sentinel", "test", "token",
    "your", "12345678",
];

/// What of the configuration is looked at. Holds no secret.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The settings whose secrets can be guessed.
    guessable: Vec<&'static str>,
    channels: usize,
    has_public_url: bool,
    admin_is_public: bool,
    upstream_in_clear: Vec<String>,
    trusted_everywhere: Vec<Network>,
}

impl Facts {
    pub(crate) fn of(config: &Config) -> Self {
        let password = match &config.admin.password {
            Some(AdminPassword::Plain(password)) => Some(password),
            _ => None,
        };
        let secrets = [
            ("SENTINEL_HMAC_SECRET", config.hmac_secret.as_ref()),
            ("ADMIN_JWT_SECRET", config.admin.jwt_secret.as_ref()),
            ("ADMIN_PASSWORD", password),
        ];
        let guessable = secrets
            .into_iter()
            .filter(|(_, secret)| secret.is_some_and(can_be_guessed));
        let target = config.upstream.url.as_ref().filter(|target| !target.is_tls());
        let origins = target.into_iter().flat_map(UpstreamTarget::origins);
        let elsewhere = origins.filter(|origin| {
            let address = origin.host().trim_matches(['[', ']']).parse().map(ClientIp::new);
            address.is_ok_and(is_public)
        });
        Self {
            guessable: guessable.map(|(name, _)| name).collect(),
            channels: config.alerts.channels.len(),
            has_public_url: config.admin.public_url.is_some(),
            admin_is_public: !config.admin.listen.ip().is_loopback(),
            upstream_in_clear: elsewhere.map(ToString::to_string).collect(),
            trusted_everywhere: config
                .proxy
                .trusted_proxies
                .iter()
                .filter(|network| is_wide(network))
                .copied()
                .collect(),
        }
    }

    /// What follows from the configuration alone.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        vec![
            self.secrets(),
            self.alerts(),
            self.admin_listener(),
            self.upstream(),
            self.trusted_proxies(),
        ]
    }

    fn secrets(&self) -> Finding {
        if self.guessable.is_empty() {
            return Finding::good("secrets", "None of them can be guessed from an example.");
        }
        Finding::problem(
            "secrets",
            format!("Can be guessed: {}.", self.guessable.join(", ")),
            "Set them to random text (openssl rand -base64 32). A new HMAC secret makes every key unknown: bindings are made anew.",
        )
        .for_owners()
    }

    fn alerts(&self) -> Finding {
        if self.channels == 0 {
            return Finding::warning(
                "alerts",
                "No channel is configured: alerts are seen in the console only.",
                "Set ALERT_WEBHOOK_URL, or write a channel into the configuration file (sentinel.example.toml shows how).",
            );
        }
        if !self.has_public_url {
            return Finding::warning(
                "alerts",
                "Messages have no links: where operators reach the console is not configured.",
                "Set SENTINEL_ADMIN_PUBLIC_URL.",
            );
        }
        Finding::good("alerts", format!("{} channels are configured.", self.channels))
    }

    fn admin_listener(&self) -> Finding {
        if self.admin_is_public && !self.has_public_url {
            return Finding::warning(
                "admin_listener",
                "It listens beyond this machine and speaks HTTP in clear.",
                "Put a proxy with TLS in front and set SENTINEL_ADMIN_PUBLIC_URL, or let it listen on 127.0.0.1.",
            );
        }
        Finding::good("admin_listener", "It is reached as configured.")
    }

    fn upstream(&self) -> Finding {
        if self.upstream_in_clear.is_empty() {
            return Finding::good(
                "upstream_encryption",
                "No key leaves for a public address in clear.",
            );
        }
        let origins = self.upstream_in_clear.join(", ");
        Finding::problem(
            "upstream_encryption",
            format!("Keys go to a public address in clear: {origins}."),
            "Use https in UPSTREAM_URL.",
        )
    }

    fn trusted_proxies(&self) -> Finding {
        if self.trusted_everywhere.is_empty() {
            return Finding::good("trusted_proxies", "None of them is a large part of the internet.");
        }
        let networks: Vec<String> = self.trusted_everywhere.iter().map(ToString::to_string).collect();
        Finding::problem(
            "trusted_proxies",
            format!(
                "Whoever connects from these may choose its address: {}.",
                networks.join(", ")
            ),
            "Narrow SENTINEL_TRUSTED_PROXIES to the addresses of your own proxies.",
        )
    }
}

/// Made of an example's words, or of few different characters.
fn can_be_guessed(secret: &Secret) -> bool {
    /// So many different letters and digits have to be left without those words.
    const DIFFERENT_MIN: usize = 8;
    let mut rest = Zeroizing::new(secret.expose().to_ascii_lowercase());
    for word in GUESSABLE {
        *rest = rest.replace(word, "");
    }
    let different: HashSet<char> = rest.chars().filter(char::is_ascii_alphanumeric).collect();
    different.len() < DIFFERENT_MIN
}

fn is_public(address: ClientIp) -> bool {
    match address.addr() {
        std::net::IpAddr::V4(address) => {
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified())
        }
        std::net::IpAddr::V6(address) => {
            !(address.is_unique_local()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified())
        }
    }
}

fn is_wide(network: &Network) -> bool {
    let narrow = if network.first().addr().is_ipv4() { 8 } else { 16 };
    network.prefix_length() < narrow
}

/// Whether a part works.
pub(super) fn part(name: &str, health: Result<(), StoreError>) -> Finding {
    // The name of the finding is stable; which part it is about is in its text.
    match health {
        Ok(()) => Finding::good("part", format!("{name} works.")),
        Err(error) => {
            tracing::warn!(%error, part = name, "a part does not work");
            Finding::problem(
                "part",
                format!("{name} does not work."),
                "Look into the log: it says why.",
            )
        }
    }
}

/// A check that the store did not answer.
pub(super) fn not_looked_at(name: &'static str, error: &StoreError) -> Finding {
    tracing::warn!(%error, check = name, "a check could not look");
    Finding::warning(
        name,
        "It could not be looked at: the store did not answer.",
        "Look at the store first.",
    )
}

/// Whether a proxy's address is being bound: then many keys have one network.
pub(super) fn bound_addresses(newest: &[BindingRecord]) -> Finding {
    const NAME: &str = "bound_addresses";
    let mut held: HashMap<Network, usize> = HashMap::new();
    for network in newest.iter().flat_map(|record| record.binding.networks.iter()) {
        *held.entry(*network).or_default() += 1;
    }
    let most = held.into_iter().max_by_key(|(network, count)| (*count, *network));
    match most {
        Some((network, count))
            if newest.len() >= BINDINGS_MIN && count * 100 >= newest.len() * ONE_NETWORK_PERCENT =>
        {
            Finding::problem(
                NAME,
                format!(
                    "{count} of the newest {} keys are bound to {network}: that looks like a proxy's address.",
                    newest.len()
                ),
                format!(
                    "If a proxy of yours has it, add it to SENTINEL_TRUSTED_PROXIES and unbind those keys (bindings within {network}); \
                     GET /admin/api/diagnostics/address through the proxy shows what is seen."
                ),
            )
        }
        _ => Finding::good(
            NAME,
            format!(
                "The newest {} keys are bound to addresses of their own.",
                newest.len()
            ),
        ),
    }
}

/// Whether the clock goes as time goes. `by_clock` is how far it went, in milliseconds, while `steady` passed; `newest` is when something was
/// last written down.
pub(super) fn clock(by_clock: i64, steady: Duration, now: Timestamp, newest: Option<Timestamp>) -> Finding {
    const NAME: &str = "clock";
    const ADVICE: &str = "Let the clock be set by NTP (chrony or systemd-timesyncd), on every replica and on the database's machine.";
    let off = by_clock.saturating_sub(i64::try_from(steady.as_millis()).unwrap_or(i64::MAX));
    if off.abs() > CLOCK_OFF_MAX_MS {
        let direction = if off > 0 { "forward" } else { "back" };
        let text = format!(
            "It jumped {direction} by {} s since the start.",
            off.abs() / 1_000
        );
        return Finding::warning(NAME, text, ADVICE);
    }
    let ahead = newest.map_or(0, |newest| newest.unix_ms().saturating_sub(now.unix_ms()));
    if ahead > CLOCK_OFF_MAX_MS {
        let text = format!(
            "Something was written down {} s from now: this clock is late, or another was early.",
            ahead / 1_000
        );
        return Finding::warning(NAME, text, ADVICE);
    }
    Finding::good(NAME, "It goes as time goes.")
}

/// Whether the rules protect.
pub(super) fn rules(rules: &Rules) -> Finding {
    const NAME: &str = "rules";
    if rules.mode == Mode::Observe {
        return Finding::warning(
            NAME,
            "Nothing is refused for coming from elsewhere: the mode is observe.",
            "Set policy.mode to enforce once the records show only strangers.",
        );
    }
    if rules.failsafe == Failsafe::Open {
        return Finding::warning(
            NAME,
            "While the store is away, unknown keys go on: the failsafe mode is open.",
            "Set policy.failsafe_mode to closed if no key may pass unseen.",
        );
    }
    Finding::good(NAME, "They are enforced.")
}
