//! Measures how many claims per second the embedded store makes durable, by how many clients claim at once.
//!
//! `cargo run --release -p sentinel-store --example claim_rate [folder]`: the folder decides which disk is measured.

use std::path::PathBuf;
use std::time::Instant;

use sentinel_core::binding::NewBinding;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::ports::{BindingStore as _, Claim};
use sentinel_core::time::{Clock as _, SystemClock};
use sentinel_store::SqliteStore;

const CLAIMS: u64 = 20_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    for clients in [1, 16, 64, 256, 1_024] {
        let folder = tempfile::tempdir_in(&place)?;
        let store = SqliteStore::open(&folder.path().join("sentinel.db"))?;
        // One client alone waits for the disk at each claim.
        let claims = if clients == 1 { CLAIMS / 20 } else { CLAIMS };
        let begun = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        for client in 0..clients {
            let store = store.clone();
            running.spawn(async move {
                for number in (client..claims).step_by(usize::try_from(clients).unwrap_or(1)) {
                    match store.claim(new_binding(number)).await {
                        Ok(Claim::Won(_)) => {}
                        other => return Err(format!("{other:?}")),
                    }
                }
                Ok(())
            });
        }
        for outcome in running.join_all().await {
            outcome?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let claims = u32::try_from(claims)?;
        println!(
            "{clients:>5} clients: {:>7.0} claims/s",
            f64::from(claims) / seconds
        );
        store.close()?;
    }
    Ok(())
}

fn new_binding(number: u64) -> NewBinding {
    // Spread like MACs are, so that the index is touched as it is in earnest.
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    NewBinding {
        fingerprint: KeyFingerprint::from_bytes(bytes),
        previous: None,
        hint: KeyHint::from_stored("sk-ab…wxyz".to_owned()),
        network: sentinel_core::network::Network::widen(
            sentinel_core::network::ClientIp::new(
                std::net::Ipv4Addr::from_bits(0x0A00_0000 | u32::try_from(number).unwrap_or(0)).into(),
            ),
            32,
            64,
        ),
        bound_at: SystemClock.now(),
        profile: "".into(),
    }
}
