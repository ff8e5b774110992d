//! How long the decision about a known key takes: credential, fingerprint, cached binding, decision, use.
//!
//! `cargo run --release -p sentinel-store --example hit_cost`

mod hit;

use std::hint::black_box;
use std::time::Instant;

use hit::KnownKey;

const ROUNDS: u32 = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let known = runtime.block_on(KnownKey::bound());
    for (name, decide) in [
        ("let on", KnownKey::decide as fn(&KnownKey) -> bool),
        ("refused", KnownKey::decide_from_elsewhere),
    ] {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            black_box(decide(black_box(&known)));
        }
        let each = began.elapsed() / ROUNDS;
        let mut out = std::io::stdout();
        let _ = std::io::Write::write_fmt(&mut out, format_args!("{name}: {each:?} each\n"));
    }
}
