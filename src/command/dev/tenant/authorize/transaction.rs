//! Authorization requests whose person is being asked.

use std::collections::HashMap;
use std::time::Duration;

use super::request::AuthorizationRequest;
use crate::clock::Timestamp;
use crate::command::dev::encoding::random_url_safe;

/// How long a person may take.
const LIFE: Duration = Duration::from_secs(3600);

/// All of them, by ids that nobody can guess.
#[derive(Default)]
pub(in crate::command::dev::tenant) struct Transactions(HashMap<String, (AuthorizationRequest, Timestamp)>);

impl Transactions {
    /// A new one's id.
    pub(super) fn begin(&mut self, request: AuthorizationRequest, now: Timestamp) -> String {
        self.0.retain(|_, (_, expires)| now < *expires);
        let id = random_url_safe(43);
        self.0.insert(id.clone(), (request, now.plus(LIFE)));
        id
    }

    pub(super) fn find(&self, id: &str, now: Timestamp) -> Option<&AuthorizationRequest> {
        self.0.get(id).filter(|(_, expires)| now < *expires).map(|(request, _)| request)
    }

    /// Takes one out: it is decided once.
    pub(super) fn end(&mut self, id: &str, now: Timestamp) -> Option<AuthorizationRequest> {
        self.0.remove(id).filter(|(_, expires)| now < *expires).map(|(request, _)| request)
    }
}
