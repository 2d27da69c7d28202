//! A store in an SQLite file: for one process, and durable to the last commit.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sqlx::Executor as _;
use sqlx::any::AnyPoolOptions;

use super::schema::Dialect;
use super::sql::{Guard, Sql};
use super::{OpenError, PATIENCE, Purpose, STATEMENT};
use crate::percent::{self, Kept};

const DIALECT: Dialect = Dialect {
    now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    larger: "MAX",
    text: "TEXT",
    bytes: "BLOB",
    is_there: "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'versions'",
    // The first write of a transaction locks the file, and the second process waits for it.
    exclude: None,
    notify: None,
};

/// WAL lets `store …` read beside a process that serves. It is a property of the file.
const JOURNAL: &str = "PRAGMA journal_mode = WAL;";
/// FULL keeps each commit through a power failure.
const SETTINGS: &str = "PRAGMA synchronous = FULL;";

/// What SQLite and we ourselves put beside the file.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What of a path cannot mean something else in an address.
const IN_ADDRESS: Kept = Kept::ALPHANUMERIC.and(b"/.-_");

/// Opens the database in the file at `path`.
pub(super) async fn open(path: &Path, purpose: Purpose) -> Result<Sql, OpenError> {
    let failed = |error| OpenError::File { path: path.to_owned(), error };
    let path = &match purpose {
        Purpose::Serve => make(path).map_err(failed)?,
        Purpose::Tend => find(path)?,
    };
    let lock = match purpose {
        Purpose::Serve => Some(lock(path)?),
        Purpose::Tend => None,
    };
    sqlx::any::install_default_drivers();
    let journal = match purpose {
        Purpose::Serve => JOURNAL,
        Purpose::Tend => "",
    };
    let settings = format!("PRAGMA busy_timeout = {}; {journal} {SETTINGS}", STATEMENT.as_millis());
    let set_up =
        AnyPoolOptions::new().max_connections(4).acquire_timeout(PATIENCE).after_connect(move |connection, _| {
            let settings = sqlx::AssertSqlSafe(settings.clone());
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        });
    let address = format!("sqlite:{}", percent::encode(path.as_os_str().as_bytes(), IN_ADDRESS));
    let opened = async { Sql::open(set_up.connect(&address).await?, DIALECT, purpose).await };
    let sql = match opened.await {
        // It is something else, or damaged.
        Err(OpenError::Unavailable(outage)) => return Err(failed(io::Error::other(outage))),
        Err(OpenError::NotPrepared) => return Err(OpenError::Missing(path.clone())),
        opened => opened?,
    };
    Ok(match lock {
        Some(lock) => sql.with(Guard::Lock(lock)),
        None => sql,
    })
}

/// The file, which is made if it is not there. Links are followed: what is locked and named is the file itself.
fn make(path: &Path) -> io::Result<PathBuf> {
    let found = match path.canonicalize() {
        Ok(found) => found,
        // Only then: whoever closes the file of an open database takes its locks away (fcntl(2)).
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            own(path)?;
            path.canonicalize()?
        }
        Err(error) => return Err(error),
    };
    restrict(&found)?;
    Ok(found)
}

/// The file, if it is there.
fn find(path: &Path) -> Result<PathBuf, OpenError> {
    let found = path.canonicalize().and_then(|path| restrict(&path).map(|()| path));
    found.map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return OpenError::Missing(path.to_owned());
        }
        OpenError::File { path: path.to_owned(), error }
    })
}

/// Takes it from everybody but its owner, and what stands beside it. SQLite gives new companions the mode of the file.
fn restrict(path: &Path) -> io::Result<()> {
    for path in std::iter::once(path.to_owned()).chain(COMPANIONS.map(|companion| beside(path, companion))) {
        let mode = match std::fs::metadata(&path) {
            Ok(about) => about.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o700))?;
            tracing::warn!(path = %path.display(), "others had access to the store's file, and have no longer");
        }
    }
    Ok(())
}

/// Lets one process serve from the file.
fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = beside(path, ".lock");
    let failed = |error| OpenError::File { path: lock_path.clone(), error };
    let lock = own(&lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Before SQLite does: nobody else may read what it makes for a moment even.
fn own(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn beside(path: &Path, companion: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(companion);
    PathBuf::from(name)
}
