//! A process is killed again and again, at any moment. That can lose the answers to the renewals that it had under way,
//! and nothing else can: whoever was not hit so is served to the end.
//!
//! What was lost is told by two who are not the proxy. The judge says when it has done the last renewal of an account that
//! the killed process asked for, and the database when the account's record was written last. Where that was earlier, the
//! successor is lost.

use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row as _};

use super::*;
use crate::support::child::Signal;

const PATH: &str = "/proxy/judge/me";
/// The judge's doors: that of the process that is killed, and that of its neighbour.
const VICTIM: usize = 0;
const NEIGHBOUR: usize = 1;
/// Between two kills.
const EVERY: Duration = Duration::from_millis(2800);
/// What a dead process leaves behind: its lease covers two calls of three seconds and five for the store, and callers who
/// wait for its end are refused and come again.
const AFTERMATH: Duration = Duration::from_secs(11 + 5);
/// How many calls a second are served on average, at the least.
const SERVED_MIN: u64 = 50;
/// A new process fetches the tenant's keys first.
const START: Duration = Duration::from_secs(5);

/// Where the processes keep their grants.
enum Place {
    File(String),
    Database(String),
}

/// A row's subject and when it was written, in microseconds. A renewal under way holds a lease that names its subject.
const WRITTEN: &str = "SELECT subject, updated FROM grants";
const LEASES: &str = "SELECT name FROM leases";

impl Place {
    fn url(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:{path}"),
            Self::Database(url) => url.clone(),
        }
    }

    /// When each account's record was written, and what is leased.
    async fn look(&self) -> (Vec<(String, i64)>, Vec<String>) {
        macro_rules! look {
            ($connection:ty, $address:expr) => {{
                let mut connection = <$connection>::connect($address).await.unwrap();
                let written = sqlx::query(WRITTEN).fetch_all(&mut connection).await.unwrap();
                let leases = sqlx::query(LEASES).fetch_all(&mut connection).await.unwrap();
                let written = written.iter().map(|row| (row.get(0), row.get(1))).collect();
                (written, leases.iter().map(|row| row.get(0)).collect())
            }};
        }
        match self {
            Self::File(path) => look!(SqliteConnection, path),
            Self::Database(url) => look!(PgConnection, url),
        }
    }
}

/// What a kill has done.
struct Kill {
    at: Instant,
    /// When there was a process again.
    back: Instant,
    /// Who had a renewal under way.
    hit: BTreeSet<usize>,
    /// Whose renewal was done at the provider, and its successor not written.
    lost: BTreeSet<usize>,
}

impl Kill {
    /// What has become of everybody's renewals, after the process has ended.
    async fn examine(at: Instant, judge: &Judge, place: &Place) -> Self {
        let mut report = judge.report().await;
        while report.doors[VICTIM].open > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            report = judge.report().await;
        }
        let (written, leases) = place.look().await;
        let written = |user: usize| {
            let found = written.iter().find(|(subject, _)| *subject == self::subject(user));
            found.map_or(0, |(_, micros)| u64::try_from(*micros).unwrap())
        };
        let is_lost = |user: &usize| {
            let done = report.doors[VICTIM].done.get(&format!("account-{user}"));
            // The judge counts milliseconds: what was written within that one may have been written before.
            done.is_some_and(|millis| written(*user) < (millis + 1) * 1000)
        };
        let is_hit = |user: &usize| leases.iter().any(|name| name.contains(&format!("\"{}\"", subject(*user))));
        Self { at, back: now(), hit: (0..USERS).filter(is_hit).collect(), lost: (0..USERS).filter(is_lost).collect() }
    }

    /// Whether it excuses a refusal.
    fn excuses(&self, refusal: &Refusal) -> bool {
        let is_hit = self.hit.contains(&refusal.user) && refusal.at < self.at + AFTERMATH;
        let is_new = refusal.text.contains("tenant_unavailable") && refusal.at < self.back + START;
        self.at <= refusal.at && (is_hit || is_new)
    }
}

/// Processes of which one is killed again and again.
struct Storm {
    judge: Judge,
    world: World,
    place: Place,
    victim: Child,
    neighbour: Option<Child>,
    kills: Vec<Kill>,
}

impl Storm {
    async fn start(place: Place, has_neighbour: bool) -> Self {
        let judge = Judge::start(Habits { accounts: USERS, seconds: LIFE.as_secs(), spare: 1, doors: 2, latency: 60 });
        let world = world_of(&judge).await;
        let victim = serve((&world, &judge, &place), VICTIM, "127.0.0.1:0").await;
        let neighbour = match has_neighbour {
            true => Some(serve((&world, &judge, &place), NEIGHBOUR, "127.0.0.1:0").await),
            false => None,
        };
        Self { judge, world, place, victim: victim.ready().await, neighbour, kills: Vec::new() }
    }

    fn addresses(&self) -> Vec<String> {
        let neighbour = self.neighbour.as_ref().map(|neighbour| neighbour.proxy.clone());
        [self.victim.proxy.clone()].into_iter().chain(neighbour).collect()
    }

    /// The first kill waits for a renewal to be under way; the others come when they come.
    async fn kill(&mut self) {
        while self.kills.is_empty() && self.judge.report().await.doors[VICTIM].open == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let at = now();
        self.victim.signal(Signal::KILL);
        self.victim.exit().await;
        let mut kill = Kill::examine(at, &self.judge, &self.place).await;
        let address = self.victim.proxy.clone();
        self.victim = serve((&self.world, &self.judge, &self.place), VICTIM, &address).await;
        kill.back = now();
        self.kills.push(kill);
    }

    async fn rage(mut self) {
        let lasts = storm();
        let until = now() + lasts;
        let callers = Callers::start(&self.world, &self.addresses(), PATH, until);
        while now() + EVERY + LIFE < until {
            tokio::time::sleep(EVERY).await;
            self.kill().await;
        }
        let seen = callers.end().await;
        assert!(self.kills.len() >= 3, "{} kills", self.kills.len());
        assert!(self.kills.iter().any(|kill| !kill.hit.is_empty()), "no kill found a renewal under way");
        let lost: BTreeSet<usize> = self.kills.iter().flat_map(|kill| &kill.lost).copied().collect();
        self.assert_blameless(&lost, &seen).await;
        let per_second = seen.served / lasts.as_secs();
        assert!(per_second >= SERVED_MIN, "{per_second} served in a second");
        self.assert_served(&lost).await;
    }

    /// Nobody is sent away and nobody is refused but for what a kill has done to them.
    async fn assert_blameless(&self, lost: &BTreeSet<usize>, seen: &Seen) {
        let report = self.judge.report().await;
        let revoked: BTreeSet<usize> =
            (0..USERS).filter(|user| report.revoked.contains(&format!("account-{user}"))).collect();
        assert!(revoked.is_subset(lost), "{revoked:?} were revoked, and the answers to {lost:?} lost: {report:#?}");
        let sent_away: BTreeMap<_, _> = seen.reconnect.iter().filter(|(user, _)| !lost.contains(user)).collect();
        assert!(sent_away.is_empty(), "sent away, and the answers to {lost:?} lost: {sent_away:#?}");
        assert!(report.doors[NEIGHBOUR].gone.is_empty(), "who was not killed gave renewals up: {report:#?}");
        let is_excused = |refusal: &&Refusal| {
            matches!(refusal.status, 502..=504)
                && refusal.has_pause
                && self.kills.iter().any(|kill| kill.excuses(refusal))
        };
        let unexcused: Vec<_> = seen.refusals.iter().filter(|refusal| !is_excused(refusal)).collect();
        assert!(unexcused.is_empty(), "{} of {} refusals: {unexcused:#?}", unexcused.len(), seen.refusals.len());
    }

    /// When the last lease of the dead has run out, whoever lost no answer is served by every process.
    async fn assert_served(&self, lost: &BTreeSet<usize>) {
        for (user, address) in (0..USERS).flat_map(|user| self.addresses().into_iter().map(move |to| (user, to))) {
            let token = self.world.tenant.token_for(&subject(user));
            let mut answer = ask(&address, PATH, &token).await.unwrap();
            let begun = now();
            while answer.0 >= 500 && now() - begun < AFTERMATH * 2 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                answer = ask(&address, PATH, &token).await.unwrap();
            }
            let (status, text) = answer;
            let is_told = status == 403 && text.contains("reconnect_required") && lost.contains(&user);
            assert!(status == 200 || is_told, "{user}: {text}");
        }
    }
}

async fn serve((world, judge, place): (&World, &Judge, &Place), door: usize, listen: &str) -> Child {
    let config = world.proxy_toml(listen, &place.url(), KEY) + &judge.toml(door);
    let patience = "\n[limits]\ntenant_timeout = \"3s\"\ntoken_wait = \"4s\"\n";
    Child::serve(&(config + patience), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_again_and_again_costs_no_grant_but_by_a_lost_answer() {
    Storm::start(Place::Database(Postgres::shared().database()), true).await.rage().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_on_a_file_survives_being_killed_as_well() {
    let file = child::folder().join("grants.db");
    Storm::start(Place::File(file.display().to_string()), false).await.rage().await;
}
