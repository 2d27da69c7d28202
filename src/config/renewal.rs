//! How a provider's tokens are renewed: the keys of `[providers.NAME]` about its token endpoint.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeValue;

use super::duration::duration;
use super::fault::{Code, Fault};
use super::reader::Table;
use super::secret_source::{private_key, secret, secrets};
use super::value::{Invalid, Item, boolean, not_empty, text};
use super::{ClientProof, Provider, RefreshBody, RefreshGrant, Renewal, Source, url};
use crate::secret::Secret;

/// The keys that make a client of somebody: without one of them nothing is renewed.
const CLIENT: [&str; 3] = ["client_id", "client_secret", "client_key"];

/// Reads the keys about renewal. `None` when nothing is renewed here, or a fault was told.
pub(super) fn renewal(table: &mut Table<'_, '_>) -> Option<Renewal> {
    let token_url = table.optional("token_url", text(url::endpoint));
    let refresh_url = table.optional("refresh_url", text(url::endpoint));
    let client_id = table.optional("client_id", text(not_empty));
    let secrets = client_secrets(table);
    let key = private_key(table, "client_key");
    let auth = table.or("refresh_auth", Auth::Post, text(auth));
    let body = table.or("refresh_body", RefreshBody::Form, text(body));
    let grant = table.or("refresh_grant", RefreshGrant::RefreshToken, text(grant));
    let params = params(table);
    let scope = table.optional("scope", text(not_empty));
    // What nobody knows to be kept is taken for replaced: the store then has it, and no second one is spent.
    let rotates = table.or("rotates", true, boolean);
    let lifetime = table.optional("lifetime", duration);
    if !CLIENT.iter().any(|key| table.has(key)) {
        return None;
    }
    if !table.has("client_id") {
        table
            .missing("client_id", Some("the connection's own OAuth client: tokens are renewed in its name".to_owned()));
    }
    if !table.has("token_url") {
        let hint = "where tokens are renewed; for a provider that never lets them expire, leave the client's keys out";
        table.missing("token_url", Some(hint.to_owned()));
    }
    let proof = proof(table, auth, secrets, key);
    let url = refresh_url.or(token_url)?;
    Some(Renewal { url, client_id: client_id?, proof: proof?, body, grant, params, scope, rotates, lifetime })
}

/// Tables on one connection share its client: who has none takes that of another. Two that differ are a fault, and so
/// is a provider that rotates without a store that outlives the process.
pub(super) fn share(
    table: &mut Table<'_, '_>,
    providers: &mut BTreeMap<String, Provider>,
    spans: &BTreeMap<String, Range<usize>>,
    has_store: bool,
) {
    for provider in providers.values_mut().filter(|provider| provider.source == Source::TokenVault) {
        provider.renewal = None;
    }
    let mut clients: BTreeMap<String, (String, Renewal)> = BTreeMap::new();
    let mut report = |name: &str, message: String, hint: &str| {
        let fault = Fault::new(Code::Conflict, message).about(format!("providers.{name}"));
        table.reader.faults.push(fault.at(spans.get(name).cloned()).help(Some(hint.to_owned())));
    };
    for (name, provider) in &*providers {
        let Some(renewal) = &provider.renewal else { continue };
        match clients.get(&provider.connection) {
            Some((other, theirs)) if theirs != renewal => report(
                name,
                format!("[providers.{name}] and [providers.{other}] renew the tokens of one connection differently"),
                "a grant has one client: leave its keys out of one of the two, which then takes those of the other",
            ),
            Some(_) => {}
            None => {
                clients.insert(provider.connection.clone(), (name.clone(), renewal.clone()));
            }
        }
        if renewal.rotates && !has_store {
            report(
                name,
                format!("[providers.{name}] rotates its refresh tokens, and there is no durable store to keep them in"),
                "[store] url = \"sqlite:idp-proxy.db\", or \"postgres://…\" for several replicas; without `client_id` \
                 nothing is renewed, and users sign in again when a token expires",
            );
        }
    }
    for provider in providers.values_mut().filter(|provider| provider.renewal.is_none()) {
        provider.renewal = clients.get(&provider.connection).map(|(_, renewal)| renewal.clone());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Auth {
    Post,
    Basic,
    Nothing,
    PrivateKeyJwt,
}

fn auth(text: &str) -> Result<Auth, Invalid> {
    match text {
        "post" => Ok(Auth::Post),
        "basic" => Ok(Auth::Basic),
        "none" => Ok(Auth::Nothing),
        "private_key_jwt" => Ok(Auth::PrivateKeyJwt),
        _ => Err(Invalid::value("must be \"post\", \"basic\", \"none\" or \"private_key_jwt\"")),
    }
}

fn body(text: &str) -> Result<RefreshBody, Invalid> {
    match text {
        "form" => Ok(RefreshBody::Form),
        "json" => Ok(RefreshBody::Json),
        _ => Err(Invalid::value("must be \"form\" or \"json\"")),
    }
}

fn grant(text: &str) -> Result<RefreshGrant, Invalid> {
    match text {
        "refresh_token" => Ok(RefreshGrant::RefreshToken),
        "fb_exchange_token" => Ok(RefreshGrant::FacebookExchange),
        _ => Err(Invalid::value("must be \"refresh_token\" or \"fb_exchange_token\"")),
    }
}

/// One secret, or a list of them while the old one is being replaced.
fn client_secrets(table: &mut Table<'_, '_>) -> Vec<Secret> {
    match table.item("client_secret").map(|item| item.value.is_array()) {
        Some(true) => secrets(table, "client_secret").unwrap_or_default(),
        Some(false) => secret(table, "client_secret").into_iter().collect(),
        None => Vec::new(),
    }
}

fn proof(table: &mut Table<'_, '_>, auth: Auth, secrets: Vec<Secret>, key: Option<Secret>) -> Option<ClientProof> {
    let needed = match auth {
        Auth::Post | Auth::Basic => "client_secret",
        Auth::PrivateKeyJwt => "client_key",
        Auth::Nothing => return Some(ClientProof::Nothing),
    };
    if !table.has(needed) {
        table.missing(
            needed,
            Some("`refresh_auth` says how the client proves itself: \"none\" needs nothing".to_owned()),
        );
        return None;
    }
    match auth {
        Auth::Post if !secrets.is_empty() => Some(ClientProof::Post(secrets)),
        Auth::Basic if !secrets.is_empty() => Some(ClientProof::Basic(secrets)),
        Auth::PrivateKeyJwt => key.map(ClientProof::PrivateKey),
        Auth::Post | Auth::Basic | Auth::Nothing => None,
    }
}

fn params(table: &mut Table<'_, '_>) -> Vec<(String, String)> {
    let Some(item) = table.item("refresh_params") else { return Vec::new() };
    let entries = table.check(&item, Item::entries).unwrap_or_default();
    let read = |(name, value): (&str, Item<'_>)| {
        let value = table.check(&value, |value| match value.value {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => Err(value.wrong_type("text")),
        })?;
        Some((name.to_owned(), value))
    };
    entries.into_iter().filter_map(read).collect()
}
