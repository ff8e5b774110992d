//! A small LLM server of its own: it speaks enough OpenAI, Anthropic and Gemini for their SDKs, and says one sentence.
//!
//! It binds to the address it is given, keeps nothing of a request, and answers 401 to a key that it was not told.

mod anthropic;
mod auth;
mod gemini;
mod openai;
mod reply;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use sentinel_core::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::keys::DemoKeys;

/// The largest request body.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a shutdown waits for answers that are under way.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// What the routes share.
struct Served {
    keys: DemoKeys,
    clock: Arc<dyn Clock>,
    answers: AtomicU64,
}

/// A running demo upstream. Dropping it stops it without waiting; [`DemoUpstream::shutdown`] waits.
pub(crate) struct DemoUpstream {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl DemoUpstream {
    /// Listens on `listen` (port 0 for any free one) and accepts `keys`.
    pub(crate) async fn start(listen: SocketAddr, keys: DemoKeys, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // Without it the kernel may hold small events back; a stream is still correct then.
            let _ = stream.set_nodelay(true);
        });
        let (stop, stopped) = oneshot::channel();
        let router = router(Arc::new(Served {
            keys,
            clock,
            answers: AtomicU64::new(0),
        }));
        let server = tokio::spawn(
            axum::serve(listener, router)
                .with_graceful_shutdown(async move {
                    // The sender says stop, or is gone: both mean the same.
                    let _ = stopped.await;
                })
                .into_future(),
        );
        Ok(Self {
            address,
            stop,
            server,
        })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, lets those under way end for a few seconds, and stops.
    pub(crate) async fn shutdown(self) {
        drop(self.stop);
        let mut server = self.server;
        if tokio::time::timeout(SHUTDOWN_MAX, &mut server).await.is_err() {
            server.abort();
        }
    }
}

/// Serves the upstream alone until `stop` comes, and says to `output` where: `listening on http://127.0.0.1:12345`.
pub(crate) async fn serve_upstream(
    listen: SocketAddr,
    keys: DemoKeys,
    clock: Arc<dyn Clock>,
    output: &mut (dyn Write + Send),
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let upstream = DemoUpstream::start(listen, keys, clock).await?;
    writeln!(output, "listening on http://{}", upstream.address())?;
    output.flush()?;
    stop.await;
    upstream.shutdown().await;
    Ok(())
}

fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/responses", post(openai::responses))
        .route("/v1/models", get(openai::models))
        .route("/v1/messages", post(anthropic::messages))
        .route("/v1beta/models/{call}", post(gemini::generate))
        .fallback(openai::unknown_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(served)
}

#[cfg(test)]
mod tests;
