//! The demo: an upstream that needs no gateway and no model, and a show that puts Sentinel in front of it.
//!
//! The keys in here are public. They open nothing but the demo upstream, and nothing else may ever accept them.

mod client;
mod command;
mod keys;
mod scenario;
mod screen;
mod upstream;

pub(crate) use command::{DemoArguments, run};
pub(crate) use keys::{DEMO_KEY, DemoKeys};
pub(crate) use upstream::DemoUpstream;
