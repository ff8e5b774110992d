//! Any bytes as the input of `properties::proxy_header`, which says what must hold.
#![no_main]

#[path = "../properties.rs"]
#[expect(dead_code, reason = "each target runs one of the properties")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::proxy_header(input));
