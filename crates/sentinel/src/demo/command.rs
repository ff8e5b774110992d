//! The command `demo`: Sentinel in front of the demo upstream, in this process, on ports and in a folder of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use sentinel_core::time::SystemClock;

use super::keys::DemoKeys;
use super::scenario::{Stage, show};
use super::upstream::{DemoUpstream, serve_upstream};
use crate::app::App;
use crate::cli::{self, CliError};
use crate::config::Sources;
use crate::serve::{runtime, stop_signal};

/// What the demo is asked for.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Only run the built-in upstream, for trying something in front of it
    #[arg(long)]
    upstream_only: bool,
    /// Where the built-in upstream listens
    #[arg(long, requires = "upstream_only", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A key that it accepts, instead of the public one; may be repeated. Not for real keys: arguments are seen by others
    #[arg(long = "key", requires = "upstream_only")]
    keys: Vec<String>,
}

/// Runs the show, or the upstream alone until a signal comes.
pub(crate) fn run(arguments: DemoArguments) -> Result<(), CliError> {
    runtime()?.block_on(async {
        if arguments.upstream_only {
            return upstream_alone(arguments).await;
        }
        if Box::pin(stage_and_show()).await? {
            Ok(())
        } else {
            Err(CliError::DemoFailed)
        }
    })
}

async fn upstream_alone(arguments: DemoArguments) -> Result<(), CliError> {
    let keys = if arguments.keys.is_empty() {
        DemoKeys::public()
    } else {
        DemoKeys::new(arguments.keys)
    };
    let stop = async {
        // Without signals it ends with its process.
        let _ = stop_signal().await;
    };
    serve_upstream(
        arguments.listen,
        keys,
        Arc::new(SystemClock),
        &mut std::io::stdout(),
        stop,
    )
    .await?;
    Ok(())
}

async fn stage_and_show() -> Result<bool, CliError> {
    let folder = tempfile::tempdir()?;
    let upstream = DemoUpstream::start(
        ([127, 0, 0, 1], 0).into(),
        DemoKeys::public(),
        Arc::new(SystemClock),
    )
    .await?;
    let variable = |name: &str, value: OsString| (OsString::from(name), value);
    let sources = Sources {
        environment: vec![
            variable("UPSTREAM_URL", format!("http://{}", upstream.address()).into()),
            variable("SENTINEL_LISTEN", "127.0.0.1:0".into()),
            variable("SENTINEL_ADMIN_LISTEN", "127.0.0.1:0".into()),
            variable("SENTINEL_DATA_DIR", folder.path().join("data").into()),
        ],
        file: None,
    };
    let app = App::start(cli::load(&sources, true)?).await?;
    let stage = Stage {
        proxy: app.proxy_addr(),
        bindings: app.bindings(),
        intercepts: app.intercepts(),
        clock: Arc::new(SystemClock),
    };
    let shown = show(&stage, &mut anstream::stdout()).await;
    drop(stage);
    let in_order = app.stop().await;
    upstream.shutdown().await;
    Ok(shown? && in_order)
}
