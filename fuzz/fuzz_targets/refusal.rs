//! Any bytes as the input of `sentinel_proxy::fuzzing::refusal`, which says what must hold. The first byte chooses why, and how it is answered.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((choice, bytes)) = input.split_first() {
        sentinel_proxy::fuzzing::refusal(bytes, usize::from(*choice));
    }
});
