//! Secrets: `"text"`, `{ env = "NAME" }` or `{ file = "PATH" }`.
//!
//! No message here quotes a secret. Names of variables and paths are quoted: somebody has to find them.

use aws_lc_rs::signature::RsaKeyPair;
use jsonwebtoken::EncodingKey;
use toml::de::{DeTable, DeValue};

use super::reader::Table;
use super::value::{Invalid, Item, not_empty, text};
use crate::secret::Secret;

/// The secret `key` of `table`, if it is there and to be had.
pub(super) fn secret(table: &mut Table<'_, '_>, key: &'static str) -> Option<Secret> {
    let item = table.item(key)?;
    let secret = match item.value {
        DeValue::String(secret) => Some(secret.clone().into_owned()),
        DeValue::Table(_) => elsewhere(table, key, &item),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            table.fault(key, item.wrong_type(FORMS));
            None
        }
    }?;
    if secret.is_empty() {
        table.fault(key, Invalid::secret("is empty"));
        return None;
    }
    Some(Secret::new(secret))
}

/// The private key `key` of `table`, which signs as RS256 does.
pub(super) fn private_key(table: &mut Table<'_, '_>, key: &'static str) -> Option<Secret> {
    let secret = secret(table, key)?;
    if is_rsa_private_key(secret.expose()) {
        return Some(secret);
    }
    let invalid = Invalid::value("must be an RSA private key of 2048 bits or more, in PEM form");
    table.fault(key, invalid.hint("it begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"));
    None
}

/// The list of secrets `key` of `table`, if it is there and all of them are to be had.
pub(super) fn secrets(table: &mut Table<'_, '_>, key: &'static str) -> Option<Vec<Secret>> {
    let list = table.item(key)?;
    let elements = table.check(&list, Item::elements)?;
    let read: Vec<_> = elements.iter().map(|element| listed(table, element)).collect();
    read.into_iter().map(|secret| secret.map(Secret::new)).collect()
}

fn listed(table: &mut Table<'_, '_>, element: &Item<'_>) -> Option<String> {
    let secret = match element.value {
        DeValue::String(secret) => Some(secret.clone().into_owned()),
        DeValue::Table(place) => listed_elsewhere(table, element, place),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            table.check(element, |element| Err(element.wrong_type(FORMS)))
        }
    }?;
    let is_there = |_: &Item<'_>| if secret.is_empty() { Err(Invalid::secret("is empty")) } else { Ok(()) };
    table.check(element, is_there).map(|()| secret)
}

fn listed_elsewhere(table: &mut Table<'_, '_>, element: &Item<'_>, place: &DeTable<'_>) -> Option<String> {
    let entry = |key: &str| place.get(key).and_then(|value| value.get_ref().as_str());
    let read = match (entry("env"), entry("file"), place.len()) {
        (Some(name), None, 1) => variable(name).and_then(|name| from_env(table, &name)),
        (None, Some(path), 1) => from_file(table, path),
        _ => Err(Invalid::value(format!("must be {FORMS}"))),
    };
    table.check(element, |_| read)
}

const FORMS: &str = "\"text\", { env = \"NAME\" } or { file = \"PATH\" }";

fn elsewhere(table: &mut Table<'_, '_>, key: &'static str, item: &Item<'_>) -> Option<String> {
    let mut place = table.table(key);
    let env = place.optional("env", text(variable));
    let file = place.optional("file", text(not_empty));
    let is_lone = place.has("env") != place.has("file");
    place.refuse_rest();
    let read = match (env, file) {
        _ if !is_lone => Err(Invalid::value(format!("must be {FORMS}"))),
        (Some(name), _) => from_env(table, &name),
        (None, Some(path)) => from_file(table, &path),
        // The one that is there has been told to be faulty.
        (None, None) => return None,
    };
    table.check(item, |_| read)
}

/// Reads the name of a variable. It is quoted when it is not set, so what looks more like the secret itself, put in the
/// wrong place, is not taken for one.
fn variable(text: &str) -> Result<String, Invalid> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || !text.bytes().all(is_part) || text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Invalid::value("must be the name of an environment variable: letters, digits and underscores"));
    }
    Ok(text.to_owned())
}

fn from_env(table: &Table<'_, '_>, name: &str) -> Result<String, Invalid> {
    let value = table.reader.env.var(name);
    value.ok_or_else(|| {
        Invalid::secret(format!("needs the environment variable {}, which is not set", name.escape_debug()))
    })
}

/// The text of the file at `path`, without a newline at its end. The file is watched from here on.
pub(super) fn from_file(table: &mut Table<'_, '_>, path: &str) -> Result<String, Invalid> {
    let path = table.reader.folder.join(path);
    let read = std::fs::read_to_string(&path);
    let shown = path.display().to_string().escape_debug().to_string();
    table.reader.files.push(path);
    let mut secret = read.map_err(|error| Invalid::secret(format!("cannot be read from {shown}: {error}")))?;
    // Editors and `echo` end a file in a newline that is no part of the secret.
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    Ok(secret)
}

/// Both looks are needed: one knows the PEM forms, but takes public keys as well; the other knows a key that can sign.
fn is_rsa_private_key(pem: &str) -> bool {
    EncodingKey::from_rsa_pem(pem.as_bytes()).is_ok_and(|key| RsaKeyPair::from_der(key.as_bytes()).is_ok())
}
