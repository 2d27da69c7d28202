//! Keys about parameters of a provider's calls, in which some put what others put into the head.

use super::Params;
use super::reader::Table;
use super::value::{Invalid, text};
use crate::parameters::NAME_BYTES_MAX;

/// Reads them.
pub(super) fn params(table: &mut Table<'_, '_>) -> Params {
    Params {
        token: table.optional("token_param", text(name)),
        method: table.optional("method_param", text(name)),
        batch: table.optional("batch_param", text(name)),
        dropped: table.list("drop_params", text(name)).unwrap_or_default(),
    }
}

fn name(text: &str) -> Result<String, Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !(1..=NAME_BYTES_MAX).contains(&text.len()) || !text.bytes().all(is_plain) {
        return Err(Invalid::value("must be the name of a parameter: letters, digits, `_`, `-` and `.`, 64 at most"));
    }
    Ok(text.to_owned())
}
