//! The files of a configuration, and whether they have changed since it was read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files a configuration was read from, as they were before.
#[derive(Clone, Default)]
pub(super) struct Watched {
    seen: Vec<(PathBuf, Option<Stamp>)>,
    /// What a change looked like at the last look. A change counts when it looks the same twice: a file that is being
    /// written is not read half done.
    changing: Option<Vec<Option<Stamp>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Watched {
    /// Reads something from `path` and from the files that it then says it has read, which are watched from here on.
    ///
    /// They are looked at before they are read: what changes between the two would never be noticed the other way round.
    /// So what names a file for the first time is read once more.
    pub(super) fn around<T>(&mut self, path: &Path, mut read: impl FnMut() -> (T, Vec<PathBuf>)) -> T {
        let known = self.seen.iter().map(|(path, _)| path.clone()).chain([path.to_owned()]).collect();
        *self = Self::of(known);
        let (mut value, mut named) = read();
        if named.iter().any(|path| self.stamp_of(path).is_none()) {
            *self = Self::of(named);
            (value, named) = read();
        }
        // Whatever is new even now counts as changed at the next look.
        let seen = named.into_iter().map(|path| (self.stamp_of(&path).flatten(), path));
        *self = Self { seen: seen.map(|(stamp, path)| (path, stamp)).collect(), changing: None };
        value
    }

    /// Watches those of `other` as well.
    pub(super) fn add(&mut self, other: &Self) {
        let kept = self.seen.iter().filter(|(path, _)| other.stamp_of(path).is_none()).cloned().collect::<Vec<_>>();
        self.seen = other.seen.iter().cloned().chain(kept).collect();
        self.changing = None;
    }

    pub(super) fn have_changed(&mut self) -> bool {
        let now: Vec<_> = self.seen.iter().map(|(path, _)| stamp(path)).collect();
        if now.iter().eq(self.seen.iter().map(|(_, stamp)| stamp)) {
            self.changing = None;
            return false;
        }
        if self.changing.as_ref() != Some(&now) {
            self.changing = Some(now);
            return false;
        }
        // Whether it can be read or not, this change has been looked at.
        for ((_, seen), now) in self.seen.iter_mut().zip(now) {
            *seen = now;
        }
        self.changing = None;
        true
    }

    fn of(paths: Vec<PathBuf>) -> Self {
        let seen = paths.into_iter().map(|path| (stamp(&path), path)).map(|(stamp, path)| (path, stamp));
        Self { seen: seen.collect(), changing: None }
    }

    /// How a watched file was; `None` if it is not one.
    fn stamp_of(&self, path: &Path) -> Option<Option<Stamp>> {
        self.seen.iter().find(|(known, _)| known == path).map(|(_, stamp)| *stamp)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Some(Stamp { inode: metadata.ino(), size: metadata.size(), modified })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// An empty folder that is this test's own.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("idp-proxy-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn notices(watched: &mut Watched) -> bool {
        // A change counts when it is seen twice.
        watched.have_changed() || watched.have_changed()
    }

    #[test]
    fn a_file_that_changes_while_it_is_being_read_has_changed_since() {
        let folder = folder("changes");
        let (config, secret) = (folder.join("config"), folder.join("secret"));
        for late in [&config, &secret] {
            fs::write(&config, "1").unwrap();
            fs::write(&secret, "1").unwrap();
            let (mut watched, mut reads) = (Watched::default(), 0);
            watched.around(&config, || {
                reads += 1;
                // Twice, since the secret is not known at first to be one of the files.
                if reads == 2 {
                    fs::write(late, "another").unwrap();
                }
                ((), vec![config.clone(), secret.clone()])
            });
            assert_eq!(reads, 2);
            assert!(notices(&mut watched), "{}", late.display());
            assert!(!notices(&mut watched), "{}", late.display());
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_named_any_more_is_not_watched_any_more() {
        let folder = folder("named");
        let (config, old) = (folder.join("config"), folder.join("old"));
        fs::write(&config, "1").unwrap();
        fs::write(&old, "1").unwrap();
        let mut watched = Watched::default();
        watched.around(&config, || ((), vec![config.clone(), old.clone()]));
        watched.around(&config, || ((), vec![config.clone()]));
        fs::write(&old, "another").unwrap();
        assert!(!notices(&mut watched));
        fs::remove_dir_all(folder).unwrap();
    }
}
