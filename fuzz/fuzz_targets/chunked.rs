//! Any bytes as the input of `sentinel_proxy::fuzzing::chunked`, which says what must hold. The first byte says where they are cut in two.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((cut, bytes)) = input.split_first() {
        sentinel_proxy::fuzzing::chunked(bytes, usize::from(*cut));
    }
});
