//! `[store]`: where grants are kept, and with which keys.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reader::Table;
use super::secret_source::{secret, secrets};
use super::value::Invalid;
use super::{Store, StorePlace};
use crate::secret::Secret;

/// The length of a key in bytes: AES-256.
const KEY_LEN: usize = 32;

/// The bytes of a key as it is written.
pub fn key_bytes(text: &str) -> Option<[u8; KEY_LEN]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

/// Reads `[store]`; `None` is memory alone.
pub(super) fn store(mut table: Table<'_, '_>) -> Option<Store> {
    let (has_url, has_keys) = (table.has("url"), table.has("keys"));
    let url = secret(&mut table, "url");
    let keys = secrets(&mut table, "keys");
    for _ in keys.iter().flatten().filter(|key| key_bytes(key.expose()).is_none()) {
        let invalid = Invalid::secret("must be 32 bytes in base64 each");
        table.fault("keys", invalid.hint("`idp-proxy store keygen` makes one"));
    }
    if has_url && !has_keys {
        let hint = "keys = [{ env = \"IDP_PROXY_STORE_KEY\" }]; `idp-proxy store keygen` makes one";
        table.missing("keys", Some(hint.to_owned()));
    }
    if !has_url && has_keys {
        table
            .missing("url", Some("url = \"sqlite:idp-proxy.db\", or \"postgres://…\" for several replicas".to_owned()));
    }
    if keys.as_ref().is_some_and(Vec::is_empty) {
        table.fault("keys", Invalid::value("must have a key").hint("`idp-proxy store keygen` makes one"));
    }
    let place = url.and_then(|url| place(&mut table, url));
    table.refuse_rest();
    Some(Store { place: place?, keys: keys? })
}

fn place(table: &mut Table<'_, '_>, url: Secret) -> Option<StorePlace> {
    let text = url.expose();
    let path = text.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    if let Some(path) = path.filter(|path| !path.is_empty() && !path.contains(['?', '#', '%'])) {
        let path: PathBuf = table.reader.folder.join(path);
        return Some(StorePlace::Sqlite(path));
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(StorePlace::Postgres(url));
    }
    let invalid = Invalid::secret("must be the address of a store");
    table.fault("url", invalid.hint("\"sqlite:PATH\" (without `?`, `#` and `%`) or \"postgres://USER@HOST/DATABASE\""));
    None
}
