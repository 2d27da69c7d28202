//! NEWS of other replicas: what a user has disconnected elsewhere is not used here either, from when that is heard.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;

use super::driver::Driver;
use super::keeper::Keeper;
use super::users::Users;
use crate::store::{Key, Store};

/// Who listens, for as long as this lives.
pub(super) struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listener {
    /// Listens for records that are written.
    pub(super) fn start(store: &Store, users: Arc<Users>, grants: Keeper<Driver>) -> Self {
        let mut news = store.changes();
        let listening = async move {
            loop {
                match news.recv().await {
                    Ok(key) => heed(&key, &users, &grants).await,
                    // A hint that was lost costs what it would have saved: a token serves to its end, or until the user is
                    // read again.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
        };
        Self(tokio::spawn(listening).abort_handle())
    }
}

async fn heed(key: &Arc<Key>, users: &Users, grants: &Keeper<Driver>) {
    let is_used = users.uses(key);
    if !is_used && grants.held(key).is_none() {
        return;
    }
    if let Ok(Some(lineage)) = users.disconnects().stored(key).await {
        users.disconnects().note(Arc::clone(key), lineage);
        grants.drop_held(key);
        if is_used {
            users.forget(&key.subject);
        }
    }
}
