//! A header line for each user of a world, in files for `curl -H @FILE`: a token on a command line can be seen by every
//! process of the machine. Beside them, with TLS, the authority's certificate for `curl --cacert FILE`, and the configuration for commands
//! that read one.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::World;
use super::authority::Shown;
use super::encoding::random_alphanumeric;
use super::state::{about, replace};
use crate::server::Server;

/// The certificate of the run's own authority.
const AUTHORITY: &str = "ca.pem";
/// How a configuration of a world leaves the admin listener free.
const ANY_ADMIN: &str = "admin_listen = \"127.0.0.1:0\"";

/// The files, which only this user can read.
pub(super) struct HeaderFiles {
    folder: PathBuf,
    /// Whether the folder goes when this goes.
    is_temporary: bool,
    /// Whether there is an authority's certificate.
    has_tls: bool,
}

impl HeaderFiles {
    /// In a new folder of their own, which is gone at the end.
    pub(super) fn create(world: &World, shown: Option<&Shown>) -> io::Result<Self> {
        let folder = new_folder(&std::env::temp_dir().join(format!("idp-proxy-dev-{}", std::process::id())))?;
        // Made first, so that a failure while writing removes the folder too.
        let files = Self { folder, is_temporary: true, has_tls: shown.is_some() };
        files.write(world, shown)?;
        Ok(files)
    }

    /// In a folder that is there, and stays.
    pub(super) fn create_in(folder: &Path, world: &World, shown: Option<&Shown>) -> io::Result<Self> {
        let files = Self { folder: folder.to_owned(), is_temporary: false, has_tls: shown.is_some() };
        files.write(world, shown)?;
        Ok(files)
    }

    /// The file of one user.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The file of the configuration.
    pub(super) fn proxy_toml(&self) -> PathBuf {
        self.path("proxy.toml")
    }

    /// Writes the configuration that `server` runs with, `text`, for the commands that read one. It says where the
    /// listeners are, which were free to choose.
    pub(super) fn describe(&self, text: &str, server: &Server) -> io::Result<()> {
        let path = self.proxy_toml();
        let text = text.replacen(ANY_ADMIN, &format!("admin_listen = \"{}\"", server.admin()), 1);
        replace(&path, text.as_bytes()).map_err(|error| about(&path, &error))
    }

    /// The file of the authority's certificate, if there is TLS.
    pub(super) fn authority(&self) -> Option<PathBuf> {
        self.has_tls.then(|| self.path(AUTHORITY))
    }

    fn write(&self, world: &World, shown: Option<&Shown>) -> io::Result<()> {
        for (name, token) in [("alice", world.alice()), ("bob", world.bob())] {
            let path = self.path(name);
            let line = format!("Authorization: Bearer {token}\n");
            replace(&path, line.as_bytes()).map_err(|error| about(&path, &error))?;
        }
        if let Some(shown) = shown {
            let path = self.path(AUTHORITY);
            replace(&path, shown.authority.as_bytes()).map_err(|error| about(&path, &error))?;
        }
        Ok(())
    }
}

/// A new folder at `path`, or beside it when something is there: a process of the same number that was killed has left its
/// own behind.
fn new_folder(path: &Path) -> io::Result<PathBuf> {
    let create = |path: PathBuf| DirBuilder::new().mode(0o700).create(&path).map(|()| path);
    match create(path.to_owned()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            create(path.with_extension(random_alphanumeric(8)))
        }
        made => made,
    }
}

impl Drop for HeaderFiles {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_in_nobodys_way() {
        let path = std::env::temp_dir().join(format!("idp-proxy-header-files-{}", std::process::id()));
        let folders = [new_folder(&path).unwrap(), new_folder(&path).unwrap()];
        assert_eq!(folders[0], path);
        assert_ne!(folders[0], folders[1]);
        for folder in folders {
            fs::remove_dir(folder).unwrap();
        }
    }
}
