//! WHERE ACCESS TOKENS COME FROM that have a life of their own here: a grant that is renewed, or Auth0's Token Vault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TokenError;
use super::grant::{Demand, Lineage};
use super::held::Held;
use crate::clock::Timestamp;
use crate::store::Key;
use crate::telemetry::metrics::Outcome;

/// Where a [`Keeper`](super::keeper::Keeper) gets access tokens from.
pub(super) trait Source: Send + Sync + 'static {
    /// What the source needs of whoever asks first.
    type Errand: Clone + Send + Sync + 'static;

    /// How tokens are found that come from here.
    const OUTCOME: Outcome;

    /// The sign-in that whoever asks knows of, if that matters: a token of another one does not serve.
    fn lineage(errand: &Self::Errand) -> Option<Lineage>;

    /// What a caller hears whose patience ends first.
    fn too_slow(&self, connection: &Arc<str>) -> TokenError;

    /// An access token that meets `demand`, or the best that can be had.
    fn fetch(
        &self,
        key: &Key,
        errand: Self::Errand,
        demand: Demand,
    ) -> impl Future<Output = Result<Held, TokenError>> + Send;
}

/// What a caller asks for.
pub(super) struct Ask<'call, E> {
    pub(super) key: &'call Arc<Key>,
    pub(super) errand: &'call E,
    /// Less life than this is too little, if more can be had.
    pub(super) min_validity: Duration,
    /// Since when the caller has waited for a token.
    pub(super) begun: Instant,
    /// When the caller's own token was met.
    pub(super) met: Timestamp,
}
