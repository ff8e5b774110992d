//! The data plane as a client and an upstream see it, over real sockets; only the store is a scripted one.

mod bounds;
mod claims;
mod corpus;
mod decisions;
mod failures;
mod faults;
mod forward_auth;
mod forwarding;
mod http2;
mod leaving;
mod live;
mod pitfalls;
mod proxied;
mod records;
mod support;
mod tls;
mod tunnels;
mod upstreams;
