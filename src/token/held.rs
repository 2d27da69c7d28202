//! AN ACCESS TOKEN IN USE: what is held in memory of a grant or of the vault, and whether it serves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::http::HeaderValue;

use super::grant::{Access, Demand, Grant, Life, Lineage};
use super::record::bearer;
use crate::clock::Timestamp;

/// After a look or a renewal ahead of need that brought nothing, the next waits this long, or a quarter of the life that is left.
const BEHIND_REST: Duration = Duration::from_secs(10);
/// But not less than this: the shorter what is left, the more looks there would be.
const BEHIND_REST_MIN: Duration = Duration::from_secs(1);
/// How far a provider's clock may be ahead of ours, and a request be on its way.
const SKEW: Duration = Duration::from_secs(1);

/// An access token in use.
pub(super) struct Held {
    value: HeaderValue,
    life: Life,
    renew_at: Option<Timestamp>,
    /// Until when it is believed that the user may still have it, where nothing else finds that out.
    believed: Option<Timestamp>,
    /// The sign-in that was known when it was taken from its record. The vault tells of none.
    lineage: Option<Lineage>,
    /// When the provider refused it, in Unix milliseconds; 0 for never.
    refused: AtomicU64,
    /// Whether it came from a renewal that a refusal had caused. If it is refused as well, renewing does not help.
    after_refusal: bool,
}

impl Held {
    /// The access token of `grant`, which meets `demand`; `None` if it has none that a header can carry.
    pub(super) fn of_grant(grant: &Grant, lineage: Lineage, demand: Demand) -> Option<Self> {
        let access = grant.access.as_ref()?;
        Some(Self {
            value: bearer(&access.value)?,
            life: access.life,
            renew_at: access.window_opens(),
            believed: None,
            lineage: Some(lineage),
            refused: AtomicU64::new(0),
            after_refusal: demand.refused.is_some(),
        })
    }

    /// An access token of the vault, which is asked again after `recheck`: the user may have been blocked, or have
    /// disconnected. `None` if no header can carry it.
    pub(super) fn of_vault(access: &Access, recheck: Duration, demand: Demand) -> Option<Self> {
        let issued = access.life.issued;
        Some(Self {
            value: bearer(&access.value)?,
            life: access.life,
            // Not when its end is near: the tenant renews what has expired, and nothing earlier.
            renew_at: Some(issued.plus(recheck / 5 * 4)),
            believed: Some(issued.plus(recheck)),
            lineage: None,
            refused: AtomicU64::new(0),
            after_refusal: demand.refused.is_some(),
        })
    }

    /// The token behind `Bearer `, marked sensitive.
    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether they are one token, by value and birth.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.life.born == other.life.born && self.value == other.value
    }

    /// The generation of its birth.
    pub(super) fn born(&self) -> u64 {
        self.life.born
    }

    /// Whether it serves whoever knows of the sign-in `lineage` and wants `min_validity` of life in it.
    pub(super) fn serves(&self, lineage: Option<Lineage>, now: Timestamp, min_validity: Duration) -> bool {
        self.lineage == lineage
            && self.refused_at() == 0
            && self.life.leaves(min_validity, now)
            && !self.is_to_be_confirmed(now)
    }

    /// Whether it is time to ask whether the user may still have it.
    pub(super) fn is_to_be_confirmed(&self, now: Timestamp) -> bool {
        self.believed.is_some_and(|until| until <= now)
    }

    /// Whether it has neither ended nor been refused, as far as is known.
    pub(super) fn is_living(&self, now: Timestamp) -> bool {
        self.refused_at() == 0 && self.life.is_left(now)
    }

    /// Whether it is time to renew it, although it serves.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }

    /// The tenant may hold something newer: it is looked at once more in a while, if nothing else brings that about.
    pub(super) fn look_again_soon(&mut self, now: Timestamp) {
        let soon = now.plus(BEHIND_REST);
        self.renew_at = Some(self.renew_at.map_or(soon, |at| at.min(soon)));
    }

    /// Whether a renewal would not help if it is refused: it came from one that a refusal had caused, and has not just
    /// expired on its way.
    pub(super) fn is_hopeless(&self, now: Timestamp) -> bool {
        self.after_refusal && self.life.is_left(now.plus(SKEW))
    }

    /// How long ago the provider refused it, if it did.
    pub(super) fn refused_for(&self, now: Timestamp) -> Option<Duration> {
        let at = self.refused_at();
        (at != 0).then(|| now.since(Timestamp::from_unix_millis(at)))
    }

    /// Takes note that the provider refused it.
    pub(super) fn refuse(&self, now: Timestamp) {
        self.refused.store(now.unix_millis(), Ordering::Relaxed);
    }

    /// It has rested after a refusal, and is tried once more.
    pub(super) fn forgive(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// Whether it was born after `other`, of the same sign-in.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.life.born > other.life.born && self.lineage == other.lineage
    }

    /// If it is the same token still, what is known of it stays known, and a renewal that brought no other is not tried
    /// again at once.
    pub(super) fn go_on_from(&mut self, previous: &Self, now: Timestamp) {
        if !self.is_same_as(previous) {
            return;
        }
        self.refused = AtomicU64::new(previous.refused_at());
        self.after_refusal |= previous.after_refusal;
        if let (true, Some(expires)) = (self.is_due(now), self.life.expires) {
            self.renew_at = Some(now.plus((expires.since(now) / 4).clamp(BEHIND_REST_MIN, BEHIND_REST)));
        }
    }

    fn refused_at(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
