//! What the admin listener is built from, and what its handlers share. Secrets in here do not print.

use std::fmt;
use std::sync::Arc;

use sentinel_core::attempts::AttemptLimiter;
use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::event::{AdminEvent, printable};
use sentinel_core::policy::LiveRules;
use sentinel_core::ports::{
    AccountStore, AdminEventStore, AnswerStore, AuditStore, BindingAdmin, BindingStore, Health,
    InterceptStore, TrafficStore,
};
use sentinel_core::time::Clock;
use tokio::sync::Semaphore;

use crate::alerts::Alerts;
use crate::answers::FirstAnswers;
use crate::auth::password::PasswordHash;
use crate::auth::refresh::RefreshCookies;
use crate::auth::second_factor::{SealingSecret, SecondFactors};
use crate::auth::sessions::Sessions;
use crate::auth::sign_in::SignIn;
use crate::auth::token::{JwtSecret, TokenLife, Tokens};
use crate::auth::verification::Verification;
use crate::counts::CountedBindings;
use crate::diagnostics::Diagnostics;
use crate::error::AdminError;
use crate::extract::SignedIn;
use crate::figures::{Figures, LiveStreams};
use crate::keys::Keys;
use crate::routes::EXPORTS_MAX;
use crate::settings::Settings;
use crate::tails::Tails;

/// The most characters of an account's name.
pub(crate) const USERNAME_CHARACTERS_MAX: usize = 64;

/// The configured account: an owner that no change over the API reaches.
pub struct Account {
    pub(crate) username: String,
    pub(crate) password: PasswordHash,
}

impl Account {
    /// Refuses a name that is empty, too long, or would not look in a log as it was typed.
    pub fn new(username: impl Into<String>, password: PasswordHash) -> Result<Self, AdminError> {
        let username = username.into();
        let shown = printable(username.as_bytes(), USERNAME_CHARACTERS_MAX);
        if username.is_empty() || username.trim() != username || shown != username {
            return Err(AdminError::Username);
        }
        Ok(Self { username, password })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Account")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Everything that the admin listener needs from outside.
pub struct AdminParts {
    /// What operators do with bindings.
    pub bindings: Arc<dyn BindingAdmin>,
    /// Knows keys as the proxy does.
    pub keys: Arc<dyn Keys>,
    /// The audit log.
    pub intercepts: Arc<dyn InterceptStore>,
    /// How much goes through all replicas.
    pub traffic: Arc<dyn TrafficStore>,
    /// The log of what operators did.
    pub events: Arc<dyn AdminEventStore>,
    /// The same log, for reading.
    pub audit: Arc<dyn AuditStore>,
    /// First answers to requests that may come again.
    pub answers: Arc<dyn AnswerStore>,
    /// The parts that `/readyz` asks, each by its name towards callers.
    pub health: Vec<(&'static str, Arc<dyn Health>)>,
    /// Those among them that requests do without: when one fails, `/readyz` says degraded and stays ready.
    pub dispensable_health: Vec<(&'static str, Arc<dyn Health>)>,
    /// Live figures and metrics.
    pub figures: Arc<dyn Figures>,
    /// What is under way on this replica.
    pub live: Arc<dyn LiveStreams>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The configured account.
    pub account: Account,
    /// All other accounts, sessions, and the tokens of programs.
    pub accounts: Arc<dyn AccountStore>,
    /// Seals second factors; the same on all replicas.
    pub sealing_secret: SealingSecret,
    /// Whom to believe about callers' addresses.
    pub client_ip: ClientIpRules,
    /// Remembers failed attempts to sign in.
    pub attempts: Arc<dyn AttemptLimiter>,
    /// Signs the tokens; the same on all replicas.
    pub jwt_secret: JwtSecret,
    /// For how long a token is good.
    pub token_life: TokenLife,
    /// Whether viewers see the networks of addresses only.
    pub masks_addresses_for_viewers: bool,
    /// The settings, without secrets.
    pub settings: Arc<dyn Settings>,
    /// The alerts, and the channels that they go out on.
    pub alerts: Arc<dyn Alerts>,
    /// The bindings by their keys, as they are stored.
    pub stored: Arc<dyn BindingStore>,
    /// The general rules, as they are now.
    pub rules: LiveRules,
    /// What the installation finds out about itself.
    pub diagnostics: Arc<dyn Diagnostics>,
}

/// What handlers share.
pub(crate) struct Admin {
    pub(crate) bindings: Arc<dyn BindingAdmin>,
    pub(crate) counts: Arc<CountedBindings>,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) intercepts: Arc<dyn InterceptStore>,
    pub(crate) traffic: Arc<dyn TrafficStore>,
    pub(crate) events: Arc<dyn AdminEventStore>,
    pub(crate) audit: Arc<dyn AuditStore>,
    pub(crate) answers: FirstAnswers,
    /// Held by whoever looks through the whole log.
    pub(crate) verifying: Semaphore,
    /// A place for each export of the audit log.
    pub(crate) exporting: Arc<Semaphore>,
    /// Who follows the audit log.
    pub(crate) tails: Arc<Tails>,
    pub(crate) health: Vec<(&'static str, Arc<dyn Health>)>,
    pub(crate) dispensable_health: Vec<(&'static str, Arc<dyn Health>)>,
    pub(crate) figures: Arc<dyn Figures>,
    pub(crate) live: Arc<dyn LiveStreams>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) client_ip: ClientIpRules,
    pub(crate) verification: Arc<Verification>,
    pub(crate) factors: Arc<SecondFactors>,
    pub(crate) sign_in: SignIn,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) cookies: RefreshCookies,
    pub(crate) masks_addresses_for_viewers: bool,
    pub(crate) settings: Arc<dyn Settings>,
    pub(crate) alerts: Arc<dyn Alerts>,
    pub(crate) stored: Arc<dyn BindingStore>,
    pub(crate) rules: LiveRules,
    pub(crate) diagnostics: Arc<dyn Diagnostics>,
    /// Held by whoever lets the installation look at itself.
    pub(crate) diagnosing: Semaphore,
}

impl Admin {
    /// Writes down what an operator did. It is done already: that it cannot be written down is for the log.
    pub(crate) async fn note(&self, caller: SignedIn, action: &str, detail: String) {
        let actor = caller.actor(self.clock.now());
        let event = AdminEvent::by(&actor, action, detail);
        if let Err(error) = self.events.append(event).await {
            tracing::warn!(%error, action, "what an operator did could not be written down");
        }
    }
}

impl From<AdminParts> for Admin {
    fn from(parts: AdminParts) -> Self {
        let verification = Arc::<Verification>::default();
        let factors = Arc::new(SecondFactors::new(&parts.sealing_secret));
        Self {
            counts: CountedBindings::new(Arc::clone(&parts.bindings), Arc::clone(&parts.clock)),
            bindings: parts.bindings,
            keys: parts.keys,
            tails: Tails::new(Arc::clone(&parts.intercepts)),
            intercepts: parts.intercepts,
            traffic: parts.traffic,
            events: parts.events,
            audit: parts.audit,
            answers: FirstAnswers::new(parts.answers, &parts.jwt_secret),
            verifying: Semaphore::new(1),
            exporting: Arc::new(Semaphore::new(EXPORTS_MAX)),
            health: parts.health,
            dispensable_health: parts.dispensable_health,
            figures: parts.figures,
            live: parts.live,
            clock: parts.clock,
            client_ip: parts.client_ip,
            sign_in: SignIn::new(
                parts.account,
                Arc::clone(&parts.accounts),
                parts.attempts,
                Arc::clone(&verification),
                Arc::clone(&factors),
            ),
            verification,
            factors,
            sessions: Sessions::new(Arc::clone(&parts.accounts), parts.token_life.duration()),
            accounts: parts.accounts,
            tokens: Tokens::new(&parts.jwt_secret, parts.token_life),
            cookies: RefreshCookies::new(&parts.jwt_secret),
            masks_addresses_for_viewers: parts.masks_addresses_for_viewers,
            settings: parts.settings,
            alerts: parts.alerts,
            stored: parts.stored,
            rules: parts.rules,
            diagnostics: parts.diagnostics,
            diagnosing: Semaphore::new(1),
        }
    }
}
