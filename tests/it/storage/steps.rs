//! One renewal, and a process that is killed at each of its steps. Whoever comes next has a good token, or is told
//! clearly that a new sign-in is needed; never anything else.
//!
//! Each step on a file, and on a database that carries out what it was sent before its client died, or does not.

use idp_proxy::command::dev::fault::Fault;
use sqlx::{AnyConnection, Executor as _};

use super::*;
use crate::support::child::{eventually, folder};
use crate::support::relay::Relay;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    File,
    /// The server does not notice that its client has died, and carries on.
    Database,
    /// It ends its clients' statements with them.
    StrictDatabase,
}

/// What the next caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A good token, after one renewal in all, and no refresh token was spent twice.
    Served,
    /// The answer is lost, and it is said.
    Reconnect,
}

/// A process with a renewal ahead of it.
struct Ahead {
    place: Place,
    world: World,
    /// Between the process and the token endpoint.
    relay: Relay,
    config: String,
    store: String,
    child: Child,
}

impl Ahead {
    async fn start(place: Place) -> Self {
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        let relay = Relay::start(world.bitbucket.address()).await;
        let store = match place {
            Place::File => format!("sqlite:{}", folder().join("grants.db").display()),
            Place::Database | Place::StrictDatabase => Postgres::shared().database(),
        };
        let config = world.proxy_toml("127.0.0.1:0", &store, KEY) + "\n[limits]\ntenant_timeout = \"2s\"\n";
        let through = format!("http://{}/oauth/token", relay.address);
        let config = config.replace(&world.bitbucket.token_url(), &through);
        assert!(config.contains(&through));
        let child = Child::serve(&config, &[]).await.ready().await;
        assert_eq!(get(&child.proxy, &world.alice(), "bitbucket").await.0, 200);
        let token = world.tenant.user(ALICE).unwrap().identity("bitbucket").unwrap().access_token.clone().unwrap();
        world.bitbucket.kill_access_token(&token);
        Self { place, world, relay, config, store, child }
    }

    /// A call that needs the renewal.
    fn call(&self) {
        let (address, token) = (self.child.proxy.clone(), self.world.alice());
        tokio::spawn(async move {
            // The process is killed over it.
            let _ = tokio::spawn(async move { get(&address, &token, "bitbucket").await }).await;
        });
    }

    async fn database(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.store).await.unwrap()
    }

    async fn leases(&self) -> usize {
        let mut database = self.database().await;
        sqlx::query("SELECT name FROM leases WHERE name LIKE 'grant %'").fetch_all(&mut database).await.unwrap().len()
    }

    /// From now on records are written so slowly that the process is killed over it.
    async fn write_slowly(&self) {
        let slow = match self.place {
            // No statement of SQLite's waits. This one counts for ever.
            Place::File => {
                "CREATE VIEW slow AS WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) \
                 SELECT count(*) AS n FROM numbers; \
                 CREATE TRIGGER slow BEFORE UPDATE ON grants BEGIN SELECT n FROM slow; END"
            }
            Place::Database | Place::StrictDatabase => {
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$; \
                 CREATE TRIGGER slow BEFORE UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION slow()"
            }
        };
        self.database().await.execute(slow).await.unwrap();
    }

    /// Writes as before. The database waits for who is at it still.
    async fn write_fast(&self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let fast = match self.place {
            Place::File => "DROP TRIGGER IF EXISTS slow; DROP VIEW IF EXISTS slow",
            Place::Database | Place::StrictDatabase => {
                "DROP TRIGGER IF EXISTS slow ON grants; DROP FUNCTION IF EXISTS slow()"
            }
        };
        let mut database = self.database().await;
        if self.place == Place::StrictDatabase {
            database.execute(end).await.unwrap();
        }
        database.execute(fast).await.unwrap();
    }

    /// Waits until the provider has been asked.
    async fn asked(&self) {
        eventually(|| (self.world.bitbucket.calls(Side::Token) > 0).then_some(())).await.expect("nothing was sent");
    }

    /// Waits until the provider has renewed.
    async fn renewed(&self) {
        eventually(|| (self.world.bitbucket.refreshes() > 0).then_some(())).await.expect("nothing was renewed");
    }

    /// Waits until the lease is taken.
    async fn leased(&self) {
        for _ in 0..500 {
            if self.leases().await > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing was leased");
    }

    /// Kills the process in the middle of its renewal.
    async fn kill(mut self) -> Self {
        // What was seen to begin goes on.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(self.leases().await, 1, "{:?}: the renewal is not under way", self.place);
        self.child.signal(Signal::KILL);
        self.child.exit().await;
        self
    }

    /// Starts it anew, where all is well. What its callers get, once the dead one's lease has run out.
    async fn outcome(mut self) -> (Place, Outcome) {
        self.write_fast().await;
        self.relay.pass();
        self.world.bitbucket.heal();
        self.world.bitbucket.delay(Side::Token, Duration::ZERO);
        self.child = Child::serve(&self.config, &[]).await.ready().await;
        let mut answer = get(&self.child.proxy, &self.world.alice(), "bitbucket").await;
        for _ in 0..100 {
            // A refusal whose renewal failed is relayed; the next call says what it means.
            if answer.0 < 500 && answer.0 != 401 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer = get(&self.child.proxy, &self.world.alice(), "bitbucket").await;
        }
        let (reuses, renewals) = (self.world.bitbucket.reuses(), self.world.bitbucket.refreshes());
        match (answer.0, answer.1.as_str()) {
            (200, _) if (reuses, renewals) == (0, 1) => (self.place, Outcome::Served),
            (403, "reconnect_required") => (self.place, Outcome::Reconnect),
            other => panic!("{:?}: {other:?}, {renewals} renewals, {reuses} reuses", self.place),
        }
    }
}

/// What comes of `step` in all places.
async fn everywhere<F: Future<Output = Ahead>>(step: impl Fn(Ahead) -> F) -> [(Place, Outcome); 3] {
    let place = async |place| step(Ahead::start(place).await).await.outcome().await;
    let (file, database, strict) =
        tokio::join!(place(Place::File), place(Place::Database), place(Place::StrictDatabase));
    [file, database, strict]
}

const SERVED: [(Place, Outcome); 3] =
    [(Place::File, Outcome::Served), (Place::Database, Outcome::Served), (Place::StrictDatabase, Outcome::Served)];

#[tokio::test(flavor = "multi_thread")]
async fn when_the_lease_is_taken_and_the_mark_not_written() {
    let step = async |ahead: Ahead| {
        ahead.write_slowly().await;
        ahead.call();
        ahead.leased().await;
        let ahead = ahead.kill().await;
        assert_eq!(ahead.world.bitbucket.calls(Side::Token), 0, "sent before the mark was written");
        ahead
    };
    assert_eq!(everywhere(step).await, SERVED);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_was_sent_and_the_provider_has_not_done_it_yet() {
    let step = async |ahead: Ahead| {
        // The connection is closed before anything is done, but not before the process is dead.
        ahead.world.bitbucket.delay(Side::Token, Duration::from_millis(1500));
        ahead.world.bitbucket.fail(Side::Token, Fault::Reset.times(1));
        ahead.call();
        ahead.asked().await;
        let ahead = ahead.kill().await;
        assert_eq!(ahead.world.bitbucket.refreshes(), 0);
        ahead
    };
    assert_eq!(everywhere(step).await, SERVED);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_has_done_it_and_the_answer_is_on_its_way() {
    let step = async |ahead: Ahead| {
        ahead.relay.withhold();
        ahead.call();
        ahead.renewed().await;
        ahead.kill().await
    };
    let outcomes = everywhere(step).await;
    assert_eq!(outcomes.map(|(_, outcome)| outcome), [Outcome::Reconnect; 3], "a lost answer, and it is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_is_there_and_not_written_yet() {
    let step = async |ahead: Ahead| {
        ahead.world.bitbucket.delay(Side::Token, Duration::from_millis(700));
        ahead.call();
        ahead.asked().await;
        ahead.write_slowly().await;
        ahead.renewed().await;
        ahead.kill().await
    };
    let expected = [
        (Place::File, Outcome::Reconnect),
        (Place::Database, Outcome::Served),
        (Place::StrictDatabase, Outcome::Reconnect),
    ];
    assert_eq!(everywhere(step).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_has_refused_and_the_mark_is_taken_back() {
    let step = async |ahead: Ahead| {
        ahead.world.bitbucket.delay(Side::Token, Duration::from_millis(700));
        ahead.world.bitbucket.fail(Side::Token, Fault::Status(401, r#"{"error":"invalid_client"}"#.into()));
        ahead.call();
        ahead.asked().await;
        ahead.write_slowly().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        ahead.kill().await
    };
    assert_eq!(everywhere(step).await, SERVED);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_is_written() {
    let step = async |mut ahead: Ahead| {
        assert_eq!(get(&ahead.child.proxy, &ahead.world.alice(), "bitbucket").await.0, 200);
        assert_eq!(ahead.world.bitbucket.refreshes(), 1);
        ahead.child.signal(Signal::KILL);
        ahead.child.exit().await;
        ahead
    };
    assert_eq!(everywhere(step).await, SERVED);
}
