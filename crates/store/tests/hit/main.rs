//! What every request of a known key costs before it is on its way: credential, fingerprint, cached binding, decision, use. No memory is
//! allocated for it. (How long it takes: `cargo run --release -p sentinel-store --example hit_cost`.)

mod memory;

#[path = "../../examples/hit/mod.rs"]
mod hit;

use hit::KnownKey;

#[tokio::test]
async fn a_hit_allocates_nothing() {
    let known = KnownKey::bound().await;
    assert!(known.decide(), "let on from its own network");
    let measured = allocation_counter::measure(|| {
        for _ in 0..1_000 {
            assert!(known.decide());
        }
    });
    assert_eq!((measured.count_total, measured.bytes_total), (0, 0));
    assert!(!known.decide_from_elsewhere());
}
