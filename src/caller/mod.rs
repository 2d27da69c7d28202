//! WHO CALLS: the bearer is taken out of the request and becomes a [`Caller`], or the request ends here.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;

use crate::auth0::{Tenant, TenantError};
use crate::bounded::Bounded;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;

mod bearer;
mod claims;
mod finding;
mod key_set;
mod remembered;
mod signature;

pub use bearer::Bearer;
pub use finding::Finding;
pub use signature::{Signature, SignatureError, VerificationKey};

use claims::Claims;
use key_set::KeySet;
use remembered::{DigestHasher, Remembered};

/// A person who was shown to be the holder of a valid token. Only [`Verifier::verify`] makes one.
#[derive(Clone)]
pub struct Caller {
    remembered: Arc<Remembered>,
    bearer: Bearer,
}

impl Caller {
    /// The subject (`sub`) at the tenant: a user id.
    #[must_use]
    pub fn subject(&self) -> &Arc<str> {
        &self.remembered.subject
    }

    /// Whether that token has expired by the letter. It is accepted for a little longer, since clocks differ, but not by
    /// the tenant.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.remembered.expires.minus(Duration::from_secs(claims::LEEWAY_SECONDS)) <= now
    }

    /// When the token was met here for the first time, or looked at anew. Whoever has just signed in brings a new one.
    #[must_use]
    pub fn met(&self) -> Timestamp {
        self.remembered.verified_at
    }

    /// The token that showed it, for the tenant that issued it.
    #[must_use]
    pub fn bearer(&self) -> &Bearer {
        &self.bearer
    }

    /// Whether the caller's own token holds this scope (RFC 6749 §3.3) or Auth0 permission.
    #[must_use]
    pub fn holds(&self, scope: &str) -> bool {
        self.remembered.grants.split(' ').any(|held| held == scope)
    }
}

/// Why a request has no [`Caller`].
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// No `Authorization: Bearer`.
    #[error("the request carries no access token; send `Authorization: Bearer <Auth0 access token>`")]
    MissingToken,
    /// Two `Authorization` lines, or the token again elsewhere in the request.
    #[error("{0}")]
    BadRequest(&'static str),
    /// An opaque or encrypted token.
    #[error(
        "the access token is {0}, which only the tenant can read: the login asked for no audience. Ask for an access token with audience={1}"
    )]
    Unreadable(&'static str, Arc<str>),
    /// The token is not one of ours: form, algorithm, key, signature, issuer, binding.
    #[error("the access token is not valid: {0}")]
    Invalid(&'static str),
    /// Past `exp`.
    #[error("the access token has expired; get a new one from the tenant")]
    Expired,
    /// For someone else.
    #[error("the access token was not issued for this API; ask for one with audience={0}")]
    WrongAudience(Arc<str>),
    /// A machine's token.
    #[error(
        "the access token belongs to a machine, not to a person, and machines have no identities at providers; sign a user in"
    )]
    NoUser,
    /// No signing keys are held, and none can be had.
    #[error("the tenant's signing keys cannot be had, so no token can be verified")]
    NoKeys(#[source] Option<Arc<TenantError>>),
}

/// Turns a [`Bearer`] into a [`Caller`]. Signatures are checked once for each token, not once for each request.
pub struct Verifier {
    issuers: Vec<Issuer>,
    audience: Arc<str>,
    clock: Clock,
    remembered: Bounded<[u8; 32], Arc<Remembered>, DigestHasher>,
    keeps_grants: bool,
}

struct Issuer {
    name: String,
    keys: KeySet,
}

impl Verifier {
    /// A verifier for the callers of `config`, which fetches key sets through `tenant`.
    #[must_use]
    pub fn new(config: &Config, tenant: &Arc<Tenant>, clock: &Clock) -> Self {
        let issuer = |name: &String| Issuer {
            name: name.clone(),
            keys: KeySet::new(name, Arc::clone(tenant), clock.clone(), config.limits.key_set_cooldown),
        };
        Self {
            issuers: config.auth0.issuers.iter().map(issuer).collect(),
            audience: Arc::from(config.auth0.audience.as_str()),
            clock: clock.clone(),
            remembered: Bounded::new(config.limits.tokens, DigestHasher::default()),
            keeps_grants: config.providers.values().any(|provider| !provider.require.is_empty()),
        }
    }

    /// Finds out who presents `bearer` at the time `now`. Does no I/O unless the token names a key that is not held.
    ///
    /// # Errors
    /// [`CallerError`], saying what the caller (or, for missing keys, the tenant) must change.
    pub async fn verify(&self, bearer: Bearer, now: Timestamp) -> Result<Caller, CallerError> {
        let digest = digest_of(bearer.expose());
        if let Some(remembered) = self.remembered.get(&digest) {
            if remembered.expires <= now {
                return Err(CallerError::Expired);
            }
            if self.issuer(remembered.issuer).is_some_and(|issuer| remembered.is_current(&issuer.keys, now)) {
                return Ok(Caller { remembered, bearer });
            }
        }
        // Boxed: it is rare and large, and every request's future would keep room for it.
        let remembered = Arc::new(Box::pin(self.verify_anew(&bearer)).await?);
        self.remembered.insert(digest, Arc::clone(&remembered));
        Ok(Caller { remembered, bearer })
    }

    /// Whether keys of every issuer are held, so that callers can be verified.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.keys.is_held())
    }

    /// Keeps every issuer's key set fresh for as long as the returned future is polled; it never ends.
    pub async fn keep_keys_fresh(&self) {
        let mut keepers: Vec<_> = self.issuers.iter().map(|issuer| Box::pin(issuer.keys.keep_fresh())).collect();
        std::future::poll_fn(|context| {
            for keeper in &mut keepers {
                let _ = keeper.as_mut().poll(context);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    }

    fn issuer(&self, index: u8) -> Option<&Issuer> {
        self.issuers.get(usize::from(index))
    }

    fn issuer_of(&self, claims: &Claims) -> Result<(usize, &Issuer), CallerError> {
        let mut issuers = self.issuers.iter().enumerate();
        let named = issuers.find(|(_, issuer)| Some(issuer.name.as_str()) == claims.issuer());
        named.ok_or(CallerError::Invalid("its issuer is not one of the configured issuers"))
    }

    async fn verify_anew(&self, bearer: &Bearer) -> Result<Remembered, CallerError> {
        let token = bearer.jwt(&self.audience)?;
        let signature = Signature::of(token).map_err(|error| CallerError::Invalid(error.reason()))?;
        // The claims are read before the signature is checked for one purpose: to know whose keys to check it with.
        // The keys' address comes from configuration, never from the token.
        let claims = Claims::read(token)?;
        let (index, issuer) = self.issuer_of(&claims)?;
        // Before the key is looked up: one that leaves the set from here on is noticed at the next request.
        let key_revision = issuer.keys.revision();
        let key = issuer.keys.find(signature.key_id()).await?;
        signature.check(&key).map_err(|error| CallerError::Invalid(error.reason()))?;
        let person = claims.judge(&self.audience, self.clock.now())?;
        Ok(Remembered {
            subject: person.subject,
            grants: if self.keeps_grants { person.grants } else { Box::default() },
            expires: person.expires,
            verified_at: self.clock.now(),
            key_revision,
            issuer: u8::try_from(index).unwrap_or(u8::MAX),
        })
    }
}

#[expect(
    clippy::expect_used,
    reason = "a SHA-256 digest has 32 bytes; any other value in its place would be shared by all"
)]
fn digest_of(token: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, token).as_ref().try_into().expect("32 bytes")
}
