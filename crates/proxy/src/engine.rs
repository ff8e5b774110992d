//! Starting and stopping the data plane: one thread per core, each with its own runtime and its own listener on the
//! same port, so that the kernel spreads connections and no request changes threads.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sentinel_core::ports::BindingWatcher;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::config::{Dependencies, ProxyConfig};
use crate::connections::Phase;
use crate::descriptors;
use crate::figures::Figures;
use crate::listener::{self, Listeners};
use crate::live::asked::{LiveRequests, QUESTIONS_QUEUED_MAX};
use crate::live::{self, Heard, Watcher};
use crate::tls::{CertificateWatch, Tls, TlsError};
use crate::upstream::{self, Directory};
use crate::worker::{Shared, Worker};

/// How many connections may wait in the kernel for each worker.
const ACCEPT_BACKLOG: i32 = 1_024;
/// How long connections may take to close after they were told to.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificate cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread or its runtime could not be made.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
}

/// The running data plane.
#[derive(Debug)]
pub struct Engine {
    local_addr: SocketAddr,
    forward_auth_addr: Option<SocketAddr>,
    figures: Arc<Figures>,
    watcher: Arc<Watcher>,
    live: LiveRequests,
    phase: watch::Sender<Phase>,
    ended: mpsc::Receiver<()>,
    running: usize,
    threads: Vec<JoinHandle<()>>,
    _certificate: Option<CertificateWatch>,
}

impl Engine {
    /// Listens and starts the workers.
    pub fn start(config: ProxyConfig, dependencies: Dependencies) -> Result<Self, StartError> {
        let workers = config.cores.max(1);
        let tls = config.tls.clone();
        let tls = tls.map(|tls| Tls::start(tls, Arc::clone(&dependencies.clock)));
        let (tls, certificate) = tls.transpose()?.unzip();
        let (local_addr, sockets) = listen(config.listen, workers)?;
        let asked = config.forward_auth.as_ref();
        let asked = asked.map(|asked| listen(asked.listen, workers)).transpose()?;
        let (forward_auth_addr, asked) = asked.unzip();
        let mut asked = asked.into_iter().flatten();
        descriptors::make_room(&config.bounds);
        let directory = Arc::new(Directory::new(&config.upstream, &config.bounds));
        let figures = Arc::new(Figures::new(workers, directory));
        let shared = Arc::new(Shared::new(config, dependencies, Arc::clone(&figures), tls));
        let (phase, _) = watch::channel(Phase::Serving);
        let (alive, ended) = mpsc::channel(workers);
        let mut threads = Vec::with_capacity(workers);
        let mut watchers = Vec::with_capacity(workers);
        let mut asked_workers = Vec::with_capacity(workers);
        for (index, socket) in sockets.into_iter().enumerate() {
            let (watcher, changes) = live::changes();
            watchers.push(watcher);
            let (asked_worker, questions) = mpsc::channel(QUESTIONS_QUEUED_MAX);
            asked_workers.push(asked_worker);
            let start = WorkerStart {
                shared: Arc::clone(&shared),
                index,
                socket,
                forward_auth: asked.next(),
                phase: phase.subscribe(),
                heard: Heard { changes, questions },
                alive: Alive(alive.clone()),
            };
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            threads.push(thread.spawn(move || start.run()).map_err(StartError::Worker)?);
        }
        Ok(Self {
            local_addr,
            forward_auth_addr,
            figures,
            watcher: Arc::new(Watcher::new(watchers)),
            live: LiveRequests::new(asked_workers),
            phase,
            ended,
            running: workers,
            threads,
            _certificate: certificate,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where other proxies ask it, if they may.
    pub fn forward_auth_addr(&self) -> Option<SocketAddr> {
        self.forward_auth_addr
    }

    /// What it counts.
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Whom to tell of changed bindings, so that what is under way is judged anew.
    pub fn watcher(&self) -> Arc<dyn BindingWatcher> {
        self.watcher.clone()
    }

    /// Knows what is under way.
    pub fn live_requests(&self) -> LiveRequests {
        self.live.clone()
    }

    /// Returns when a worker has ended. Without [`Engine::shutdown`] that happens only when something is badly wrong.
    pub async fn worker_ended(&mut self) {
        if self.running > 0 && self.ended.recv().await.is_some() {
            self.running -= 1;
        }
    }

    async fn all_ended(&mut self) {
        while self.running > 0 {
            self.worker_ended().await;
        }
    }

    /// Stops accepting, lets requests under way finish within `drain`, then cuts what is left. Says whether all finished.
    pub async fn shutdown(mut self, drain: Duration) -> bool {
        self.phase.send_replace(Phase::Draining);
        let finished = timeout(drain, self.all_ended()).await.is_ok();
        if !finished {
            self.phase.send_replace(Phase::Closing);
            let _ = timeout(CLOSE_TIMEOUT, self.all_ended()).await;
        }
        for thread in self.threads.drain(..).filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
        finished
    }
}

struct WorkerStart {
    shared: Arc<Shared>,
    index: usize,
    socket: std::net::TcpListener,
    forward_auth: Option<std::net::TcpListener>,
    phase: watch::Receiver<Phase>,
    heard: Heard,
    alive: Alive,
}

/// Tells the engine that a worker's thread has ended, however it ended.
struct Alive(mpsc::Sender<()>);

impl Drop for Alive {
    fn drop(&mut self) {
        // The channel has room for one word of each worker.
        let _ = self.0.try_send(());
    }
}

impl WorkerStart {
    fn run(self) {
        let _alive = self.alive;
        let runtime = match Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
        {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "a worker could not start"),
        };
        runtime.block_on(async {
            let listeners = TcpListener::from_std(self.socket).and_then(|proxy| {
                let forward_auth = self.forward_auth.map(TcpListener::from_std).transpose()?;
                Ok(Listeners { proxy, forward_auth })
            });
            match listeners {
                Ok(listeners) => {
                    if self.index == 0 {
                        let (directory, bounds) =
                            (Arc::clone(&self.shared.directory), self.shared.bounds.clone());
                        tokio::task::spawn_local(upstream::keep_up(directory, bounds));
                    }
                    let worker = Rc::new(Worker::new(self.shared, self.index));
                    listener::run(worker, listeners, self.phase, self.heard).await;
                }
                Err(error) => tracing::error!(%error, "a worker could not listen"),
            }
        });
        // Tunnels end with the runtime; what blocks in it (a name being resolved) is not waited for.
        runtime.shutdown_background();
    }
}

/// One socket per worker on one port, and which one it is. `SO_REUSEPORT` would let a second process join a port unnoticed, so a port of the
/// operator's choice is bound without it first; a port of the kernel's choice is nobody else's.
fn listen(
    address: SocketAddr,
    workers: usize,
) -> Result<(SocketAddr, Vec<std::net::TcpListener>), StartError> {
    let bind_all = || {
        if address.port() != 0 {
            drop(bind(address, false)?);
        }
        let first = bind(address, true)?;
        let address = first.local_addr()?;
        let others = (1..workers).map(|_| bind(address, true));
        let all: io::Result<_> = std::iter::once(Ok(first)).chain(others).collect();
        Ok((address, all?))
    };
    bind_all().map_err(|source| StartError::Listen { address, source })
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket.into())
}
