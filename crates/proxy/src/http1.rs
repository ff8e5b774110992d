//! HTTP/1.1 on the wire: heads read and judged, bodies taken out of one framing and put into another.
//!
//! Everything in here works on bytes that are there already; it reads and writes no socket. What could be understood in two ways is an error:
//! a request that two parsers read differently is how requests are smuggled. httparse splits heads into lines; every
//! judgement about them is ours.

pub(crate) mod body;
pub(crate) mod chunked;
pub(crate) mod framing;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod scan;
