//! `idp-proxy schema`: the JSON Schema of `proxy.toml`.

use std::io::Write;

use super::{Exit, complain};
use crate::config::schema;

/// Writes it.
pub(super) fn run(out: &mut dyn Write) -> Exit {
    match writeln!(out, "{:#}", schema()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}
