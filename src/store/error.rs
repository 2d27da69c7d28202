//! What can go wrong with a store.

use std::path::PathBuf;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It gives no (usable) answer: down, full, too slow.
    #[error("the store gives no answer")]
    Unavailable(#[source] Outage),
    /// A row is sealed with a key that is not in the ring.
    #[error("a stored record is sealed with a key that is not among `[store] keys`")]
    UnknownKey,
    /// A row that this version cannot read, though it is whole.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(String),
    /// Sealing failed, which no input can cause.
    #[error("a record could not be sealed")]
    Seal,
}

impl StoreError {
    /// What kind of failure it is, for the metric.
    pub(super) const fn class(&self) -> &'static str {
        match self {
            Self::Unavailable(Outage::Silent) => "silent",
            Self::Unavailable(Outage::Failed(_)) => "failed",
            Self::UnknownKey => "unknown_key",
            Self::Unreadable(_) => "unreadable",
            Self::Seal => "seal",
        }
    }

    pub(super) fn newer() -> Self {
        Self::Unreadable("it was written by a newer version of this program".to_owned())
    }
}

/// Why a store gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// It did not answer in time: it hangs, or the network does.
    #[error("it did not answer within {} s", super::PATIENCE.as_secs())]
    Silent,
    /// It said why, or the connection to it failed.
    #[error(transparent)]
    Failed(sqlx::Error),
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key is not 32 bytes.
    #[error("a key of the store is not 32 bytes in base64")]
    BadKey,
    /// The rows are sealed with other keys.
    #[error(
        "the store was sealed with other keys than those in `[store] keys`; nothing was changed. Put the key that it \
         was used with last into the list"
    )]
    WrongKeys,
    /// The tables are those of a newer version.
    #[error("the store was brought up to version {found} by a newer idp-proxy; this one knows {known}")]
    Newer {
        /// The version of its tables.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// There are no tables, or those of an older version.
    #[error("there is no store of this version yet; `idp-proxy serve` makes it")]
    NotPrepared,
    /// There is no such file.
    #[error("there is no store at {}; `idp-proxy serve` makes it", .0.display())]
    Missing(PathBuf),
    /// The address of a PostgreSQL has a parameter that nobody knows, which may be a piece of a password.
    #[error(
        "the url of the store has a parameter that is not known; known are {}. A `?` in a password is written %3F",
        super::postgres::PARAMETERS.join(", ")
    )]
    UnknownParameter,
    /// The file is being served from.
    #[error("{} is in use by another process: one idp-proxy serves from an SQLite file; use PostgreSQL for more", .0.display())]
    InUse(PathBuf),
    /// The file cannot be made or locked.
    #[error("{} cannot be opened: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// No answer.
    #[error("the store cannot be opened")]
    Unavailable(#[source] Outage),
    /// It was reached, and did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for Outage {
    fn from(error: sqlx::Error) -> Self {
        // All connections wait for answers, or a new one does.
        if matches!(error, sqlx::Error::PoolTimedOut) { Self::Silent } else { Self::Failed(error) }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
