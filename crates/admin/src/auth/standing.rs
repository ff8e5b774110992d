//! Whether who asked may still have the answer, while it is on its way: a session ends and a role changes also while somebody reads.

use std::io;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::StreamExt as _;
use zeroize::Zeroizing;

use super::caller::recognise;
use crate::extract::SignedIn;
use crate::parts::Admin;
use crate::problem::Problem;

/// Who asked, and by what it was recognised.
pub(crate) struct Standing {
    admin: Arc<Admin>,
    caller: SignedIn,
    token: Zeroizing<String>,
}

impl Standing {
    pub(crate) fn new(admin: &Arc<Admin>, caller: SignedIn, token: Zeroizing<String>) -> Self {
        Self {
            admin: Arc::clone(admin),
            caller,
            token,
        }
    }

    /// Whether the caller is still signed in, as the same one and with the same role. Fails when nobody can say.
    pub(crate) async fn holds(&self) -> Result<bool, Problem> {
        match recognise(&self.admin, &self.token, self.caller.client_ip).await {
            Ok(now) => Ok(now.role == self.caller.role && now.identity == self.caller.identity),
            Err(problem) if problem.status().is_server_error() => Err(problem),
            Err(_) => Ok(false),
        }
    }

    /// Passes pieces on, each after a look whether that is still right; ends with an error when it is not.
    pub(crate) fn while_it_holds<T>(
        self,
        pieces: impl Stream<Item = io::Result<T>>,
    ) -> impl Stream<Item = io::Result<T>> {
        let standing = Arc::new(self);
        pieces.then(move |piece| {
            let standing = Arc::clone(&standing);
            async move {
                match standing.holds().await {
                    Ok(true) => piece,
                    Ok(false) => Err(io::Error::other("who asked is not signed in any more")),
                    Err(_) => Err(io::Error::other(
                        "nobody can say whether who asked is still signed in",
                    )),
                }
            }
        })
    }
}
