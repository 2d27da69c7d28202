//! The file of the sessions: this user's alone, replaced as a whole, one writer at a time.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::Failure;
use crate::clock::Timestamp;
use crate::config::Env;
use crate::secret::Secret;

/// A login at one proxy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::command) struct Session {
    /// Who issued its tokens.
    pub(in crate::command) issuer: String,
    /// The application by which the person logged in.
    pub(in crate::command) client_id: String,
    /// What its access tokens are for.
    pub(in crate::command) audience: String,
    /// Where they are renewed.
    pub(in crate::command) token_endpoint: String,
    /// Where the refresh token is revoked, if anywhere.
    pub(in crate::command) revocation_endpoint: Option<String>,
    /// Who the person is to the issuer.
    pub(in crate::command) subject: String,
    #[serde(serialize_with = "exposed")]
    pub(in crate::command) access_token: Secret,
    /// When the access token expires.
    pub(in crate::command) expires_at: Timestamp,
    /// What the next access token is had with, if the tenant gave one.
    #[serde(serialize_with = "exposed_if_any")]
    pub(in crate::command) refresh_token: Option<Secret>,
}

impl Session {
    /// The header line by which a request says whose it is.
    pub(in crate::command) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.access_token.expose())
    }
}

/// The sessions, by the origins of their proxies.
pub(in crate::command) type Sessions = BTreeMap<String, Session>;

/// Where the sessions are kept: `$XDG_STATE_HOME/idp-proxy/sessions.json`, or below `~/.local/state`.
pub(in crate::command) struct SessionFile {
    folder: PathBuf,
}

/// The file in the hands of the one process that may change it now. The lock is another file: this one is replaced, and its
/// lock would go with it.
pub(in crate::command) struct Locked {
    file: SessionFile,
    _lock: File,
}

impl SessionFile {
    /// That of the person whose environment this is.
    pub(in crate::command) fn of(env: &dyn Env) -> Result<Self, Failure> {
        // The XDG Base Directory Specification ignores paths that are not absolute.
        let absolute = |name| env.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        let state =
            state.ok_or_else(|| Failure::misused("neither XDG_STATE_HOME nor HOME says where sessions are kept"))?;
        Ok(Self { folder: state.join("idp-proxy") })
    }

    /// All sessions.
    pub(in crate::command) fn read(&self) -> Result<Sessions, Failure> {
        let path = self.path();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sessions::new()),
            Err(error) => return Err(Failure::io(path.display(), &error)),
        };
        let failed = |error: &io::Error| Failure::io(path.display(), error);
        let mode = file.metadata().map_err(|error| failed(&error))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(Failure::misused(format!(
                "{path} is open to other users (mode {mode:03o}); `chmod 600 {path}`, and log in anew if one may have read it"
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| failed(&error))?;
        // serde_json quotes what it complains of, which may be a token.
        serde_json::from_str(&text)
            .map_err(|_| Failure::failed(format!("{} is damaged; remove it, and log in anew", path.display())))
    }

    /// Waits until no other process changes the sessions.
    pub(in crate::command) fn lock(self) -> Result<Locked, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| Failure::io(self.folder.display(), &error))?;
        let path = self.folder.join("sessions.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.and_then(|lock| lock.lock().map(|()| lock));
        let lock = lock.map_err(|error| Failure::io(path.display(), &error))?;
        Ok(Locked { file: self, _lock: lock })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("sessions.json")
    }
}

impl Locked {
    /// All sessions as they are now.
    pub(in crate::command) fn read(&self) -> Result<Sessions, Failure> {
        self.file.read()
    }

    /// Keeps `sessions`, for good once this returns.
    pub(in crate::command) fn write(&self, sessions: &Sessions) -> Result<(), Failure> {
        let path = self.file.path();
        let text = serde_json::to_vec_pretty(sessions).map_err(io::Error::other);
        text.and_then(|text| replace(&path, &text)).map_err(|error| Failure::io(path.display(), &error))
    }
}

/// Whoever reads the file sees the old sessions or the new ones, also after a power cut.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    // One that a killed process left might be open to others.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn exposed_if_any<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}
