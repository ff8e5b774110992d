//! The admin listener: sign-in, the JSON API for operators, health and metrics.
//!
//! One resource is one file in `routes/`, with its handlers and its tests; [`router`] puts them together from one table
//! that also says who may call each. Everything from outside is handed in as [`AdminParts`], behind the domain's ports.
//! Nothing in here may know a store or the proxy, decide about requests to the gateway, or show an API key, a password or a
//! token.

mod alerts;
mod answers;
mod auth;
mod console;
mod counts;
mod diagnostics;
mod error;
mod extract;
mod figures;
mod keys;
mod masking;
mod middleware;
mod oidc;
mod openapi;
mod page;
mod parts;
mod problem;
mod router;
mod routes;
mod server;
mod settings;
mod tails;

#[cfg(test)]
mod secrecy_tests;
#[cfg(test)]
mod testing;

pub use alerts::{Alerts, ChannelTestFailed, LinkRefused, LinkedAction};
pub use auth::password::{PASSWORD_CHARACTERS_MIN, Password, PasswordHash, hash_password, is_password_hash};
pub use auth::second_factor::{SealingSecret, reseal_second_factors};
pub use auth::token::{
    JWT_SECRET_BYTES_MIN, JwtSecret, TOKEN_LIFE_DEFAULT, TOKEN_LIFE_MAX, TOKEN_LIFE_MIN, TokenLife,
};
pub use diagnostics::{Diagnostics, Finding, Severity, TriedAddress};
pub use error::AdminError;
pub use figures::{Figures, LiveStreams, Propagation, TrafficFigures};
pub use keys::Keys;
pub use oidc::{
    CLAIM_CHARACTERS_MAX, CallFailed, ClientSecret, ConsoleUrl, Issuer, IssuerProblem, OidcParts,
    OidcSettings, ProviderAnswer, ProviderCall, ProviderCalls, ProviderForm, ROLE_VALUES_MAX, RoleMapping,
};
pub use openapi::openapi_json;
pub use parts::{Account, AdminParts};
pub use router::router;
pub use routes::LogFormat;
pub use server::{CONNECTIONS_MAX, DRAIN_MAX, serve};
pub use settings::{
    PastChange, Setting, SettingDifference, SettingSchema, SettingSource, Settings, SettingsChange,
    SettingsInEffect, SettingsOutcome, SettingsRefused, StoredDifference, WantedSettings, WrongSetting,
};
pub use tails::{LOOK_PAUSE, LogFollower, Looked};
