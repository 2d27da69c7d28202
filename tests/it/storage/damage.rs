//! Records that nothing can be made of, and a disk that is full: a reason is told, nothing is guessed or overwritten, and
//! service returns.

use std::process::Command;

use idp_proxy::command::dev::provider::RefreshToken;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sqlx::{AnyConnection, Row as _};

use super::*;
use crate::support::child::{BINARY, folder};

const PATH: &str = "/proxy/bitbucket/user";
/// Whose record is damaged, copied over from another's, sealed with a key that nobody has, and well.
const DAMAGED: &str = "auth0|damaged";
const FOREIGN: &str = "auth0|foreign";
const UNKNOWN: &str = "auth0|unknown";
const WELL: &str = "auth0|well";

/// In a sealed record: where the id of its key is, and a byte of its text.
const KEY_ID: usize = 1;
const TEXT: usize = 40;

struct Database(AnyConnection);

impl Database {
    async fn open(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        Self(AnyConnection::connect(url).await.unwrap())
    }

    async fn sealed(&mut self, subject: &str) -> (i64, Vec<u8>) {
        let query = sqlx::query("SELECT generation, sealed FROM grants WHERE subject = $1").bind(subject.to_owned());
        let row = query.fetch_one(&mut self.0).await.unwrap();
        (row.get(0), row.get(1))
    }

    async fn put(&mut self, subject: &str, (generation, sealed): (i64, Vec<u8>)) {
        let update = sqlx::query("UPDATE grants SET generation = $1, sealed = $2 WHERE subject = $3");
        let update = update.bind(generation).bind(sealed).bind(subject.to_owned()).execute(&mut self.0).await;
        assert_eq!(update.unwrap().rows_affected(), 1);
    }

    async fn flip(&mut self, subject: &str, place: usize) {
        let (generation, mut sealed) = self.sealed(subject).await;
        sealed[place] ^= 1;
        self.put(subject, (generation, sealed)).await;
    }

    /// Whose records were set aside, and why.
    async fn set_aside(&mut self) -> Vec<(String, String)> {
        let rows = sqlx::query("SELECT subject, reason FROM set_aside ORDER BY subject").fetch_all(&mut self.0).await;
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged_or_anothers_is_set_aside_and_one_of_an_unknown_key_is_left_alone() {
    for store in [format!("sqlite:{}", folder().join("grants.db").display()), Postgres::shared().database()] {
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        for (number, subject) in [DAMAGED, FOREIGN, UNKNOWN, WELL].into_iter().enumerate() {
            world.tenant.add_user(User::new(subject).with(Identity::new("bitbucket", number as u64 + 10)));
            assert!(world.tenant.sign_in(subject, "bitbucket"));
        }
        let config = world.proxy_toml("127.0.0.1:0", &store, KEY);
        let ask = async |child: &Child, subject: &str| child.get(&world.tenant.token_for(subject), PATH).await;
        let mut child = Child::serve(&config, &[]).await.ready().await;
        for subject in [DAMAGED, FOREIGN, UNKNOWN, WELL] {
            assert_eq!(ask(&child, subject).await.status, 200);
        }
        assert_eq!(child.stop().await, Some(0));

        let mut database = Database::open(&store).await;
        database.flip(DAMAGED, TEXT).await;
        let anothers = database.sealed(WELL).await;
        database.put(FOREIGN, anothers).await;
        database.flip(UNKNOWN, KEY_ID).await;
        let before = database.sealed(UNKNOWN).await;

        let mut child = Child::serve(&config, &[]).await.ready().await;
        for subject in [DAMAGED, FOREIGN, WELL] {
            let answer = ask(&child, subject).await;
            assert_eq!(answer.status, 200, "{subject} is not served from what the tenant holds: {}", answer.text());
        }
        for _ in 0..2 {
            let answer = ask(&child, UNKNOWN).await;
            refused(&answer, 503, "store_unavailable");
        }
        assert_eq!(database.sealed(UNKNOWN).await, before, "it was overwritten");
        let reason = "it was changed, or belongs to another place";
        let aside = [DAMAGED, FOREIGN].map(|subject| (subject.to_owned(), reason.to_owned()));
        assert_eq!(database.set_aside().await, aside);
        assert_eq!(child.stop().await, Some(0));
        let log = child.log();
        let told: Vec<_> = log.lines().filter(|line| line.contains("a stored record was set aside")).collect();
        assert!(told.len() == 2 && told.iter().all(|line| line.contains(reason)), "{log}");
        assert!(log.contains("sealed with a key that is not"), "{log}");
        assert_eq!(world.bitbucket.reuses(), 0);

        // Somebody has the key after all.
        database.flip(UNKNOWN, KEY_ID).await;
        let child = Child::serve(&config, &[]).await.ready().await;
        for subject in [DAMAGED, FOREIGN, UNKNOWN, WELL] {
            assert_eq!(ask(&child, subject).await.status, 200, "{subject}");
        }
    }
}

/// How large the process's files may become. It was started so that it is told and not killed.
fn disk(child: &Child, room: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: room, maximum: None }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_what_is_held_is_served_and_no_refresh_token_is_spent_that_is_replaced() {
    let life = Duration::from_secs(1);
    let bitbucket = ProviderSettings { behaviour: Behaviour::Rotates { life }, ..WorldSettings::default().bitbucket };
    let hour = Duration::from_secs(3600);
    let keeps = Behaviour::Expires { life: hour, refresh_token: RefreshToken::Always };
    let google = ProviderSettings { behaviour: keeps, ..WorldSettings::default().google };
    let settings = WorldSettings { bitbucket, google, ..WorldSettings::default() };
    let world = World::start(Clock::system(), settings).await.unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve", BINARY]);
    let config = world.proxy_toml("127.0.0.1:0", "sqlite:grants.db", KEY);
    let child = Child::serve_by(command, &config).await.ready().await;
    let (alice, bob) = (world.alice(), world.bob());
    for provider in ["google", "bitbucket"] {
        assert_eq!(get(&child.proxy, &alice, provider).await.0, 200);
    }
    tokio::time::sleep(life).await;

    disk(&child, Some(0));
    let spent = world.bitbucket.calls(Side::Token);
    for _ in 0..2 {
        refused(&child.get(&alice, PATH).await, 503, "store_unavailable");
        assert_eq!(get(&child.proxy, &alice, "google").await.0, 200, "held in memory");
        assert_eq!(get(&child.proxy, &alice, "github").await.0, 200, "needs no store");
        // Callers share a failure for a second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    assert_eq!(world.bitbucket.calls(Side::Token), spent, "a refresh token was sent whose successor cannot be written");
    assert_eq!(get(&child.proxy, &bob, "google").await.0, 200, "its refresh token is never replaced");
    let token = world.tenant.user(ALICE).unwrap().identity("google-oauth2").unwrap().access_token.clone().unwrap();
    world.google.kill_access_token(&token);
    assert_eq!(get(&child.proxy, &alice, "google").await.0, 200, "renewed, and kept in memory");

    disk(&child, None);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..2 {
        assert_eq!(get(&child.proxy, &alice, "bitbucket").await.0, 200);
        assert_eq!(get(&child.proxy, &bob, "google").await.0, 200);
        tokio::time::sleep(life).await;
    }
    assert_eq!(world.bitbucket.reuses(), 0);
}
