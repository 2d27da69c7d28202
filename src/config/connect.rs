//! `[connect]`, and what the providers' tables say about signing in: for whom, with what, and where a provider tells which
//! scopes a call would have needed.

use hyper::http::{HeaderName, header};

use super::expired_when::{any_header_name, one_or_more, pointer, some_text};
use super::reader::Table;
use super::url;
use super::value::{Invalid, Item, boolean, not_empty, scope, text};

/// `[connect]`: the application that users sign in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id at the tenant.
    pub client_id: String,
    /// Where the tenant sends users back to, one of its Allowed Callback URLs.
    pub redirect_uri: String,
}

/// What a sign-in through a connection asks for, whatever else is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Further parameters of `/authorize`.
    pub params: Vec<(String, String)>,
    /// Scopes at the provider.
    pub scopes: Vec<String>,
}

/// Where a provider says which scopes a call would have needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededScopes {
    /// The place.
    pub place: ScopePlace,
    /// Whether one of them is enough.
    pub any: bool,
    /// What stands in the names of those to ask for rather than for others, the best one first.
    pub prefer: Vec<String>,
}

/// A place in an answer where scopes stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopePlace {
    /// `scope` of the challenge in `WWW-Authenticate` (RFC 6750 §3).
    Challenge,
    /// A header that is a list of them.
    Header(HeaderName),
    /// A place in a JSON body (RFC 6901).
    Json(String),
}

/// Reads `[connect]`; `None` where nothing stands in it.
pub(super) fn application(mut table: Table<'_, '_>) -> Option<Application> {
    if table.is_meant() {
        for (key, hint) in [
            ("client_id", "that of the application which users sign in to, not of the one in [auth0]"),
            ("redirect_uri", "such as \"https://app.example.com/callback\", one of its Allowed Callback URLs"),
        ] {
            if !table.has(key) {
                table.missing(key, Some(hint.to_owned()));
            }
        }
    }
    let client_id = table.optional("client_id", text(not_empty));
    let redirect_uri = table.optional("redirect_uri", text(url::endpoint));
    table.refuse_rest();
    Some(Application { client_id: client_id?, redirect_uri: redirect_uri? })
}

/// Reads `connect_params` and `connect_scopes`.
pub(super) fn sign_in(table: &mut Table<'_, '_>) -> SignIn {
    // Whoever has a session at the tenant would otherwise come back without having seen the provider.
    let params = params(table).unwrap_or_else(|| vec![("prompt".to_owned(), "login".to_owned())]);
    SignIn { params, scopes: table.list("connect_scopes", text(connect_scope)).unwrap_or_default() }
}

/// What a sign-in has anyway, and what only the application that begins it can know: no parameter comes more than once
/// (RFC 6749 §3.1).
const TAKEN: [&str; 12] = [
    "audience",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "connection",
    "connection_scope",
    "nonce",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

fn params(table: &mut Table<'_, '_>) -> Option<Vec<(String, String)>> {
    let item = table.item("connect_params")?;
    let entries = table.check(&item, Item::entries)?;
    let read = |(name, value): (&str, Item<'_>)| {
        let value = table.check(&value, |value| {
            if TAKEN.contains(&name) {
                return Err(Invalid::conflict("is a parameter that the proxy or the application sets")
                    .hint("scopes at the provider stand in `connect_scopes`, the application in [connect]"));
            }
            not_empty(value.as_text()?)
        })?;
        Some((name.to_owned(), value))
    };
    Some(entries.into_iter().filter_map(read).collect())
}

fn connect_scope(text: &str) -> Result<String, Invalid> {
    if text.contains(',') {
        return Err(Invalid::value("must be one scope").hint("Auth0 takes a comma for what stands between two scopes"));
    }
    scope(text)
}

/// Reads `needed_scopes`. Where nobody says anything, the challenge may name them.
pub(super) fn needed_scopes(table: &mut Table<'_, '_>) -> NeededScopes {
    let said = table.item("needed_scopes").and_then(|item| table.part(&item).and_then(place_and_choice));
    said.unwrap_or_else(|| NeededScopes { place: ScopePlace::Challenge, any: false, prefer: Vec::new() })
}

fn place_and_choice(mut table: Table<'_, '_>) -> Option<NeededScopes> {
    match (table.has("header"), table.has("json")) {
        (true, true) => table.fault("json", Invalid::conflict("and `header` must not both be there").hint("keep one")),
        (false, false) => table.missing("header", Some("or `json`, a place in the body".to_owned())),
        (true, false) | (false, true) => {}
    }
    let header = table.optional("header", text(any_header_name)).map(|name| match name {
        header::WWW_AUTHENTICATE => ScopePlace::Challenge,
        name => ScopePlace::Header(name),
    });
    let json = table.optional("json", text(pointer)).map(ScopePlace::Json);
    let any = table.or("any", false, boolean);
    let prefer = one_or_more(&mut table, "prefer", text(some_text)).unwrap_or_default();
    if !any && !prefer.is_empty() {
        table.fault("prefer", Invalid::conflict("is for `any = true`: there is no choice if all are needed"));
    }
    table.refuse_rest();
    Some(NeededScopes { place: header.or(json)?, any, prefer })
}
