//! Alerts, from the refusals that raise them to the receivers that take them.
//!
//! [`Watch`] counts what is refused and raises, advances and calms alerts; the outbox ([`sentinel_core::alert::ports::AlertStore`]) decides
//! which replica does; [`Couriers`] take deliveries out of it and send them on [`channel`]s, until each was taken or stands among
//! the dead. No request waits for any of this, and nothing in here may decide about one.

pub mod channel;
pub mod delivery;
mod escape;
pub mod links;
mod mac;
pub mod memory;
pub mod outbound;
mod secret;
#[cfg(test)]
mod testing;
pub mod text;
pub mod watch;

pub use delivery::Couriers;
pub use secret::Secret;
pub use watch::Watch;
