//! The data plane as a client and an upstream see it, over real sockets; only the store is a scripted one.

mod bounds;
mod claims;
mod decisions;
mod failures;
mod forwarding;
mod live;
mod support;
mod tunnels;
