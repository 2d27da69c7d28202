//! A store in an SQLite file: for one process, and durable to the last commit.

use std::fs::{OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::Executor as _;
use sqlx::any::AnyPoolOptions;

use super::schema::Dialect;
use super::sql::{Guard, Sql};
use super::{OpenError, PATIENCE, Purpose, STATEMENT};

const DIALECT: Dialect = Dialect {
    now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    larger: "MAX",
    bytes: "BLOB",
    // The first write of a transaction locks the file, and the second process waits for it.
    exclude: None,
    notify: None,
};

/// WAL lets `store …` read beside a process that serves; FULL keeps each commit through a power failure.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

/// Opens the database in the file at `path`.
pub(super) async fn open(path: &Path, purpose: Purpose) -> Result<Sql, OpenError> {
    let failed = |path: &Path, error| OpenError::File { path: path.to_owned(), error };
    // Before SQLite does, whose files take their mode from this one: nobody else may read them for a moment even.
    let own = |path: &Path| OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let lock_path = PathBuf::from(format!("{}.lock", path.display()));
    let lock = match purpose {
        Purpose::Tend => None,
        Purpose::Serve => Some(own(&lock_path).map_err(|error| failed(&lock_path, error))?),
    };
    if let Some(lock) = &lock {
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(&lock_path, error)),
        }
    }
    own(path).map_err(|error| failed(path, error))?;
    sqlx::any::install_default_drivers();
    let settings = format!("{SETTINGS} PRAGMA busy_timeout = {}", STATEMENT.as_millis());
    let set_up =
        AnyPoolOptions::new().max_connections(4).acquire_timeout(PATIENCE).after_connect(move |connection, _| {
            let settings = sqlx::AssertSqlSafe(settings.clone());
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        });
    let pool = set_up.connect(&format!("sqlite:{}", path.display())).await?;
    let sql = Sql::open(pool, DIALECT).await?;
    Ok(match lock {
        Some(lock) => sql.with(Guard::Lock(lock)),
        None => sql,
    })
}
