//! A database that is gone or hangs is an error, soon; and when it is back, so is the store.

use std::process::Command;
use std::time::Instant;

use super::*;

/// What `work` comes to, and how long it takes.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun: Instant = Clock::system().instant();
    (work.await, Clock::system().instant() - begun)
}

/// The moment that the system itself may add to what a store may take.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_up_and_is_back_when_it_goes_on() {
    let server = Postgres::own();
    let place = StorePlace::Postgres(Secret::new(server.database()));
    let store = open(&place, &[FIRST]).await.unwrap();
    let key = key("a", "github");
    assert!(store.swap(&key, 0, &row(1, "before")).await.unwrap());
    server.freeze();
    // More than there are connections: none may be kept by a call that was given up.
    for _ in 0..2 {
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move { timed(store.read(&key)).await })
            })
            .collect();
        for call in calls {
            let (outcome, took) = call.await.unwrap();
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
            assert!(took < PATIENCE + SLACK, "{took:?}");
        }
    }
    let failure = store.swap(&key, 1, &row(2, "lost")).await.unwrap_err();
    assert_eq!(crate::telemetry::chain(&failure), "the store gives no answer: it did not answer within 3 s");
    assert!(store.ping().await.is_err());
    let (opened, took) = timed(open(&place, &[FIRST])).await;
    assert!(matches!(opened, Err(OpenError::Unavailable(_))));
    assert!(took < PATIENCE + SLACK, "{took:?}");
    server.thaw();
    let mut read = store.read(&key).await;
    for _ in 0..10 {
        if read.is_ok() {
            break;
        }
        read = store.read(&key).await;
    }
    assert_eq!(read.unwrap().unwrap().content.len(), "before".len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_an_error_soon_and_back_when_it_is() {
    let server = Postgres::own();
    let place = StorePlace::Postgres(Secret::new(server.database()));
    let (store, other) = pair(Some(place)).await;
    let key = key("a", "github");
    assert!(store.swap(&key, 0, &row(1, "before")).await.unwrap());
    server.stop();
    let (failure, took) = timed(store.read(&key)).await;
    assert!(matches!(failure, Err(StoreError::Unavailable(_))), "{failure:?}");
    assert!(took < PATIENCE + SLACK, "{took:?}");
    assert!(matches!(store.swap(&key, 1, &row(2, "lost")).await, Err(StoreError::Unavailable(_))));
    server.start();
    assert_eq!(store.read(&key).await.unwrap(), Some(row(1, "before")));
    // Who listens to the others hears them again.
    let (mut changes, mut generation) = (other.changes(), 1);
    let heard = async {
        while changes.try_recv().is_err() {
            generation += 1;
            assert!(store.swap(&key, generation - 1, &row(generation, "after")).await.unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_or_a_file_that_somebody_holds_is_given_up_for_certain() {
    for (place, hold) in
        [(file().await, "BEGIN IMMEDIATE"), (database(), "BEGIN; LOCK TABLE grants IN ACCESS EXCLUSIVE MODE")]
    {
        let store = open(&place, &[FIRST]).await.unwrap();
        let mut holds = connect(&place).await;
        sqlx::raw_sql(hold).execute(&mut holds).await.unwrap();
        let (failure, took) = timed(store.swap(&key("a", "github"), 0, &row(1, "held up"))).await;
        // The store itself said so: what it was asked will not be done later.
        assert!(matches!(failure, Err(StoreError::Unavailable(Outage::Failed(_)))), "{failure:?}");
        assert!(took < PATIENCE + SLACK, "{took:?}");
        sqlx::raw_sql("ROLLBACK").execute(&mut holds).await.unwrap();
        assert_eq!(store.read(&key("a", "github")).await.unwrap(), None);
        assert!(store.swap(&key("a", "github"), 0, &row(1, "through")).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_is_an_error_and_not_an_empty_store() {
    let place = database();
    let store = open(&place, &[FIRST]).await.unwrap();
    tamper(&place, "ALTER TABLE grants RENAME TO hidden").await;
    assert!(matches!(store.read(&key("a", "github")).await, Err(StoreError::Unavailable(_))));
    tamper(&place, "ALTER TABLE hidden RENAME TO grants").await;
    assert_eq!(store.read(&key("a", "github")).await.unwrap(), None);
    let nowhere = StorePlace::Postgres(Secret::new("postgres://postgres@127.0.0.1:1/none"));
    assert!(matches!(open(&nowhere, &[FIRST]).await, Err(OpenError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_the_server_does_not_commit_has_not_happened() {
    let place = database();
    let store = open(&place, &[FIRST]).await.unwrap();
    let key = key("a", "github");
    assert!(store.swap(&key, 0, &row(1, "kept")).await.unwrap());
    // Refuses when the transaction ends, after the statement has been carried out.
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$; \
                  CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON grants DEFERRABLE INITIALLY DEFERRED \
                  FOR EACH ROW EXECUTE FUNCTION refuse()";
    tamper(&place, refuse).await;
    assert!(store.swap(&key, 1, &row(2, "lost")).await.is_err());
    assert_eq!(store.read(&key).await.unwrap(), Some(row(1, "kept")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_insist_on_the_servers_certificate() {
    let server = Postgres::shared();
    let folder = std::env::temp_dir().join(format!("idp-proxy-roots-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let root = folder.join("root.pem");
    std::fs::write(&root, &server.certificate).unwrap();
    let by_number = server.database();
    let by_name = by_number.replace("127.0.0.1", "localhost");
    let insists = format!("sslmode=verify-full&sslrootcert={}", root.display());
    let place = |url: String| StorePlace::Postgres(Secret::new(url));
    let store = open(&place(format!("{by_name}?{insists}")), &[FIRST]).await.unwrap();
    assert!(store.swap(&key("a", "github"), 0, &row(1, "by TLS")).await.unwrap());
    let stranger = open(&place(format!("{by_name}?sslmode=verify-full")), &[FIRST]).await;
    assert!(stranger.is_err(), "the certificate is of no authority that is known");
    let misnamed = open(&place(format!("{by_number}?{insists}")), &[FIRST]).await;
    assert!(misnamed.is_err(), "the certificate is for another name");
    let _ = std::fs::remove_dir_all(folder);
}

/// The same file on a disk that is full: no file may grow, which is how the system says so to one process alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let key = |number: usize| key(&format!("{number}"), "github");
    let content = "x".repeat(100_000);
    // The process that has no room runs in the store's folder, which no other test does.
    let here = PathBuf::from("grants.db");
    if here.exists() {
        let store = open(&StorePlace::Sqlite(here), &[FIRST]).await.unwrap();
        let mut failed = 0;
        for number in 5..50 {
            failed += usize::from(store.swap(&key(number), 0, &row(1, &content)).await.is_err());
        }
        assert!(failed > 10, "{failed} failed");
        assert_eq!(store.read(&key(0)).await.unwrap(), Some(row(1, &content)));
        return;
    }
    let place = file().await;
    let StorePlace::Sqlite(path) = &place else { panic!() };
    let store = open(&place, &[FIRST]).await.unwrap();
    for number in 0..5 {
        assert!(store.swap(&key(number), 0, &row(1, &content)).await.unwrap());
    }
    drop(store);
    // Blocks of 512 bytes: some of what is to be written fits, and most of it does not.
    let mut full = Command::new("sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" --exact \"$1\" --nocapture"]);
    full.arg(std::env::current_exe().unwrap());
    full.arg("store::tests::outage::a_full_disk_is_an_error_and_loses_nothing").current_dir(path.parent().unwrap());
    let output = tokio::task::spawn_blocking(move || full.output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    let store = open(&place, &[FIRST]).await.unwrap();
    for number in 0..5 {
        assert_eq!(store.read(&key(number)).await.unwrap(), Some(row(1, &content)));
    }
    assert!(store.swap(&key(99), 0, &row(1, "there is room again")).await.unwrap());
}
