//! The secrets of a server that starts, and what a change of the HMAC secret means to it.

use sentinel_core::time::Timestamp;
use sentinel_store::shared::ABSENT_LIFE;

use super::AppError;
use crate::config::Config;
use crate::secrets::{self, Agreed, Secrets};
use crate::stores::Authority;

/// The secrets, on which all replicas agree, if there can be several.
pub(super) async fn prepare(
    config: &Config,
    authority: &Authority,
    now: Timestamp,
) -> Result<Secrets, AppError> {
    let secrets = secrets::prepare(config, &authority.checked_by().await?)?;
    let agreed = secrets::agree_on(&secrets.hasher, config, authority, now).await?;
    if agreed == Agreed::Changed {
        tracing::warn!("the HMAC secret was changed: bindings move to it with their keys' next use");
        // Other replicas may hold for so long that a key has no binding.
        tokio::time::sleep(ABSENT_LIFE).await;
    }
    if let Some(previous) = &secrets.sealing_previous {
        sentinel_admin::reseal_second_factors(&*authority.accounts, (&secrets.sealing, previous), now)
            .await?;
        let left = secrets::under_others(&secrets.hasher, authority).await?;
        tracing::info!(
            active = left.active,
            banned = left.banned,
            "bindings that lie under the HMAC secret before"
        );
    }
    secrets
        .warnings
        .iter()
        .for_each(|warning| tracing::warn!("{warning}"));
    Ok(secrets)
}
