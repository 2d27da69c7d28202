//! One suite for all stores: what holds for one holds for the others.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AnyConnection, Connection as _};

use super::*;
use crate::config::StorePlace;
use crate::secret::Secret;

mod damage;
mod files;
mod outage;

#[path = "../../../tests/it/support/postgres.rs"]
mod postgres;

use postgres::Postgres;

const FIRST: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECOND: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn settings(place: &StorePlace, keys: &[&str]) -> config::Store {
    config::Store { place: place.clone(), keys: keys.iter().map(|key| Secret::new(*key)).collect() }
}

/// A new file that was served from.
async fn file() -> StorePlace {
    let place = StorePlace::Sqlite(folder().join("grants.db"));
    drop(Store::open(&settings(&place, &[FIRST]), Purpose::Serve, &Metrics::new()).await.unwrap());
    place
}

fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("idp-proxy-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn database() -> StorePlace {
    StorePlace::Postgres(Secret::new(Postgres::shared().database()))
}

async fn open(place: &StorePlace, keys: &[&str]) -> Result<Store, OpenError> {
    let purpose = match place {
        StorePlace::Sqlite(_) => Purpose::Tend,
        StorePlace::Postgres(_) => Purpose::Serve,
    };
    Store::open(&settings(place, keys), purpose, &Metrics::new()).await
}

/// Two handles to one store, as two processes have them where there can be two.
async fn pair(place: Option<StorePlace>) -> (Store, Store) {
    let Some(place) = place else {
        let store = Store::memory(&Clock::system(), 1000);
        return (store.clone(), store);
    };
    (open(&place, &[FIRST]).await.unwrap(), open(&place, &[FIRST]).await.unwrap())
}

fn key(subject: &str, connection: &str) -> Key {
    let part = |text: &str| Arc::from(text);
    Key {
        tenant: part("acme"),
        subject: part(subject),
        connection: part(connection),
        account: part("1"),
        audience: part(""),
    }
}

fn row(generation: u64, content: &str) -> Row {
    Row { generation, content: content.as_bytes().to_vec() }
}

/// Each promise as a test of its own for each store.
macro_rules! for_every_store {
    ($($promise:ident)*) => {
        mod memory_keeps_the_promise {
            $(#[tokio::test(flavor = "multi_thread")] async fn $promise() { super::$promise(super::pair(None).await).await; })*
        }
        mod sqlite_keeps_the_promise {
            $(#[tokio::test(flavor = "multi_thread")] async fn $promise() { super::$promise(super::pair(Some(super::file().await)).await).await; })*
        }
        mod postgres_keeps_the_promise {
            $(#[tokio::test(flavor = "multi_thread")] async fn $promise() { super::$promise(super::pair(Some(super::database())).await).await; })*
        }
    };
}

for_every_store! {
    of_many_writers_one_wins_each_generation
    what_was_written_by_one_is_read_by_the_other
    a_lease_is_one_owners_until_it_runs_out_or_is_given_back
    turns_are_spaced_for_the_whole_fleet
    rows_are_listed_page_by_page_and_forgotten_by_subject_and_connection
    a_change_is_heard_of
}

async fn of_many_writers_one_wins_each_generation((one, other): (Store, Store)) {
    let key = key("alice", "github");
    for generation in 1..=5_u64 {
        let swap = |writer: usize| {
            let (store, key) = (if writer.is_multiple_of(2) { one.clone() } else { other.clone() }, key.clone());
            tokio::spawn(async move {
                store.swap(&key, generation - 1, &row(generation, &format!("by {writer}"))).await.unwrap()
            })
        };
        let swaps: Vec<_> = (0..50).map(swap).collect();
        let mut won = Vec::new();
        for (writer, swap) in swaps.into_iter().enumerate() {
            if swap.await.unwrap() {
                won.push(writer);
            }
        }
        assert_eq!(won.len(), 1, "generation {generation}");
        let held = other.read(&key).await.unwrap().unwrap();
        assert_eq!(held, row(generation, &format!("by {}", won[0])));
    }
}

async fn what_was_written_by_one_is_read_by_the_other((one, other): (Store, Store)) {
    let key = key("auth0|a/b?ü\"'", "github");
    assert_eq!(other.read(&key).await.unwrap(), None);
    assert!(one.swap(&key, 0, &row(1, "first")).await.unwrap());
    assert!(!other.swap(&key, 0, &row(1, "also first")).await.unwrap());
    assert!(!other.swap(&key, 2, &row(3, "out of turn")).await.unwrap());
    assert!(other.swap(&key, 1, &row(2, "second")).await.unwrap());
    assert_eq!(one.read(&key).await.unwrap(), Some(row(2, "second")));
}

async fn a_lease_is_one_owners_until_it_runs_out_or_is_given_back((one, other): (Store, Store)) {
    let (short, long) = (Duration::from_millis(300), Duration::from_secs(60));
    assert!(one.lease("grant", "a", short).await.unwrap());
    assert!(!other.lease("grant", "b", long).await.unwrap());
    assert!(one.lease("grant", "a", short).await.unwrap(), "its owner may extend it");
    other.release("grant", "b").await.unwrap();
    assert!(!other.lease("grant", "b", long).await.unwrap(), "only its owner gives it back");
    tokio::time::sleep(short * 2).await;
    assert!(other.lease("grant", "b", long).await.unwrap(), "it has run out");
    assert!(!one.lease("grant", "a", long).await.unwrap());
    other.release("grant", "b").await.unwrap();
    assert!(one.lease("grant", "a", long).await.unwrap());
    assert!(other.lease("another grant", "b", long).await.unwrap());
}

async fn turns_are_spaced_for_the_whole_fleet((one, other): (Store, Store)) {
    let (interval, horizon) = (Duration::from_millis(500), Duration::from_secs(60));
    let mut pauses = Vec::new();
    for round in 0..6 {
        let store = if round % 2 == 0 { &one } else { &other };
        pauses.push(store.turn("budget", interval, horizon).await.unwrap().unwrap());
    }
    assert_eq!(pauses[0], Duration::ZERO);
    for (index, pause) in (0..).zip(&pauses) {
        assert!(*pause <= interval * index, "{pauses:?}");
    }
    assert!(pauses[5] > interval * 3, "{pauses:?}");
    assert_eq!(one.turn("budget", interval, Duration::from_millis(10)).await.unwrap(), None);
    let next = other.turn("budget", interval, horizon).await.unwrap().unwrap();
    assert!(next <= interval * 6, "what was not taken is not gone: {next:?}");
    one.pause("budget", Duration::from_secs(30)).await.unwrap();
    let paused = other.turn("budget", interval, horizon).await.unwrap().unwrap();
    assert!(paused > Duration::from_secs(29), "{paused:?}");
    assert_eq!(other.turn("another budget", interval, horizon).await.unwrap(), Some(Duration::ZERO));
}

async fn rows_are_listed_page_by_page_and_forgotten_by_subject_and_connection((one, other): (Store, Store)) {
    let (mut keys, before) = (BTreeSet::new(), Clock::system().now().minus(Duration::from_secs(60)));
    for subject in ["a", "B", "c"] {
        for connection in ["github", "google"] {
            let key = key(subject, connection);
            assert!(one.swap(&key, 0, &row(1, subject)).await.unwrap());
            keys.insert(key);
        }
    }
    let (mut listed, mut last) = (Vec::new(), None);
    loop {
        let page = other.list(last.as_ref(), 4).await.unwrap();
        let Some(entry) = page.last() else { break };
        last = Some(entry.key.clone());
        assert!(
            page.iter().all(|entry| entry.row.as_ref().is_ok_and(|row| row.generation == 1) && entry.updated > before)
        );
        listed.extend(page.into_iter().map(|entry| entry.key));
    }
    assert_eq!(listed, keys.into_iter().collect::<Vec<_>>());
    assert_eq!(other.forget(Some("a"), None).await.unwrap(), 2);
    assert_eq!(other.forget(Some("B"), Some("google")).await.unwrap(), 1);
    assert_eq!(other.forget(None, Some("github")).await.unwrap(), 2);
    let left: Vec<_> = one.list(None, 10).await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(left, [key("c", "google")]);
}

async fn a_change_is_heard_of((one, other): (Store, Store)) {
    let (mut here, mut there) = (one.changes(), other.changes());
    let key = key("alice", "github");
    // Hints may be lost while listening begins, so it is written until one is heard.
    let mut generation = 0;
    let heard = async {
        loop {
            tokio::select! {
                news = here.recv() => return news.unwrap(),
                news = there.recv() => return news.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    generation += 1;
                    assert!(one.swap(&key, generation - 1, &row(generation, "news")).await.unwrap());
                }
            }
        }
    };
    assert_eq!(*tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap(), key);
}

/// What an intruder or a failing disk could do to the rows.
async fn tamper(place: &StorePlace, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connect(place).await).await.unwrap();
}

/// A connection past the store.
async fn connect(place: &StorePlace) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = match place {
        StorePlace::Sqlite(path) => format!("sqlite:{}", path.display()),
        StorePlace::Postgres(url) => url.expose().to_owned(),
    };
    AnyConnection::connect(&url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_refused_and_change_nothing() {
    for place in [file().await, database()] {
        let store = open(&place, &[FIRST]).await.unwrap();
        assert!(store.swap(&key("a", "github"), 0, &row(1, "mine")).await.unwrap());
        assert!(matches!(open(&place, &[SECOND]).await, Err(OpenError::WrongKeys)));
        assert!(matches!(open(&place, &["c2hvcnQ="]).await, Err(OpenError::BadKey)));
        assert_eq!(store.read(&key("a", "github")).await.unwrap(), Some(row(1, "mine")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_without_a_stop() {
    for place in [file().await, database()] {
        let old = open(&place, &[FIRST]).await.unwrap();
        let key = key("a", "github");
        assert!(old.swap(&key, 0, &row(1, "mine")).await.unwrap());
        let both = open(&place, &[SECOND, FIRST]).await.unwrap();
        assert_eq!(both.read(&key).await.unwrap(), Some(row(1, "mine")));
        assert_eq!(both.rekey().await.unwrap(), 1);
        assert_eq!(both.rekey().await.unwrap(), 0);
        // Another replica does not have the new key yet: it keeps its hands off.
        assert!(matches!(old.read(&key).await, Err(StoreError::UnknownKey)));
        let new = open(&place, &[SECOND]).await.unwrap();
        assert_eq!(new.read(&key).await.unwrap(), Some(row(1, "mine")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_version_are_left_alone() {
    for place in [file().await, database()] {
        drop(open(&place, &[FIRST]).await.unwrap());
        tamper(&place, "INSERT INTO versions (version) VALUES (99)").await;
        assert!(matches!(open(&place, &[FIRST]).await, Err(OpenError::Newer { found: 99, .. })));
    }
}

#[tokio::test]
async fn memory_holds_no_more_than_its_bound_and_forgets_what_was_not_written_for_longest() {
    let store = Store::memory(&Clock::system(), 10);
    let (used, first) = (key("used", "github"), key("0", "github"));
    for number in 0..30_u64 {
        assert!(store.swap(&key(&format!("{number}"), "github"), 0, &row(1, "once")).await.unwrap());
        assert!(store.swap(&used, number, &row(number + 1, "again and again")).await.unwrap());
        assert!(store.list(None, 100).await.unwrap().len() <= 10);
    }
    assert_eq!(store.read(&used).await.unwrap().unwrap().generation, 30);
    assert_eq!(store.read(&first).await.unwrap(), None);
    assert!(store.swap(&first, 0, &row(1, "begun anew")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_ran_out_are_swept() {
    for place in [file().await, database()] {
        let store = open(&place, &[FIRST]).await.unwrap();
        for number in 0..200 {
            assert!(store.lease(&format!("grant {number}"), "who is no more", Duration::ZERO).await.unwrap());
        }
        assert!(store.lease("grant", "who is there", Duration::from_secs(60)).await.unwrap());
        let mut left = 200;
        for _ in 0..100 {
            left = sqlx::query("SELECT name FROM leases").fetch_all(&mut connect(&place).await).await.unwrap().len();
            if left < 100 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(left < 100, "{left} left");
        assert!(!store.lease("grant", "somebody else", Duration::ZERO).await.unwrap());
    }
}
