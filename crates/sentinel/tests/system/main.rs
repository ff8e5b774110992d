//! The whole system as operators run it: the real binary, PostgreSQL, Redis and an upstream, each a process or a server of its own.
//!
//! [`cluster`] starts all of it; [`replica`] is one running Sentinel; [`console`] speaks to its admin API.

mod accounts;
mod alerts;
mod bad_input;
mod check;
mod cluster;
mod console;
mod links;
mod moving;
mod outages;
mod plain;
mod records;
mod replica;
mod replicas;
mod secrets;
mod settings;
mod sign_in;
mod supervision;
mod traffic;

use std::net::{IpAddr, Ipv4Addr};

/// Where keys are first used from.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Somewhere else.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// A key.
const KEY: &str = "sk-systemsystemsystem0123456789";
