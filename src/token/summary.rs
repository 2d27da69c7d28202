//! What may be told of a record: never a token of it.

use super::grant::{DecodeError, Grant, State};
use crate::clock::Timestamp;
use crate::store::Row;

/// What an operator may know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it cannot be renewed any more, if it cannot.
    pub dead: Option<&'static str>,
    /// When its access token came.
    pub issued: Option<Timestamp>,
    /// When its access token expires, if that is known.
    pub expires: Option<Timestamp>,
}

impl Summary {
    /// Of a record as it is stored. Otherwise why it cannot be read.
    ///
    /// # Errors
    /// In a few words.
    pub fn of(row: &Row) -> Result<Self, &'static str> {
        let grant = Grant::decode(row.generation, &row.content).map_err(|error| match error {
            DecodeError::Damaged => "not a record",
            DecodeError::Newer => "written by a newer version",
        })?;
        Ok(Self {
            dead: match grant.state {
                State::Active => None,
                State::Dead(death) => Some(death.reason()),
            },
            issued: grant.access.as_ref().map(|access| access.life.issued),
            expires: grant.access.as_ref().and_then(|access| access.life.expires),
        })
    }
}
