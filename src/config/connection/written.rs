//! The keys of one `[providers.NAME]` about its connection, each with its place.

use std::ops::Range;
use std::time::Duration;

use crate::config::duration::duration;
use crate::config::provider::OwnPlace;
use crate::config::reader::Table;
use crate::config::said::{Place, Said, place};
use crate::config::secret_source::{private_key, secret, secrets};
use crate::config::value::{Invalid, Item, boolean, not_empty, one_of, scope, text};
use crate::config::vars::Vars;
use crate::config::{RefreshBody, RefreshGrant, RevokeWith, Source, url};
use crate::secret::Secret;

/// What one table, or the preset behind it, says about its connection.
pub(in crate::config) struct Written {
    /// The provider's name.
    pub(super) name: String,
    pub(super) has_preset: bool,
    pub(super) header: Option<Range<usize>>,
    /// `None` when it is missing or faulty.
    pub(super) connection: Option<String>,
    /// What its tokens are for, if that is told apart.
    pub(super) audience: Option<Said<String>>,
    /// What is asked for, which the tables of one audience share.
    pub(super) scope: Option<Said<String>>,
    pub(super) keys: Keys,
    /// Whether its calls are to be proven.
    pub(super) proof: Option<Said<Proof>>,
}

/// How a call proves that it comes from the app whose token it bears.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Off,
    AppSecret,
}

/// The keys that the tables on one connection share.
pub(super) struct Keys {
    pub(super) source: Option<Said<Source>>,
    pub(super) token_url: Option<Said<String>>,
    pub(super) refresh_url: Option<Said<String>>,
    pub(super) revoke_url: Option<Said<String>>,
    pub(super) revoke_with: Option<Said<RevokeWith>>,
    pub(super) client_id: Option<Said<String>>,
    pub(super) client_secret: Option<Said<Vec<Secret>>>,
    pub(super) client_key: Option<Said<Secret>>,
    pub(super) refresh_auth: Option<Said<Auth>>,
    pub(super) refresh_body: Option<Said<RefreshBody>>,
    pub(super) refresh_grant: Option<Said<RefreshGrant>>,
    pub(super) refresh_params: Option<Said<Vec<(String, String)>>>,
    pub(super) rotates: Option<Said<bool>>,
    pub(super) lifetime: Option<Said<Duration>>,
}

/// `refresh_auth` as it is written; what goes with it stands under other keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    Post,
    Basic,
    Nothing,
    PrivateKeyJwt,
}

const SOURCES: [(&str, Source); 3] =
    [("auto", Source::Auto), ("identities", Source::Identities), ("token_vault", Source::TokenVault)];
const AUTHS: [(&str, Auth); 4] =
    [("post", Auth::Post), ("basic", Auth::Basic), ("none", Auth::Nothing), ("private_key_jwt", Auth::PrivateKeyJwt)];
const PROOFS: [(&str, Proof); 2] = [("off", Proof::Off), ("appsecret", Proof::AppSecret)];
const REVOCATIONS: [(&str, RevokeWith); 4] = [
    ("token", RevokeWith::Token),
    ("bearer", RevokeWith::Bearer),
    ("delete", RevokeWith::Delete),
    ("github", RevokeWith::GitHub),
];
const BODIES: [(&str, RefreshBody); 2] = [("form", RefreshBody::Form), ("json", RefreshBody::Json)];
const GRANTS: [(&str, RefreshGrant); 2] =
    [("refresh_token", RefreshGrant::RefreshToken), ("fb_exchange_token", RefreshGrant::FacebookExchange)];

/// What a renewal sends of itself, under keys of their own where there is something to say: no parameter comes more than
/// once (RFC 6749 §3.2).
const SENT_ANYWAY: [&str; 8] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "fb_exchange_token",
    "grant_type",
    "refresh_token",
    "scope",
];

impl Written {
    /// Reads the table of the provider `name`.
    pub(in crate::config) fn read(
        table: &mut Table<'_, '_>,
        (name, has_preset): (&str, bool),
        connection: Option<String>,
        (own, vars): (&OwnPlace, &Vars),
    ) -> Self {
        let endpoint = |written: &str| {
            let written = vars.fill(written);
            own.refuse(&written)?;
            url::endpoint(&written)
        };
        let stays = !has_moved(table, "base_url") && !has_moved(table, "token_url");
        // Who says that the provider is elsewhere has its tokens revoked there too, and nowhere else.
        fn of_here<T>(said: Option<Said<T>>, stays: bool) -> Option<Said<T>> {
            said.filter(|said| stays || !said.is_inherited)
        }
        let keys = Keys {
            source: table.said("source", |table, key| table.optional(key, one_of(SOURCES))),
            token_url: table.said("token_url", |table, key| table.optional(key, text(endpoint))),
            refresh_url: table.said("refresh_url", |table, key| table.optional(key, text(endpoint))),
            revoke_url: of_here(
                table.said("revoke_url", |table, key| table.optional(key, text(|url| revocation_url(url, own)))),
                stays,
            ),
            revoke_with: of_here(
                table.said("revoke_with", |table, key| table.optional(key, one_of(REVOCATIONS))),
                stays,
            ),
            client_id: table.said("client_id", |table, key| table.optional(key, text(not_empty))),
            client_secret: table.said("client_secret", client_secrets),
            client_key: table.said("client_key", private_key),
            refresh_auth: table.said("refresh_auth", |table, key| table.optional(key, one_of(AUTHS))),
            refresh_body: table.said("refresh_body", |table, key| table.optional(key, one_of(BODIES))),
            refresh_grant: table.said("refresh_grant", |table, key| table.optional(key, one_of(GRANTS))),
            refresh_params: table.said("refresh_params", params),
            rotates: table.said("rotates", |table, key| table.optional(key, boolean)),
            lifetime: table.said("lifetime", |table, key| table.optional(key, duration)),
        };
        let audience =
            table.said("audience", |table, key| table.optional(key, text(|text| audience(&vars.fill(text)))));
        let scope = table.said("scope", |table, key| table.optional(key, text(|text| scopes(&vars.fill(text)))));
        let proof = table.said("proof", |table, key| table.optional(key, one_of(PROOFS)));
        Self { name: name.to_owned(), has_preset, header: table.header(), connection, audience, scope, keys, proof }
    }

    /// Where the keys stand that the table has itself and that are about renewal alone.
    pub(super) fn own(&self) -> impl Iterator<Item = &Place> {
        fn own<T>(said: &Option<Said<T>>) -> Option<&Place> {
            place(said).filter(|_| said.as_ref().is_some_and(|said| !said.is_inherited))
        }
        let keys = [
            own(&self.keys.refresh_url),
            own(&self.keys.client_id),
            own(&self.keys.client_secret),
            own(&self.keys.client_key),
            own(&self.keys.refresh_auth),
            own(&self.keys.refresh_body),
            own(&self.keys.refresh_grant),
            own(&self.keys.refresh_params),
            own(&self.scope),
            own(&self.keys.rotates),
            own(&self.keys.lifetime),
        ];
        keys.into_iter().flatten()
    }
}

impl Keys {
    /// Where those about revocation stand that the table has itself.
    pub(super) fn own_revocation(&self) -> impl Iterator<Item = &Place> {
        let url = self.revoke_url.as_ref().filter(|said| !said.is_inherited).map(|said| &said.place);
        let with = self.revoke_with.as_ref().filter(|said| !said.is_inherited).map(|said| &said.place);
        [url, with].into_iter().flatten()
    }

    /// Where a client stands, or a part of one: without it nothing is renewed.
    pub(super) fn client(&self) -> Option<&Place> {
        [place(&self.client_id), place(&self.client_secret), place(&self.client_key)].into_iter().flatten().next()
    }
}

/// One secret, or a list of them while the old one is being replaced.
fn client_secrets(table: &mut Table<'_, '_>, key: &'static str) -> Option<Vec<Secret>> {
    if !table.item(key)?.value.is_array() {
        return secret(table, key).map(|secret| vec![secret]);
    }
    let secrets = secrets(table, key)?;
    if secrets.is_empty() {
        table.fault(key, Invalid::secret("is empty"));
        return None;
    }
    Some(secrets)
}

fn params(table: &mut Table<'_, '_>, key: &'static str) -> Option<Vec<(String, String)>> {
    let item = table.item(key)?;
    let entries = table.check(&item, Item::entries)?;
    let read = |(name, value): (&str, Item<'_>)| {
        let value = table.check(&value, |value| {
            if SENT_ANYWAY.contains(&name) {
                let hint = "`scope`, `client_id`, `client_secret` and `refresh_grant` are keys of the provider itself";
                return Err(Invalid::conflict("is sent anyway").hint(hint));
            }
            value.as_text().map(str::to_owned)
        })?;
        Some((name.to_owned(), value))
    };
    let read: Vec<_> = entries.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// Whether the table itself says that this address is at another host than its preset does.
fn has_moved(table: &Table<'_, '_>, key: &str) -> bool {
    let of_preset = table.of_preset(key).and_then(|value| value.as_str());
    match (table.peek(key), of_preset) {
        (Some((own, false)), Some(known)) => url::host(own) != url::host(known),
        (_, _) => false,
    }
}

/// Reads where tokens are revoked: an address, perhaps with the client in it.
fn revocation_url(text: &str, own: &OwnPlace) -> Result<String, Invalid> {
    let sample = text.replace("{client_id}", "client");
    own.refuse(&sample)?;
    url::endpoint(&sample)?;
    Ok(text.to_owned())
}

/// Reads scopes as they are sent: one text, with a space between two (RFC 6749 §3.3).
fn scopes(text: &str) -> Result<String, Invalid> {
    text.split(' ').try_for_each(|one| scope(one).map(drop))?;
    Ok(text.to_owned())
}

/// Reads what tokens are for: an identifier, with which scopes begin.
fn audience(text: &str) -> Result<String, Invalid> {
    const EXAMPLE: &str = "such as \"https://acme.sharepoint.com\"";
    if text.ends_with("/.default") {
        let hint = "`/.default` is put behind it; other scopes go into `scope`";
        return Err(Invalid::value("must be the audience alone").hint(hint));
    }
    scope(text)
        .map_err(|_| Invalid::value("must be visible ASCII without spaces, quotes and backslashes").hint(EXAMPLE))
}
