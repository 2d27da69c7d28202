//! What the tenant says of users: read once for all of a user's accounts, kept for a while, served on when the tenant
//! gives no answer.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TokenError;
use super::disconnects::Disconnects;
use super::flight::{Flights, Landing};
use super::record::{Connection, Record, Standpoint, Wanted};
use crate::auth0::{Priority, Tenant, TenantError};
use crate::bounded::Bounded;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::store::Key;
use crate::telemetry::metrics::{Metrics, Outcome};

/// A refusal that another look at the tenant could lift is believed this long: a user who has just signed in waits no
/// longer, and callers that insist cost the tenant one read in that time.
pub(super) const REFUSAL_LIFE: Duration = Duration::from_secs(5);
/// Two clocks are read one after the other, and one of them in milliseconds.
const CLOCKS_DIFFER: Duration = Duration::from_millis(5);
/// Callers within this time after a failed read share the failure.
const FAILURE_REST: Duration = Duration::from_secs(1);
/// A user whose recheck was not answered in time is served from memory this long before the next is waited for.
pub(super) const HANGING_REST: Duration = Duration::from_secs(15);
/// How long a caller whose record is held waits for a recheck that is due. Then it is served what is held.
pub(super) const RECHECK_PATIENCE: Duration = Duration::from_secs(1);

/// The users' records.
pub(super) struct Users {
    tenant: Arc<Tenant>,
    clock: Clock,
    metrics: Metrics,
    recheck: Duration,
    token_wait: Duration,
    /// The configured connections; accounts elsewhere are not kept.
    connections: Arc<[Connection]>,
    disconnects: Arc<Disconnects>,
    records: Arc<Bounded<Arc<str>, Arc<Record>, RandomState>>,
    failures: Arc<Bounded<Arc<str>, Arc<Failure>, RandomState>>,
    flights: Flights<Arc<str>, Read>,
}

/// A user's record, and which of its accounts is meant.
pub(super) struct Found {
    pub(super) record: Arc<Record>,
    pub(super) account: usize,
    pub(super) outcome: Outcome,
}

/// A read that failed.
struct Failure {
    at: Instant,
    /// How long it would have waited for its turn. Who would wait longer learns nothing from it.
    patience: Duration,
    error: Arc<TenantError>,
    /// For how long it speaks for others.
    rest: Duration,
}

type Read = Result<Arc<Record>, Arc<Failure>>;

/// Whether a caller's token that was met then is newer than what was found out so long ago. Its holder may have signed in
/// since, to lift a refusal, and must not be sent away with the same one.
pub(super) fn is_news(met: Timestamp, now: Timestamp, age: Duration) -> bool {
    now.since(met) + CLOCKS_DIFFER < age
}

impl Users {
    /// Nothing held yet.
    pub(super) fn new(
        config: &Config,
        tenant: &Arc<Tenant>,
        disconnects: Arc<Disconnects>,
        metrics: &Metrics,
        clock: &Clock,
    ) -> Self {
        Self {
            disconnects,
            tenant: Arc::clone(tenant),
            clock: clock.clone(),
            metrics: metrics.clone(),
            recheck: config.auth0.recheck,
            token_wait: config.limits.token_wait,
            connections: Connection::all(config),
            records: Arc::new(Bounded::new(config.limits.tokens, RandomState::new())),
            failures: Arc::new(Bounded::new(config.limits.tokens, RandomState::new())),
            flights: Flights::new(),
        }
    }

    /// The same for a new configuration. What was read stays as far as that means the same accounts.
    pub(super) fn succeed(&self, config: &Config, tenant: &Arc<Tenant>) -> Self {
        let mut next = Self::new(config, tenant, Arc::clone(&self.disconnects), &self.metrics, &self.clock);
        if next.connections == self.connections && next.records.bound() == self.records.bound() {
            next.records = Arc::clone(&self.records);
        }
        next
    }

    /// What is known of disconnected accounts.
    pub(super) fn disconnects(&self) -> &Disconnects {
        &self.disconnects
    }

    /// Forgets what is held of the user: the next call reads the tenant.
    pub(super) fn forget(&self, subject: &Arc<str>) {
        self.records.remove(subject);
    }

    /// Whether what is held of the user has a token in it whose place in the store is `key`.
    pub(super) fn uses(&self, key: &Key) -> bool {
        self.records.get(&key.subject).is_some_and(|record| record.is_unrenewed(key))
    }

    /// The account that `wanted` means, for a caller who has waited for a token since `begun`.
    pub(super) async fn find(
        &self,
        subject: &Arc<str>,
        wanted: &Wanted<'_>,
        begun: Instant,
    ) -> Result<Found, TokenError> {
        let Some(record) = self.records.get(subject) else {
            // Boxed, here and below: what is rare must not make every request's future larger.
            return Box::pin(self.fetch(subject, wanted, begun)).await;
        };
        let age = begun.saturating_duration_since(record.read.end);
        match self.standpoint(&record, wanted) {
            Standpoint::Usable(account) if age < self.recheck => {
                if age >= self.recheck / 5 * 4 {
                    drop(self.read_behind(subject));
                }
                Ok(Found { record, account, outcome: Outcome::Hit })
            }
            Standpoint::Usable(account) => Box::pin(self.recheck(subject, wanted, record, account)).await,
            Standpoint::Refused(error) if age < REFUSAL_LIFE && !is_news(wanted.met, self.clock.now(), age) => {
                Err(error)
            }
            Standpoint::Refused(_) | Standpoint::Doubtful => Box::pin(self.fetch(subject, wanted, begun)).await,
        }
    }

    /// Whether what is held of the user serves by itself.
    pub(super) fn serves(&self, subject: &Arc<str>, wanted: &Wanted<'_>, now: Instant) -> bool {
        self.records.get(subject).is_some_and(|record| {
            let age = now.saturating_duration_since(record.read.end);
            age < self.recheck && matches!(self.standpoint(&record, wanted), Standpoint::Usable(_))
        })
    }

    /// What the tenant says of a user now, if it says anything: by a read that begins after this was called. What one
    /// brings that is under way may be older than what the caller has seen since.
    pub(super) async fn look(&self, subject: &Arc<str>) -> Option<Arc<Record>> {
        if self.recent_failure(subject, self.token_wait).is_some() {
            return None;
        }
        let called = self.clock.instant();
        loop {
            let record = self.read_patiently(subject).await.ok()?;
            if record.read.start >= called {
                return Some(record);
            }
        }
    }

    /// The same for whoever is content with what was read at `since` or later.
    pub(super) async fn look_since(&self, subject: &Arc<str>, since: Instant) -> Option<Arc<Record>> {
        match self.records.get(subject).filter(|record| record.read.start >= since) {
            Some(record) => Some(record),
            None => self.look(subject).await,
        }
    }

    /// Takes note that the provider refused the account's token: the next call looks for a newer one.
    pub(super) fn refuse(&self, subject: &Arc<str>, record: &Record, account: usize) {
        let Some(refused) = record.value(account) else { return };
        let now = self.clock.now();
        record.refuse(refused, now);
        // The user may have been read anew while the provider thought about it, and the same token found.
        if let Some(current) = self.records.get(subject) {
            current.refuse(refused, now);
        }
    }

    /// The record is older than it may be, so it is read again before it is used. But a tenant that is down, slow or
    /// throttling does not stop a user whose record is held.
    async fn recheck(
        &self,
        subject: &Arc<str>,
        wanted: &Wanted<'_>,
        record: Arc<Record>,
        account: usize,
    ) -> Result<Found, TokenError> {
        // Its read waits for a turn no longer either: callers who have no token yet go first.
        let patience = RECHECK_PATIENCE.min(self.token_wait);
        let served_on = Found { record, account, outcome: Outcome::ServedOn };
        if self.recent_failure(subject, patience).is_some() {
            return Ok(served_on);
        }
        let landing = self.read(subject, Priority::Background, patience);
        match tokio::time::timeout(patience, landing.outcome()).await {
            Ok(Some(Ok(record))) => self.conclude(record, wanted, Outcome::Recheck),
            Ok(Some(Err(_)) | None) => Ok(served_on),
            Err(_) => {
                // The tenant hangs. Who is served from memory should not find that out one second each.
                let error = Arc::new(TenantError::TooSlow);
                let failure = Failure { at: self.clock.instant(), patience, error, rest: HANGING_REST };
                self.failures.insert(Arc::clone(subject), Arc::new(failure));
                Ok(served_on)
            }
        }
    }

    async fn fetch(&self, subject: &Arc<str>, wanted: &Wanted<'_>, begun: Instant) -> Result<Found, TokenError> {
        if let Some(failure) = self.recent_failure(subject, self.token_wait) {
            return Err(TokenError::Tenant(failure));
        }
        let left = (begun + self.token_wait).saturating_duration_since(self.clock.instant());
        let record = tokio::time::timeout(left, self.read_patiently(subject)).await;
        self.conclude(record.map_err(|_| TokenError::TooSlow)??, wanted, Outcome::Miss)
    }

    async fn read_patiently(&self, subject: &Arc<str>) -> Result<Arc<Record>, TokenError> {
        loop {
            let landing = self.read(subject, Priority::Interactive, self.token_wait);
            match landing.outcome().await.ok_or(TokenError::Died)? {
                Ok(record) => return Ok(record),
                // A flight that was under way already, for somebody who would not wait as long.
                Err(failure) if failure.patience < self.token_wait => {}
                Err(failure) => return Err(TokenError::Tenant(Arc::clone(&failure.error))),
            }
        }
    }

    fn conclude(&self, record: Arc<Record>, wanted: &Wanted<'_>, outcome: Outcome) -> Result<Found, TokenError> {
        match self.standpoint(&record, wanted) {
            Standpoint::Usable(account) => Ok(Found { record, account, outcome }),
            Standpoint::Refused(error) => Err(error),
            // Refused again in the moment since it was read.
            Standpoint::Doubtful => Err(TokenError::Rejected { connection: Arc::from(wanted.connection) }),
        }
    }

    fn standpoint(&self, record: &Record, wanted: &Wanted<'_>) -> Standpoint {
        record.standpoint(wanted, self.clock.now(), self.recheck)
    }

    fn recent_failure(&self, subject: &Arc<str>, patience: Duration) -> Option<Arc<TenantError>> {
        let failure = self.failures.get(subject)?;
        let age = self.clock.instant().saturating_duration_since(failure.at);
        (age < failure.rest && failure.patience >= patience).then(|| Arc::clone(&failure.error))
    }

    fn read_behind(&self, subject: &Arc<str>) -> Option<Landing<Read>> {
        let patience = Duration::ZERO;
        let may_read = self.recent_failure(subject, patience).is_none();
        may_read.then(|| self.read(subject, Priority::Background, patience))
    }

    /// Reads the user's record at the tenant, together with everybody else who needs it now.
    fn read(&self, subject: &Arc<str>, priority: Priority, patience: Duration) -> Landing<Read> {
        self.flights.join(subject, || {
            let subject = Arc::clone(subject);
            let (tenant, clock, metrics) = (Arc::clone(&self.tenant), self.clock.clone(), self.metrics.clone());
            let (records, failures) = (Arc::clone(&self.records), Arc::clone(&self.failures));
            let (connections, disconnects) = (Arc::clone(&self.connections), Arc::clone(&self.disconnects));
            let deadline = clock.instant() + patience;
            async move {
                let asked_at = clock.instant();
                match tenant.user(&subject, priority, deadline).await {
                    Ok(user) => {
                        let previous = records.get(&subject);
                        let read = asked_at..clock.instant();
                        let mut record = Record::new(user, &subject, &connections, previous.as_deref(), read);
                        disconnects.apply(&mut record).await;
                        let record = Arc::new(record);
                        records.insert(subject, Arc::clone(&record));
                        metrics.tokens_held(records.count());
                        Ok(record)
                    }
                    Err(error) => {
                        let failure = Arc::new(Failure { at: clock.instant(), patience, error, rest: FAILURE_REST });
                        failures.insert(subject, Arc::clone(&failure));
                        Err(failure)
                    }
                }
            }
        })
    }
}
