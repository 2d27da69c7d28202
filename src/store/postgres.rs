//! A store in PostgreSQL: for any number of processes.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::postgres::PgListener;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::broadcast;

use super::schema::Dialect;
use super::sql::{Guard, Sql};
use super::{Key, OpenError, PATIENCE, Purpose, STATEMENT};
use crate::secret::Secret;

const DIALECT: Dialect = Dialect {
    now: "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    larger: "GREATEST",
    text: "TEXT COLLATE \"C\"",
    bytes: "BYTEA",
    is_there: "SELECT 1 AS found FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'versions'",
    // Whoever waits for another's tables may wait longer than for a row.
    exclude: Some("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(7242196402115)"),
    notify: Some("SELECT pg_notify('idp_proxy', $1)::text"),
};
/// What an address may say behind its `?`.
pub(super) const PARAMETERS: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];
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
pub(super) async fn open(url: &Secret, purpose: Purpose) -> Result<Sql, OpenError> {
    if !has_known_parameters(url) {
        return Err(OpenError::UnknownParameter);
    }
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
    let sql = Sql::open(pool, DIALECT, purpose).await?;
    let listener = tokio::spawn(listen(url.clone(), sql.news())).abort_handle();
    Ok(sql.with(Guard::Listener(listener)))
}

/// Whether sqlx knows every parameter of the address. It ignores what it does not know, and writes key and value into the
/// log: a misspelt `sslmode` would go unnoticed, and a password with a `?` in it would not.
fn has_known_parameters(url: &Secret) -> bool {
    let query = url.expose().split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or(pair));
    names.all(|name| PARAMETERS.contains(&name))
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
