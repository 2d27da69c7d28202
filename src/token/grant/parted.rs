//! What remains of a grant that its user had disconnected: tokens that serve nobody any more, and are good for nothing but to
//! have the provider end what was granted.

use super::{Death, Grant, Lineage, Seed, State, Terms};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::token::endpoint::Granted;

/// What is still to be done about a grant that is disconnected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::token) enum Remains {
    /// The provider has not ended it, as far as is known. These are its newest tokens.
    Unrevoked(Pair),
    /// Nothing: the provider has ended it.
    Revoked,
}

/// Tokens of one grant, to revoke it with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::token) struct Pair {
    pub(in crate::token) access: Option<Secret>,
    /// When the access token ends, if that is known.
    pub(in crate::token) expires: Option<Timestamp>,
    pub(in crate::token) refresh: Option<Secret>,
}

impl Pair {
    /// What a sign-in has left.
    pub(in crate::token) fn left(seed: &Seed) -> Self {
        Self { access: seed.access.clone(), expires: seed.expires, refresh: seed.refresh.clone() }
    }

    /// What a grant goes on with.
    pub(super) fn of(grant: &Grant) -> Self {
        let access = grant.access.as_ref();
        Self {
            access: access.map(|access| access.value.clone()),
            expires: access.and_then(|access| access.life.expires),
            refresh: grant.refresh.clone(),
        }
    }

    /// The tokens after a renewal that was sent at `sent`.
    pub(in crate::token) fn succeed(&self, granted: &Granted, terms: Terms, sent: Timestamp) -> Self {
        Self {
            access: Some(granted.access_token.clone()),
            expires: granted.expires_in.or(terms.lifetime).map(|life| sent.plus(life)),
            // RFC 6749 §6.
            refresh: granted.refresh_token.clone().or_else(|| self.refresh.clone()),
        }
    }

    /// Whether there is nothing to revoke with.
    pub(in crate::token) fn is_empty(&self) -> bool {
        self.access.is_none() && self.refresh.is_none()
    }

    /// The access token, if it has not expired as far as is known.
    pub(in crate::token) fn living(&self, now: Timestamp) -> Option<&Secret> {
        self.access.as_ref().filter(|_| self.expires.is_none_or(|expires| now < expires))
    }
}

impl Grant {
    /// The record after the user had the grant disconnected, where `seed` is what the tenant holds of it: another sign-in
    /// revives it, and nothing else. Its newest tokens remain, those of a sign-in that was not used here yet among them.
    /// `None` if it is disconnected already.
    pub(in crate::token) fn disconnect(&self, seed: &Seed, now: Timestamp) -> Option<Self> {
        let adopted = self.adopt(seed, now);
        let newest = adopted.as_ref().unwrap_or(self);
        if newest.state == State::Dead(Death::Disconnected) {
            return None;
        }
        let pair = Pair::of(newest);
        let remains = (!pair.is_empty()).then_some(Remains::Unrevoked(pair));
        Some(Self { remains, ..Self::disconnected(newest.lineage, self.generation + 1) })
    }

    /// The first record of a grant that is disconnected before it was ever renewed here: the tenant has its tokens. `None`
    /// if it has none.
    pub(in crate::token) fn new_disconnected(seed: &Seed, now: Timestamp) -> Option<Self> {
        Self::new(seed, now).map(|grant| Self::disconnected(grant.lineage, grant.generation))
    }

    fn disconnected(lineage: Lineage, generation: u64) -> Self {
        Self {
            generation,
            access: None,
            refresh: None,
            scope: None,
            state: State::Dead(Death::Disconnected),
            lineage,
            attempt: None,
            remains: None,
        }
    }

    /// Whether the user has it disconnected.
    pub(in crate::token) fn is_disconnected(&self) -> bool {
        self.state == State::Dead(Death::Disconnected)
    }

    /// The record of a disconnected grant of which that remains.
    pub(in crate::token) fn leaving(&self, remains: Option<Remains>) -> Self {
        Self { remains, ..self.next() }
    }
}
