//! The command `serve`: starts the server, says what to do next, and stops it when it is told to.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use sentinel_core::policy::Mode;
use sentinel_core::time::SystemClock;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::cli::{self, CliError};
use crate::config::{Config, Sources};
use crate::demo::{DEMO_KEY, DemoKeys, DemoUpstream};
use crate::{supervision, telemetry};

/// Threads for the admin listener, the jobs and the stores' answers; requests have their own.
const BACKGROUND_THREADS: usize = 2;

/// Serves until a signal comes. With `demo_upstream`, in front of the built-in upstream.
pub(crate) fn run(mut sources: Sources, demo_upstream: bool) -> Result<(), CliError> {
    runtime()?.block_on(async {
        let demo = if demo_upstream {
            Some(start_demo_upstream(&mut sources).await?)
        } else {
            None
        };
        let loaded = cli::load(&sources, true)?;
        let _log = telemetry::init(&loaded.config.log)?;
        loaded
            .warnings
            .iter()
            .for_each(|warning| tracing::warn!("{warning}"));
        let config = loaded.config.clone();
        let mut app = App::start(loaded).await?;
        greet(&mut anstream::stdout().lock(), &app, &config, demo.is_some())?;
        let _watchdog = supervision::serving();
        let broken = tokio::select! {
            stopped = stop_signal() => { stopped?; None }
            broken = app.broken() => Some(broken),
        };
        if let Some(broken) = &broken {
            tracing::error!("{} ended by itself: the server stops", broken.0);
        } else {
            tracing::info!("stopping: requests under way may finish; a second signal ends them");
        }
        supervision::stopping();
        let in_order = tokio::select! {
            in_order = app.stop() => in_order,
            again = stop_signal() => { again?; false }
        };
        if let Some(demo) = demo {
            demo.shutdown().await;
        }
        match (broken, in_order) {
            (None, true) => Ok(()),
            _ => Err(CliError::Stopped),
        }
    })
}

/// The runtime beside the cores.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .enable_all()
        .build()
}

/// Returns when the process is asked to stop.
pub(crate) async fn stop_signal() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn start_demo_upstream(sources: &mut Sources) -> Result<DemoUpstream, CliError> {
    const NAMES: [&str; 2] = ["UPSTREAM_URL", "DOWNSTREAM_URL"];
    if sources
        .environment
        .iter()
        .any(|(name, value)| NAMES.iter().any(|known| name == known) && !value.is_empty())
    {
        return Err(CliError::TwoUpstreams);
    }
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let demo = DemoUpstream::start(listen, DemoKeys::public(), Arc::new(SystemClock)).await?;
    let url = format!("http://{}", demo.address());
    sources.environment.push((NAMES[0].into(), url.into()));
    Ok(demo)
}

/// Says where everything is, what to type next and, once, the first password.
fn greet(out: &mut dyn Write, app: &App, config: &Config, is_demo: bool) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let dim = anstyle::Style::new().dimmed();
    let upstream = config.upstream.url.as_ref();
    let upstream = upstream.map_or_else(String::new, ToString::to_string);
    writeln!(
        out,
        "\n{bold}Key-IP Sentinel {} serves{bold:#}",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(
        out,
        "  proxy     {} → {upstream}{}",
        app.proxy_addr(),
        if is_demo { " (the demo upstream)" } else { "" }
    )?;
    if let Some(address) = app.forward_auth_addr() {
        writeln!(out, "  asked at  http://{address}/auth")?;
    }
    writeln!(out, "  admin     http://{}", app.admin_addr())?;
    writeln!(out, "  data      {}", app.place())?;
    writeln!(
        out,
        "  profile   {}, {}",
        config.upstream.profile.name,
        mode_word(app.rules().now().mode)
    )?;
    if let Some(password) = &app.first_password {
        writeln!(
            out,
            "\n{bold}First sign-in{bold:#}: {} / {bold}{}{bold:#}",
            config.admin.username,
            password.expose()
        )?;
        writeln!(out, "  {dim}shown this once; only its hash is kept{dim:#}")?;
    }
    next_steps(out, app, config, if is_demo { DEMO_KEY } else { "sk-…" })
}

/// What to type next.
fn next_steps(out: &mut dyn Write, app: &App, config: &Config, key: &str) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let (proxy, admin) = (reachable(app.proxy_addr()), reachable(app.admin_addr()));
    let scheme = if config.proxy.tls.is_some() {
        "https"
    } else {
        "http"
    };
    writeln!(
        out,
        "\n{bold}Next{bold:#}: use a key; its first use binds it to the network it comes from"
    )?;
    writeln!(
        out,
        "  curl {scheme}://{proxy}/v1/models -H 'Authorization: Bearer {key}'"
    )?;
    if proxy.ip().is_loopback() {
        writeln!(out, "then the same key from another address, which is refused")?;
        writeln!(
            out,
            "  curl --interface 127.0.0.2 {scheme}://{proxy}/v1/models -H 'Authorization: Bearer {key}'"
        )?;
    }
    writeln!(out, "and look at what happened")?;
    writeln!(out, "  curl http://{admin}/health")?;
    writeln!(out, "  sentinel bindings list\n")?;
    out.flush()
}

/// The address to type for a listener: one of this machine where it listens on all.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        address if address.is_unspecified() && address.is_ipv4() => ([127, 0, 0, 1], listen.port()).into(),
        address if address.is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforcing",
        Mode::Observe => "observing",
    }
}
