//! AN ACCESS TOKEN, ready to be put into one call.

use std::sync::Arc;

use hyper::http::HeaderValue;

use super::TokenError;
use super::held::Held;
use super::record::{BEARER, Record};
use crate::provider::Call;

/// An access token of the caller at the provider.
pub struct AccessToken {
    value: HeaderValue,
    pub(super) origin: Origin,
}

/// Where an access token comes from, and so who has to hear of it when the provider refuses it.
pub(super) enum Origin {
    /// As the tenant holds it: the account of that number in the user's record.
    Identity(Arc<Record>, usize),
    /// A grant that began with that account, and is renewed here.
    Grant(Arc<Record>, usize, Arc<Held>),
    /// Token Vault.
    Vault(Arc<Held>),
}

impl AccessToken {
    /// The token of `origin`, as `call` sends it.
    pub(super) fn new(call: &Call, origin: Origin) -> Result<Self, TokenError> {
        let bearer = match &origin {
            Origin::Identity(record, account) => record.value(*account),
            Origin::Grant(_, _, held) | Origin::Vault(held) => Some(held.value()),
        };
        let value = bearer.and_then(|bearer| prefixed(bearer, call.provider().auth_prefix()));
        let connection = || Arc::clone(call.provider().connection());
        Ok(Self { value: value.ok_or_else(|| TokenError::Unusable { connection: connection() })?, origin })
    }

    /// The token behind its prefix, as a header value that is marked sensitive. For [`crate::headers`] alone.
    #[must_use]
    pub fn expose(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether another can be had when the provider refuses this one.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        match &self.origin {
            Origin::Identity(..) => false,
            Origin::Grant(..) | Origin::Vault(_) => true,
        }
    }
}

/// Puts the token behind the provider's own prefix, which for all but a few is the one it is kept with.
fn prefixed(bearer: &HeaderValue, prefix: &str) -> Option<HeaderValue> {
    if prefix == BEARER {
        return Some(bearer.clone());
    }
    let token = bearer.as_bytes().get(BEARER.len()..).unwrap_or_default();
    let mut value = HeaderValue::from_bytes(&[prefix.as_bytes(), token].concat()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
