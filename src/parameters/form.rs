//! Names in an `application/x-www-form-urlencoded` body that comes in chunks.

use std::sync::Arc;

use super::{Names, Spelling};

/// Where in the form it is.
pub(super) struct Form {
    /// The name that is being read; `None` in a value.
    name: Option<Spelling>,
}

impl Form {
    /// At the beginning of one.
    pub(super) fn new() -> Self {
        Self { name: Some(Spelling::default()) }
    }

    /// The first of `names` that a value follows in this chunk. A name without a value says nothing.
    pub(super) fn find(&mut self, chunk: &[u8], names: &Names) -> Option<Arc<str>> {
        for byte in chunk {
            match (byte, &mut self.name) {
                (b'&', name) => *name = Some(Spelling::default()),
                (b'=', name) => {
                    if let Some(mut spelling) = name.take() {
                        spelling.end();
                        if let Some(found) = names.find(&spelling) {
                            return Some(Arc::clone(found));
                        }
                    }
                }
                (byte, Some(spelling)) => spelling.push_encoded(*byte),
                (_, None) => {}
            }
        }
        None
    }
}
