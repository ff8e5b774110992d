//! The credential-differential guard: whatever a client sends, the key that the gateway will use is the one that was checked,
//! and no other credential goes on.
//!
//! Each gateway has a model of its own rule here, written after the gateway's source and not after the profile's table: straight-line
//! code with the semantics of the gateway's language. A model answers with every key that any known version of the gateway would
//! look up. Nothing here may be used by the product, and no model may call what it is there to judge.

mod gateway;
mod golang;
mod proxy;
mod python;
mod request;

mod anthropic;
mod gemini;
mod litellm;
mod new_api;
mod one_api;
mod openai;
mod sub2api;
