//! The admin listener as a task of its own, which ends only when it is told to.

use std::net::SocketAddr;

use sentinel_admin::AdminParts;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::AppError;

/// The admin listener's task.
pub(super) struct AdminTask {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    pub(super) task: JoinHandle<std::io::Result<()>>,
}

/// The port for operators, taken.
pub(super) async fn bound(listen: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(listen)
        .await
        .map_err(|error| AppError::AdminListen(listen, error))
}

impl AdminTask {
    pub(super) fn start(listener: TcpListener, parts: AdminParts) -> Result<Self, AppError> {
        let address = listener
            .local_addr()
            .map_err(|error| AppError::AdminListen(([0, 0, 0, 0], 0).into(), error))?;
        let (stop, stopping) = oneshot::channel();
        let task = tokio::spawn(sentinel_admin::serve(
            listener,
            sentinel_admin::router(parts),
            async {
                let _ = stopping.await;
            },
        ));
        Ok(Self { address, stop, task })
    }

    pub(super) async fn stop(self) {
        // It may have ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
