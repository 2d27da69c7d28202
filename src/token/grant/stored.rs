//! A record as it is stored: JSON, with the number of its layout.

use serde::{Deserialize, Serialize};

use super::{Access, Attempt, Death, Grant, Life, Lineage, Pair, Remains, State};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::Row;

/// The newest layout that [`Grant::encode`] writes. A reader refuses a newer one rather than lose what it does not know.
const LAYOUT: u8 = 2;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::token) enum DecodeError {
    #[error("it is not a record")]
    Damaged,
    #[error("it was written by a newer version of this program")]
    Newer,
}

/// The record as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored<'text> {
    layout: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<StoredAccess<'text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<std::borrow::Cow<'text, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<std::borrow::Cow<'text, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead: Option<Death>,
    lineage: Lineage,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<Attempt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remains: Option<StoredRemains<'text>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredRemains<'text> {
    Unrevoked {
        #[serde(skip_serializing_if = "Option::is_none")]
        access: Option<std::borrow::Cow<'text, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh: Option<std::borrow::Cow<'text, str>>,
    },
    Revoked,
}

#[derive(Serialize, Deserialize)]
struct StoredAccess<'text> {
    value: std::borrow::Cow<'text, str>,
    born: u64,
    issued: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

impl Grant {
    /// The record as a row of the store.
    pub(in crate::token) fn row(&self) -> Row {
        Row { generation: self.generation, content: self.encode() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            // Versions that know of nothing newer can go on beside this one as long as there is nothing newer.
            layout: if self.state == State::Dead(Death::Disconnected) { LAYOUT } else { 1 },
            access: self.access.as_ref().map(|access| StoredAccess {
                value: access.value.expose().into(),
                born: access.life.born,
                issued: access.life.issued.unix_millis(),
                expires: access.life.expires.map(Timestamp::unix_millis),
            }),
            refresh: self.refresh.as_ref().map(|refresh| refresh.expose().into()),
            scope: self.scope.as_deref().map(Into::into),
            dead: match self.state {
                State::Active => None,
                State::Dead(death) => Some(death),
            },
            lineage: self.lineage,
            attempt: self.attempt,
            remains: self.remains.as_ref().map(StoredRemains::from),
        };
        // A structure of texts and numbers always is JSON.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads what [`Grant::row`] has written.
    pub(in crate::token) fn decode(generation: u64, content: &[u8]) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Versioned {
            layout: u8,
        }
        let versioned: Versioned = serde_json::from_slice(content).map_err(|_| DecodeError::Damaged)?;
        if versioned.layout > LAYOUT {
            return Err(DecodeError::Newer);
        }
        let stored: Stored<'_> = serde_json::from_slice(content).map_err(|_| DecodeError::Damaged)?;
        Ok(Self {
            generation,
            access: stored.access.map(|access| Access {
                value: Secret::new(access.value),
                life: Life {
                    born: access.born,
                    issued: Timestamp::from_unix_millis(access.issued),
                    expires: access.expires.map(Timestamp::from_unix_millis),
                },
            }),
            refresh: stored.refresh.map(Secret::new),
            scope: stored.scope.map(Box::from),
            state: stored.dead.map_or(State::Active, State::Dead),
            lineage: stored.lineage,
            attempt: stored.attempt,
            remains: stored.remains.map(Remains::from),
        })
    }
}

impl<'text> From<&'text Remains> for StoredRemains<'text> {
    fn from(remains: &'text Remains) -> Self {
        match remains {
            Remains::Revoked => Self::Revoked,
            Remains::Unrevoked(pair) => Self::Unrevoked {
                access: pair.access.as_ref().map(|access| access.expose().into()),
                expires: pair.expires.map(Timestamp::unix_millis),
                refresh: pair.refresh.as_ref().map(|refresh| refresh.expose().into()),
            },
        }
    }
}

impl From<StoredRemains<'_>> for Remains {
    fn from(stored: StoredRemains<'_>) -> Self {
        match stored {
            StoredRemains::Revoked => Self::Revoked,
            StoredRemains::Unrevoked { access, expires, refresh } => Self::Unrevoked(Pair {
                access: access.map(Secret::new),
                expires: expires.map(Timestamp::from_unix_millis),
                refresh: refresh.map(Secret::new),
            }),
        }
    }
}
