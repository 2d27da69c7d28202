//! Which tokens the provider has issued and what they are worth now.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use crate::clock::Timestamp;

/// What becomes of a provider's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    /// Access tokens never expire, and there are no refresh tokens.
    ForEver,
    /// Access tokens expire; one refresh token renews them again and again.
    Expires {
        /// Life of an access token.
        life: Duration,
        /// When a sign-in gives a refresh token.
        refresh_token: RefreshToken,
    },
    /// Access tokens expire, and each renewal replaces the refresh token. One that was replaced and comes again was
    /// stolen, as far as the provider can tell: every token descended from that sign-in dies (RFC 9700 §4.14.2).
    Rotates {
        /// Life of an access token.
        life: Duration,
    },
}

/// When a sign-in gives a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshToken {
    /// Every time.
    Always,
    /// When the account's owner consents: at the first sign-in, and when consent is asked for anew, as Google does it.
    Once,
    /// The same, where the sign-in asks for offline access: Google behind a connection that does not do so by itself.
    OnceIfAsked,
    /// Never: the access token expires for good.
    Never,
}

impl Behaviour {
    /// Whether a refresh token comes without being asked for: at Google, where the connection does that by itself.
    pub(in crate::command::dev) const fn renews_without_asking(self) -> bool {
        match self {
            Self::ForEver | Self::Expires { refresh_token: RefreshToken::Never | RefreshToken::OnceIfAsked, .. } => {
                false
            }
            Self::Expires { refresh_token: RefreshToken::Always | RefreshToken::Once, .. } | Self::Rotates { .. } => {
                true
            }
        }
    }
}

/// What a sign-in asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Scopes at the provider, on top of those that the connection asks for by itself.
    pub scopes: Vec<String>,
    /// A refresh token.
    pub offline: bool,
    /// Whether the account's owner is to consent anew.
    pub consent: bool,
}

/// What a sign-in or a renewal yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The access token, random each time.
    pub access_token: String,
    /// The refresh token; absent where the one held goes on being good, or where there is none.
    pub refresh_token: Option<String>,
    /// Seconds of life; absent where it never ends.
    pub expires_in: Option<u64>,
}

/// All of it can be kept in a file, so that a provider that comes again remembers what is spent.
#[derive(Serialize, Deserialize)]
pub(super) struct Ledger {
    dialect: Dialect,
    behaviour: Behaviour,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    families: Vec<Family>,
    /// Accounts that have had their one refresh token.
    given: HashSet<String>,
    pub(super) refreshes: u64,
    pub(super) reuses: u64,
}

#[derive(Serialize, Deserialize)]
struct Access {
    family: usize,
    expires: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Refresh {
    family: usize,
    superseded: bool,
}

/// All tokens descended from one sign-in.
#[derive(Serialize, Deserialize)]
struct Family {
    account: String,
    revoked: bool,
    /// Those asked for at the sign-in.
    #[serde(default)]
    scopes: Vec<String>,
}

impl Ledger {
    pub(super) fn new(dialect: Dialect, behaviour: Behaviour) -> Self {
        Self {
            dialect,
            behaviour,
            access: HashMap::new(),
            refresh: HashMap::new(),
            families: Vec::new(),
            given: HashSet::new(),
            refreshes: 0,
            reuses: 0,
        }
    }

    /// The same ledger at a provider that behaves like this from now on.
    pub(super) fn behaving(self, behaviour: Behaviour) -> Self {
        Self { behaviour, ..self }
    }

    pub(super) fn issue(&mut self, account: &str, asked: &Asked, now: Timestamp) -> Issued {
        let family = self.families.len();
        self.families.push(Family { account: account.to_owned(), revoked: false, scopes: asked.scopes.clone() });
        let consents = asked.consent || !self.given.contains(account);
        let with_refresh = match self.behaviour {
            Behaviour::ForEver | Behaviour::Expires { refresh_token: RefreshToken::Never, .. } => false,
            Behaviour::Expires { refresh_token: RefreshToken::Once, .. } => consents,
            Behaviour::Expires { refresh_token: RefreshToken::OnceIfAsked, .. } => consents && asked.offline,
            Behaviour::Expires { refresh_token: RefreshToken::Always, .. } | Behaviour::Rotates { .. } => true,
        };
        if with_refresh {
            self.given.insert(account.to_owned());
        }
        self.mint(family, with_refresh, now)
    }

    /// The refresh-token grant; `None` is `invalid_grant`.
    pub(super) fn renew(&mut self, refresh_token: &str, now: Timestamp) -> Option<Issued> {
        let held = self.refresh.get_mut(refresh_token)?;
        let family = held.family;
        if self.families.get(family).is_none_or(|family| family.revoked) {
            return None;
        }
        if held.superseded {
            self.reuses += 1;
            self.revoke(family);
            return None;
        }
        let rotates = matches!(self.behaviour, Behaviour::Rotates { .. });
        held.superseded = rotates;
        self.refreshes += 1;
        Some(self.mint(family, rotates, now))
    }

    fn mint(&mut self, family: usize, with_refresh: bool, now: Timestamp) -> Issued {
        let life = match self.behaviour {
            Behaviour::ForEver => None,
            Behaviour::Expires { life, .. } | Behaviour::Rotates { life } => Some(life),
        };
        // What has expired is worth as little as what was never issued.
        self.access.retain(|_, access| access.expires.is_none_or(|expires| now < expires));
        let access_token = self.dialect.access_token();
        let expires = life.map(|life| now.plus(life));
        self.access.insert(access_token.clone(), Access { family, expires });
        let refresh_token = with_refresh.then(|| self.dialect.refresh_token());
        if let Some(token) = &refresh_token {
            self.refresh.insert(token.clone(), Refresh { family, superseded: false });
        }
        Issued { access_token, refresh_token, expires_in: life.map(|life| life.as_secs()) }
    }

    /// Whose live access token that is.
    pub(super) fn account(&self, access_token: &str, now: Timestamp) -> Option<&str> {
        self.live(access_token, now).map(|family| family.account.as_str())
    }

    /// Which scopes were asked for when that live access token's sign-in was.
    pub(super) fn scopes(&self, access_token: &str, now: Timestamp) -> Option<&[String]> {
        self.live(access_token, now).map(|family| family.scopes.as_slice())
    }

    fn live(&self, access_token: &str, now: Timestamp) -> Option<&Family> {
        let access = self.access.get(access_token)?;
        let alive = access.expires.is_none_or(|expires| now < expires);
        self.families.get(access.family).filter(|family| alive && !family.revoked)
    }

    pub(super) fn kill(&mut self, access_token: &str) {
        self.access.remove(access_token);
    }

    /// Ends the grant that the token belongs to, of whichever kind it is. Tells whether there was one: what has expired, was
    /// replaced or revoked is worth as little as what was never issued, and ends nothing.
    pub(super) fn revoke_token(&mut self, token: &str, now: Timestamp) -> bool {
        let access = self.access.get(token).filter(|access| access.expires.is_none_or(|expires| now < expires));
        let refresh = self.refresh.get(token).filter(|refresh| !refresh.superseded);
        let family = access.map(|access| access.family).or_else(|| refresh.map(|refresh| refresh.family));
        let Some(family) = family.and_then(|family| self.families.get_mut(family)).filter(|family| !family.revoked)
        else {
            return false;
        };
        family.revoked = true;
        // Who signs in again after that is asked again, and given a refresh token again.
        self.given.remove(&family.account);
        true
    }

    /// How many sign-ins of the account have not been taken back.
    pub(super) fn grants(&self, account: &str) -> usize {
        self.families.iter().filter(|family| family.account == account && !family.revoked).count()
    }

    pub(super) fn revoke_account(&mut self, account: &str) {
        self.families.iter_mut().filter(|family| family.account == account).for_each(|family| family.revoked = true);
        self.given.remove(account);
    }

    fn revoke(&mut self, family: usize) {
        if let Some(family) = self.families.get_mut(family) {
            family.revoked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn ledger(behaviour: Behaviour) -> Ledger {
        Ledger::new(Dialect::Google, behaviour)
    }

    #[test]
    fn a_token_that_lives_for_ever_has_neither_expiry_nor_refresh_token() {
        let mut ledger = ledger(Behaviour::ForEver);
        let issued = ledger.issue("a", &Asked::default(), NOW);
        assert_eq!((&issued.refresh_token, issued.expires_in), (&None, None));
        assert_eq!(ledger.account(&issued.access_token, NOW.plus(LIFE * 1_000_000)), Some("a"));
    }

    #[test]
    fn an_access_token_dies_at_its_expiry_and_a_kept_refresh_token_renews_it_again_and_again() {
        let mut ledger = ledger(Behaviour::Expires { life: LIFE, refresh_token: RefreshToken::Always });
        let issued = ledger.issue("a", &Asked::default(), NOW);
        assert_eq!(ledger.account(&issued.access_token, NOW.plus(LIFE / 2)), Some("a"));
        assert_eq!(ledger.account(&issued.access_token, NOW.plus(LIFE)), None);
        let refresh_token = issued.refresh_token.unwrap();
        for _ in 0..2 {
            let renewed = ledger.renew(&refresh_token, NOW.plus(LIFE)).unwrap();
            assert_eq!(renewed.refresh_token, None, "kept");
            assert_eq!(ledger.account(&renewed.access_token, NOW.plus(LIFE)), Some("a"));
        }
    }

    #[test]
    fn a_superseded_refresh_token_that_comes_again_ends_the_whole_family() {
        let mut ledger = ledger(Behaviour::Rotates { life: LIFE });
        let (first, other) = (ledger.issue("a", &Asked::default(), NOW), ledger.issue("a", &Asked::default(), NOW));
        let old = first.refresh_token.unwrap();
        let second = ledger.renew(&old, NOW).unwrap();
        assert_eq!(ledger.account(&second.access_token, NOW), Some("a"));
        assert_eq!(ledger.renew(&old, NOW), None);
        assert_eq!(ledger.account(&second.access_token, NOW), None);
        assert_eq!(ledger.renew(&second.refresh_token.unwrap(), NOW), None);
        assert_eq!((ledger.refreshes, ledger.reuses), (1, 1));
        assert_eq!(ledger.account(&other.access_token, NOW), Some("a"), "another sign-in is another family");
    }

    #[test]
    fn a_refresh_token_given_once_is_given_again_only_after_the_account_was_revoked() {
        let mut ledger = ledger(Behaviour::Expires { life: LIFE, refresh_token: RefreshToken::Once });
        let first = ledger.issue("a", &Asked::default(), NOW);
        assert!(first.refresh_token.is_some());
        assert!(ledger.issue("a", &Asked::default(), NOW).refresh_token.is_none());
        ledger.revoke_account("a");
        assert_eq!(ledger.account(&first.access_token, NOW), None);
        assert_eq!(ledger.renew(&first.refresh_token.unwrap(), NOW), None);
        assert!(ledger.issue("a", &Asked::default(), NOW).refresh_token.is_some());
    }

    #[test]
    fn a_token_that_is_spent_or_expired_or_unknown_revokes_nothing() {
        let mut ledger = ledger(Behaviour::Rotates { life: LIFE });
        let first = ledger.issue("a", &Asked::default(), NOW);
        let old = first.refresh_token.unwrap();
        let newest = ledger.renew(&old, NOW).unwrap().refresh_token.unwrap();
        assert!(!ledger.revoke_token(&old, NOW));
        assert!(!ledger.revoke_token(&first.access_token, NOW.plus(LIFE)));
        assert!(!ledger.revoke_token("made up", NOW));
        assert_eq!(ledger.grants("a"), 1);
        assert!(ledger.revoke_token(&newest, NOW));
        assert!(!ledger.revoke_token(&newest, NOW), "it was revoked before");
        assert_eq!(ledger.grants("a"), 0);
    }

    #[test]
    fn a_ledger_that_was_kept_remembers_what_is_spent() {
        let mut ledger = ledger(Behaviour::Rotates { life: LIFE });
        let old = ledger.issue("a", &Asked::default(), NOW).refresh_token.unwrap();
        let renewed = ledger.renew(&old, NOW).unwrap();
        let mut again: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
        assert_eq!(again.account(&renewed.access_token, NOW), Some("a"));
        assert_eq!(again.renew(&old, NOW), None);
        assert_eq!((again.refreshes, again.reuses), (1, 1));
        assert_eq!(again.account(&renewed.access_token, NOW), None, "the family is dead");
    }
}
