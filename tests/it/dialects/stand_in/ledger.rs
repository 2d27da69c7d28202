//! The tokens of a stand-in: which live, and what becomes of them.

use std::collections::BTreeMap;

use idp_proxy::command::dev::provider::Issued;

use crate::dialects::facts::{Facts, Grant, Rotates};
use crate::support::canary::{PROVIDER_TOKEN, REFRESH_TOKEN};

/// All tokens that were ever issued, and what came.
#[derive(Default)]
pub(super) struct Ledger {
    issued: u32,
    /// Access tokens: `None` while they live, then the way in which they are called dead.
    access: BTreeMap<String, Option<usize>>,
    refresh: BTreeMap<String, Refresh>,
    /// What living tokens may not do.
    pub(super) withheld: Option<usize>,
    /// Access tokens that renewals have brought.
    pub(super) granted: Vec<String>,
    /// How many renewals were refused.
    pub(super) refused: usize,
    /// Access tokens that came to the API, and whether they lived.
    pub(super) calls: Vec<(String, bool)>,
    pub(super) complaints: Vec<String>,
}

#[derive(Clone)]
struct Refresh {
    state: State,
    /// The access token that was issued with it.
    access: String,
}

#[derive(Clone, Copy)]
enum State {
    Live,
    Spent,
    Dead(usize),
}

impl Ledger {
    fn access_token(&mut self) -> String {
        self.issued += 1;
        let token = format!("{PROVIDER_TOKEN}-{}", self.issued);
        self.access.insert(token.clone(), None);
        token
    }

    fn refresh_token(&mut self, access: &str) -> String {
        self.issued += 1;
        let token = format!("{REFRESH_TOKEN}-{}", self.issued);
        self.refresh.insert(token.clone(), Refresh { state: State::Live, access: access.to_owned() });
        token
    }

    pub(super) fn issue(&mut self, facts: &Facts) -> Issued {
        let access_token = self.access_token();
        let has_refresh_token = facts.renewal.is_some_and(|renewal| renewal.grant == Grant::RefreshToken);
        let refresh_token = has_refresh_token.then(|| self.refresh_token(&access_token));
        Issued { access_token, refresh_token, expires_in: facts.life }
    }

    pub(super) fn kill(&mut self, access: &str, way: usize) {
        *self.access.get_mut(access).expect("a token of this provider") = Some(way);
    }

    pub(super) fn revoke(&mut self, refresh: &str, way: usize) {
        self.refresh.get_mut(refresh).expect("a token of this provider").state = State::Dead(way);
    }

    /// What an access token is that comes to the API; `None` if there has never been such a one.
    pub(super) fn arrives(&mut self, access: &str) -> Option<Option<usize>> {
        let state = self.access.get(access).copied()?;
        self.calls.push((access.to_owned(), state.is_none()));
        Some(state)
    }

    /// New tokens for a refresh token, or the way in which it is called dead.
    pub(super) fn renew(&mut self, spent: &str, rotates: Rotates) -> Result<(String, String), usize> {
        let Some(Refresh { state, access: old }) = self.refresh.get(spent).cloned() else {
            self.complaints.push(format!("nobody has issued {spent}"));
            return Err(0);
        };
        match state {
            State::Live => {}
            State::Dead(way) => {
                self.refused += 1;
                return Err(way);
            }
            State::Spent => {
                self.complaints.push(format!("{spent} came twice: the user would be logged out"));
                return Err(0);
            }
        }
        let access = self.access_token();
        self.granted.push(access.clone());
        let refresh = match rotates {
            Rotates::Never | Rotates::NotSeen => spent.to_owned(),
            Rotates::KeepsOld | Rotates::Spends | Rotates::SpendsAll => self.refresh_token(&access),
        };
        if rotates.is_spent() {
            self.refresh.insert(spent.to_owned(), Refresh { state: State::Spent, access: old.clone() });
        }
        if rotates == Rotates::SpendsAll {
            self.kill(&old, 0);
        }
        Ok((access, refresh))
    }

    /// A new access token for one that lives still.
    pub(super) fn exchange(&mut self, spent: &str) -> Result<String, usize> {
        match self.access.get(spent).copied() {
            Some(None) => {
                let access = self.access_token();
                self.granted.push(access.clone());
                Ok(access)
            }
            Some(Some(_)) => {
                self.refused += 1;
                Err(0)
            }
            None => {
                self.complaints.push(format!("nobody has issued {spent}"));
                Err(0)
            }
        }
    }
}
