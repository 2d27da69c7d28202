//! AN ACCESS TOKEN IN USE: what is held in memory of a grant or of the vault, and whether it serves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::http::HeaderValue;

use super::grant::{Access, Demand, Fingerprint, Grant, Life, Lineage, Spends};
use super::record::{BEARER, bearer};
use crate::clock::Timestamp;

/// After a look or a renewal ahead of need that brought nothing, the next waits this long, or a quarter of the life that is
/// left.
const BEHIND_REST: Duration = Duration::from_secs(10);
/// But not less than this: the shorter what is left, the more looks there would be.
const BEHIND_REST_MIN: Duration = Duration::from_secs(1);
/// A token that a refusal has brought about, and that is refused itself within this time: another one would be too.
const HOPE: Duration = Duration::from_secs(60);
/// How far a provider's clock may be ahead of ours, and a request be on its way.
const SKEW: Duration = Duration::from_secs(1);

/// An access token in use.
pub(super) struct Held {
    value: HeaderValue,
    life: Life,
    renew_at: Option<Timestamp>,
    /// Until when no better one is looked for, whatever a caller would like: it was tried, and failed.
    rests_until: Option<Timestamp>,
    /// Until when it is believed that the user may still have it, where nothing else finds that out.
    believed: Option<Timestamp>,
    /// The sign-in that was known when it was taken from its record. The vault tells of none.
    lineage: Option<Lineage>,
    /// When the provider refused it, in Unix milliseconds; 0 for never.
    refused: AtomicU64,
    /// Whether it came from a renewal that a refusal had caused.
    comes_of_refusal: bool,
}

impl Held {
    /// The access token of `grant`; `None` if it has none that a header can carry.
    pub(super) fn of_grant(grant: &Grant, spends: Spends, lineage: Lineage) -> Option<Self> {
        let access = grant.access.as_ref()?;
        Some(Self { renew_at: access.window_opens(spends), lineage: Some(lineage), ..Self::of(access)? })
    }

    /// An access token of the vault, which is asked again after `recheck`: the user may have been blocked, or have
    /// disconnected. `None` if no header can carry it.
    pub(super) fn of_vault(access: &Access, recheck: Duration) -> Option<Self> {
        let issued = access.life.issued;
        // Not when its end is near: the tenant renews what has expired, and nothing earlier.
        let renew_at = Some(issued.plus(recheck / 5 * 4));
        Some(Self { renew_at, believed: Some(issued.plus(recheck)), ..Self::of(access)? })
    }

    fn of(access: &Access) -> Option<Self> {
        Some(Self {
            value: bearer(&access.value)?,
            life: access.life,
            renew_at: None,
            rests_until: None,
            believed: None,
            lineage: None,
            refused: AtomicU64::new(0),
            comes_of_refusal: false,
        })
    }

    /// The token behind `Bearer `, marked sensitive.
    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// By what a rejection names it.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.value.as_bytes().get(BEARER.len()..).unwrap_or_default())
    }

    /// Its life.
    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Whether they are one token.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.value == other.value
    }

    /// Whether it was born after `other`, of the same sign-in.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.life.born > other.life.born && self.lineage == other.lineage
    }

    /// Whether it serves whoever knows of the sign-in `lineage` and wants `min_validity` of life in it.
    pub(super) fn serves(&self, lineage: Option<Lineage>, now: Timestamp, min_validity: Duration) -> bool {
        let is_good_enough =
            || self.life.leaves(min_validity, now) || self.rests_until.is_some_and(|until| now < until);
        self.lineage == lineage && self.is_living(now) && is_good_enough() && !self.is_to_be_confirmed(now)
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

    /// It should have been renewed, and could not be: not at each call.
    pub(super) fn rest(&mut self, retry_after: Option<Duration>, now: Timestamp) {
        let until = now.plus(retry_after.unwrap_or(BEHIND_REST));
        self.rests_until = Some(until);
        self.renew_at = self.renew_at.map(|at| at.max(until));
    }

    /// A refusal has brought it about.
    pub(super) fn comes_of_refusal(&mut self) {
        self.comes_of_refusal = true;
    }

    /// Whether it was refused so soon after a renewal, which a refusal had caused, that another renewal would not help; and
    /// it has not just expired on its way.
    pub(super) fn is_hopeless(&self) -> bool {
        let at = Timestamp::from_unix_millis(self.refused_at());
        self.comes_of_refusal && at.since(self.life.issued) < HOPE && self.life.is_left(at.plus(SKEW))
    }

    /// Whether the provider refused it, and that is `rest` ago.
    pub(super) fn has_rested(&self, now: Timestamp, rest: Duration) -> bool {
        let at = self.refused_at();
        at != 0 && now.since(Timestamp::from_unix_millis(at)) >= rest
    }

    /// What is asked for in its place, where it does not serve.
    pub(super) fn demand(&self, now: Timestamp, rest: Duration) -> Demand {
        Demand {
            refused: (self.refused_at() != 0).then(|| self.fingerprint()),
            // Renewing did not help. The user may have signed in anew, or a neighbour have something newer.
            is_look: self.is_hopeless() && !self.has_rested(now, rest),
            ..Demand::default()
        }
    }

    /// Takes note that the provider refused it.
    pub(super) fn refuse(&self, now: Timestamp) {
        self.refused.store(now.unix_millis(), Ordering::Relaxed);
    }

    /// It has rested after a refusal, and is tried once more.
    pub(super) fn forgive(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// If it is the same token still, what is known of it stays known, and a renewal that brought no other is not tried
    /// again at once.
    pub(super) fn go_on_from(&mut self, previous: &Self, now: Timestamp) {
        if !self.is_same_as(previous) {
            return;
        }
        self.refused = AtomicU64::new(previous.refused_at());
        self.comes_of_refusal |= previous.comes_of_refusal;
        if let (true, Some(expires)) = (self.is_due(now), self.life.expires) {
            self.renew_at = Some(now.plus((expires.since(now) / 4).clamp(BEHIND_REST_MIN, BEHIND_REST)));
        }
    }

    fn refused_at(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
