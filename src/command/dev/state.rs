//! What a simulated party keeps when it is told to: one JSON file, replaced as a whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where a party's state is kept; nowhere, unless it has a place.
#[derive(Debug, Default)]
pub(super) struct StateFile(Option<PathBuf>);

impl StateFile {
    pub(super) const fn at(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// What was kept, if there is anything.
    ///
    /// # Errors
    ///
    /// When a file is there and cannot be read: a party must not begin anew in silence.
    pub(super) fn load<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        let Some(path) = &self.0 else { return Ok(None) };
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| about(path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(about(path, &error)),
        }
    }

    /// Keeps `state`. Called before an answer goes out and under the lock of what is kept, so that whatever the other
    /// side has been told survives `kill -9`. It is not synced to the disk: a dying machine is not simulated.
    pub(super) fn save<T: Serialize>(&self, state: &T) {
        let Some(path) = &self.0 else { return };
        let saved = serde_json::to_vec(state).map_err(io::Error::other).and_then(|text| replace(path, &text));
        if let Err(error) = saved {
            tracing::error!(path = %path.display(), cause = %error, "a simulated party's state could not be kept");
        }
    }
}

/// Writes a file that only this user can read, whole or not at all.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text)?;
    fs::rename(&fresh, path)
}

/// The error with the path that it is about.
pub(super) fn about(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
