//! Tokens in callers' hands: the right ones, and every wrong one a test may want.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::keys::{Key, Signing};
use super::{Shared, lock};
use crate::command::dev::encoding::{base64url, random, random_alphanumeric, random_url_safe};

/// Life of access tokens for an API, in seconds: Auth0's default.
pub(super) const ACCESS_TOKEN_LIFE: u64 = 86_400;

/// Life of ID tokens, in seconds: Auth0's default.
const ID_TOKEN_LIFE: i64 = 36_000;

/// A token before it is signed. Unchanged it is one that the proxy must accept.
#[must_use]
pub struct TokenBuilder {
    tenant: Arc<Shared>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: Key,
    signing: Signing,
}

impl TokenBuilder {
    /// An access token for the proxy's API, from a login that also asked for `openid`.
    pub(super) fn access_token(tenant: &Arc<Shared>, sub: &str) -> Self {
        let (audience, client_id) = {
            let settings = lock(&tenant.settings);
            (settings.audience.clone(), settings.native.client_id.clone())
        };
        Self::bare(tenant, sub)
            .audience([audience, format!("{}userinfo", tenant.issuer())])
            .claim("azp", client_id)
            .scope("openid profile")
            .expires_in(ACCESS_TOKEN_LIFE.cast_signed())
    }

    /// An access token of the client-credentials grant: nobody's.
    pub(super) fn machine(tenant: &Arc<Shared>, client_id: &str) -> Self {
        let audience = lock(&tenant.settings).audience.clone();
        Self::bare(tenant, &format!("{client_id}@clients"))
            .audience(audience)
            .claim("azp", client_id)
            .claim("gty", "client-credentials")
            .expires_in(ACCESS_TOKEN_LIFE.cast_signed())
    }

    /// A token for the Management API.
    pub(super) fn management(tenant: &Arc<Shared>, client_id: &str, scope: &str) -> Self {
        let life = i64::try_from(lock(&tenant.settings).management_token_life).unwrap_or(i64::MAX);
        Self::machine(tenant, client_id).audience(tenant.management_audience()).scope(scope).expires_in(life)
    }

    /// An ID token: it names the native application, not an API.
    pub(super) fn id_token(tenant: &Arc<Shared>, sub: &str) -> Self {
        let client_id = lock(&tenant.settings).native.client_id.clone();
        let name = lock(&tenant.users).get(sub).map(|user| user.name.clone());
        Self::bare(tenant, sub)
            .audience(client_id)
            .claim("name", name)
            .claim("sid", random_url_safe(32))
            .claim("nonce", random_url_safe(32))
            .expires_in(ID_TOKEN_LIFE)
    }

    fn bare(tenant: &Arc<Shared>, sub: &str) -> Self {
        let builder = Self {
            tenant: Arc::clone(tenant),
            header: Map::new(),
            claims: Map::new(),
            key: Key::Current,
            signing: Signing::Rs256,
        };
        let issuer = tenant.issuer();
        builder.issuer(&issuer).claim("sub", sub)
    }

    /// `aud`, a text or a list.
    pub fn audience(self, audience: impl Serialize) -> Self {
        self.claim("aud", audience)
    }

    /// `iss`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// `exp`, so many seconds from now; negative is expired. `iat` is now, or as long before a past `exp` as usual.
    pub fn expires_in(self, seconds: i64) -> Self {
        let now = i64::try_from(self.tenant.clock.now().unix_seconds()).unwrap_or(i64::MAX);
        let expiry = now.saturating_add(seconds);
        let issued = if seconds > 0 { now } else { expiry.saturating_sub(ACCESS_TOKEN_LIFE.cast_signed()) };
        self.claim("iat", issued).claim("exp", expiry)
    }

    /// `scope`, names with spaces between.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// `permissions`, as an API with role-based access control adds them.
    pub fn permissions(self, permissions: &[&str]) -> Self {
        self.claim("permissions", permissions)
    }

    /// Any claim; `null` (or `None`) takes it out. What cannot be JSON counts as `null`.
    pub fn claim(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        if value.is_null() {
            self.claims.remove(name);
        } else {
            self.claims.insert(name.to_owned(), value);
        }
        self
    }

    /// Any header member; `null` takes it out, also `alg`, `typ` and `kid`.
    pub fn header(mut self, name: &str, value: impl Serialize) -> Self {
        self.header.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// How it is signed; RS256 otherwise.
    pub fn algorithm(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// Which key it is signed with; the current one otherwise.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// The token.
    #[must_use]
    pub fn sign(self) -> String {
        lock(&self.tenant.keys).sign(self.key, self.signing, self.header, &self.claims)
    }
}

/// What a login gets that asked for no audience: five parts, the second one empty, which only `/userinfo` can read.
pub(super) fn encrypted(issuer: &str) -> String {
    let header = json!({ "alg": "dir", "enc": "A256GCM", "iss": issuer }).to_string();
    let (nonce, text, tag) = (random::<12>(), random::<180>(), random::<16>());
    let parts = [base64url(header.as_bytes()), String::new(), base64url(&nonce), base64url(&text), base64url(&tag)];
    parts.join(".")
}

/// An access token of the old kind.
pub(super) fn opaque() -> String {
    random_alphanumeric(32)
}
