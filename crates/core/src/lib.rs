//! The domain of Key-IP Sentinel, pure: who calls, with which key, bound to which network, and may it go on?
//!
//! It knows no socket, no runtime and no database: what comes from outside comes through [`ports`]. Nothing in
//! here may block, and nothing may hold an API key longer than the request that carried it.

pub mod account;
pub mod alert;
pub mod attempts;
pub mod audit;
pub mod binding;
pub mod client_ip;
pub mod counting;
pub mod credential;
pub mod decision;
pub mod event;
pub mod explanation;
pub mod fingerprint;
pub mod header;
pub mod html;
pub mod known;
pub mod network;
pub mod path;
pub mod policy;
pub mod ports;
pub mod profile;
pub mod proxy_protocol;
pub mod time;
pub mod usage;
