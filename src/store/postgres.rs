//! A store in PostgreSQL: for any number of processes.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::postgres::PgListener;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::broadcast;

use super::schema::Dialect;
use super::sql::{Guard, Sql};
use super::{Key, OpenError, PATIENCE, STATEMENT};
use crate::secret::Secret;

const DIALECT: Dialect = Dialect {
    now: "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    larger: "GREATEST",
    bytes: "BYTEA",
    // Whoever waits for another's tables may wait longer than for a row.
    exclude: Some("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(7242196402115)"),
    notify: Some("SELECT pg_notify('idp_proxy', $1)::text"),
};
const CHANNEL: &str = "idp_proxy";
/// Connections of one process. A renewal holds one for a few milliseconds.
const CONNECTIONS: u32 = 16;
/// A connection that was not used for this long may have died meanwhile, and is tried first.
const RESTED: Duration = Duration::from_secs(1);
/// Before listening is tried again. Hints are lost meanwhile, which costs replicas a look at most.
const LISTEN_PAUSE: Duration = Duration::from_secs(2);
/// After this long without news the connection is tried: one that was cut off in silence brings none for ever.
const QUIET: Duration = Duration::from_secs(60);

/// Opens the database at `url`, and listens for other replicas' changes.
pub(super) async fn open(url: &Secret) -> Result<Sql, OpenError> {
    sqlx::any::install_default_drivers();
    let settings = format!("SET statement_timeout = {}", STATEMENT.as_millis());
    let set_up = AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            let settings = sqlx::AssertSqlSafe(settings.clone());
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        // Instead of sqlx's own test, which waits for ever, and which a connection in steady use can do without.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move { if about.idle_for < RESTED { Ok(true) } else { is_alive(connection).await } })
        })
        .after_release(|connection, _| Box::pin(is_alive(connection)));
    let pool = set_up.connect(url.expose()).await?;
    let sql = Sql::open(pool, DIALECT).await?;
    let listener = tokio::spawn(listen(url.clone(), sql.news())).abort_handle();
    Ok(sql.with(Guard::Listener(listener)))
}

/// A connection whose answer was given up waits for it still, and is thrown away if that never comes: otherwise a
/// network that swallows everything would keep all connections there are.
async fn is_alive(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    Ok(matches!(tokio::time::timeout(PATIENCE, connection.ping()).await, Ok(Ok(()))))
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
        let Ok(notification) = tokio::time::timeout(QUIET, listener.recv()).await else {
            let tried = tokio::time::timeout(PATIENCE, listener.execute("SELECT 1")).await;
            tried.map_err(|_| sqlx::Error::PoolTimedOut)??;
            continue;
        };
        if let Some(key) = Key::parse(notification?.payload()) {
            drop(news.send(Arc::new(key)));
        }
    }
}
