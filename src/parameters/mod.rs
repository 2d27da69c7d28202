//! Parameters by their names, in queries and in bodies, in every spelling that a provider would understand.

use std::sync::Arc;

mod form;
mod json;
mod multipart;
pub mod query;
mod spelling;
mod watch;

pub use watch::{Found, Watch};

use spelling::Spelling;

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Names of parameters, compared without regard to case and to how they are spelt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Arc<[Arc<str>]>);

impl Names {
    /// These names, of letters, digits, `_`, `-` and `.`.
    #[must_use]
    pub fn new<'name>(names: impl IntoIterator<Item = &'name str>) -> Self {
        let mut all: Vec<Arc<str>> = Vec::new();
        for name in names {
            let plain = String::from_utf8_lossy(Spelling::of(name.bytes()).name()).into_owned();
            if !all.iter().any(|known| **known == *plain) {
                all.push(plain.into());
            }
        }
        Self(all.into())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that is spelt like that, if one is.
    fn find(&self, spelling: &Spelling) -> Option<&Arc<str>> {
        self.0.iter().find(|name| name.as_bytes() == spelling.name())
    }
}
