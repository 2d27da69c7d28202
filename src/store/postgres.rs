//! A store in PostgreSQL: for any number of processes.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::any::AnyPoolOptions;
use sqlx::postgres::PgListener;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::sql::{Dialect, PATIENCE, Sql};
use super::{Key, OpenError};
use crate::secret::Secret;

const DIALECT: Dialect = Dialect {
    now: "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    larger: "GREATEST",
    bytes: "BYTEA",
    exclude: Some("SELECT pg_advisory_xact_lock(7242196402115)"),
    notify: Some("SELECT pg_notify('idp_proxy', $1)::text"),
};
const CHANNEL: &str = "idp_proxy";
const SETTINGS: &str = "SET statement_timeout = '5s'";
/// Connections of one process. A renewal holds one for a few milliseconds.
const CONNECTIONS: u32 = 16;
/// Before listening is tried again. Hints are lost meanwhile, which costs replicas a look at most.
const LISTEN_PAUSE: Duration = Duration::from_secs(2);

/// The database, and the task that hears of other replicas' changes.
pub(super) struct Postgres {
    pub(super) sql: Sql,
    listener: AbortHandle,
}

impl Postgres {
    pub(super) async fn open(url: &Secret) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let set_up = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SETTINGS).await.map(drop) }));
        let pool = set_up.connect(url.expose()).await?;
        let sql = Sql::open(pool, DIALECT).await?;
        let listener = tokio::spawn(listen(url.clone(), sql.news())).abort_handle();
        Ok(Self { sql, listener })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(url: Secret, news: broadcast::Sender<Arc<Key>>) {
    loop {
        if let Err(error) = hear(&url, &news).await {
            tracing::debug!(cause = %error, "no news from other replicas for a moment");
        }
        tokio::time::sleep(LISTEN_PAUSE).await;
    }
}

async fn hear(url: &Secret, news: &broadcast::Sender<Arc<Key>>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url.expose()).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let notification = listener.recv().await?;
        if let Some(key) = Key::parse(notification.payload()) {
            drop(news.send(Arc::new(key)));
        }
    }
}
