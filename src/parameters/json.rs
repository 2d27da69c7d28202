//! Keys of the outermost object in a JSON body that comes in chunks.

use std::sync::Arc;

use super::{NAME_BYTES_MAX, Names, Spelling};

/// The longest string that could be a name: each of its characters may be written as six.
const RAW_BYTES_MAX: usize = 6 * NAME_BYTES_MAX;

/// Where in the text it is. That it is JSON is not checked: a text that is none is none to the provider either.
#[derive(Default)]
pub(super) struct Json {
    depth: u32,
    at: At,
    /// The string that is read or was read last, as it is written.
    raw: Vec<u8>,
}

#[derive(Default, PartialEq, Eq)]
enum At {
    #[default]
    Text,
    String,
    /// Behind a backslash.
    Escape,
    /// Behind a string, which is a key if a colon follows.
    Behind,
}

impl Json {
    /// The first of `names` that is a key in this chunk.
    pub(super) fn find(&mut self, chunk: &[u8], names: &Names) -> Option<Arc<str>> {
        for byte in chunk {
            match (&self.at, byte) {
                (At::String, b'"') => self.at = At::Behind,
                (At::String, byte) => {
                    if *byte == b'\\' {
                        self.at = At::Escape;
                    }
                    self.keep(*byte);
                }
                (At::Escape, byte) => {
                    self.at = At::String;
                    self.keep(*byte);
                }
                (At::Text | At::Behind, b'"') => {
                    self.at = At::String;
                    self.raw.clear();
                }
                (At::Behind, b':') => {
                    self.at = At::Text;
                    if self.depth == 1
                        && let Some(found) = names.find(&Spelling::plain(&self.key()))
                    {
                        return Some(Arc::clone(found));
                    }
                }
                (At::Behind, byte) if byte.is_ascii_whitespace() => {}
                (At::Text | At::Behind, byte) => {
                    self.at = At::Text;
                    match byte {
                        b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                        b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                }
            }
        }
        None
    }

    fn keep(&mut self, byte: u8) {
        if self.raw.len() <= RAW_BYTES_MAX {
            self.raw.push(byte);
        }
    }

    fn key(&self) -> Vec<u8> {
        let quoted = [&b"\""[..], &self.raw, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).map_or_else(|_| self.raw.clone(), String::into_bytes)
    }
}
