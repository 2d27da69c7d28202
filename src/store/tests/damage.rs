//! Nothing that lies in a database makes the proxy use a row for another's, or overwrite what it cannot read.

use sqlx::Row as _;

use super::*;

/// The first column of the first row that a query finds.
async fn found<T>(place: &StorePlace, query: &'static str) -> Option<T>
where
    T: for<'row> sqlx::Decode<'row, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    let mut connection = connect(place).await;
    sqlx::query(query).fetch_all(&mut connection).await.unwrap().first().map(|row| row.get(0))
}

/// How the database writes bytes.
fn bytes(place: &StorePlace, hex: &str) -> String {
    match place {
        StorePlace::Sqlite(_) => format!("X'{hex}'"),
        StorePlace::Postgres(_) => format!("'\\x{hex}'::bytea"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_anothers_place_or_put_back_or_damaged_is_set_aside() {
    for (place, cut) in [(file().await, "X'0102'"), (database(), "'\\x0102'")] {
        let store = open(&place, &[FIRST]).await.unwrap();
        for subject in ["a", "b", "c"] {
            assert!(store.swap(&key(subject, "github"), 0, &row(1, subject)).await.unwrap());
        }
        tamper(
            &place,
            "UPDATE grants SET sealed = (SELECT sealed FROM grants WHERE subject = 'a') WHERE subject = 'b'",
        )
        .await;
        tamper(&place, "UPDATE grants SET generation = 7 WHERE subject = 'c'").await;
        assert_eq!(store.read(&key("b", "github")).await.unwrap(), None);
        assert_eq!(store.read(&key("c", "github")).await.unwrap(), None);
        assert!(store.swap(&key("b", "github"), 0, &row(1, "begun anew")).await.unwrap());
        tamper(&place, &format!("UPDATE grants SET sealed = {cut} WHERE subject = 'a'")).await;
        assert_eq!(store.read(&key("a", "github")).await.unwrap(), None);
        assert_eq!(store.read(&key("b", "github")).await.unwrap(), Some(row(1, "begun anew")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_is_kept_with_its_reason_until_it_is_forgotten() {
    for place in [file().await, database()] {
        let store = open(&place, &[FIRST]).await.unwrap();
        let key = key("a", "github");
        assert!(store.swap(&key, 0, &row(7, "no record")).await.unwrap());
        store.set_aside(&key, 6, "of an earlier look").await.unwrap();
        assert_eq!(store.read(&key).await.unwrap(), Some(row(7, "no record")), "it has been written since");
        store.set_aside(&key, 7, "it is not a record").await.unwrap();
        assert_eq!(store.read(&key).await.unwrap(), None);
        assert_eq!(found::<String>(&place, "SELECT reason FROM set_aside").await.unwrap(), "it is not a record");
        assert!(store.swap(&key, 0, &row(8, "begun anew")).await.unwrap());
        store.set_aside(&key, 7, "it is not a record").await.unwrap();
        assert_eq!(store.read(&key).await.unwrap(), Some(row(8, "begun anew")));
        assert_eq!(store.forget(Some("a"), None).await.unwrap(), 2);
        assert_eq!(found::<String>(&place, "SELECT reason FROM set_aside").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_has_sealed_is_left_to_it() {
    for place in [file().await, database()] {
        let store = open(&place, &[FIRST]).await.unwrap();
        let key = key("a", "github");
        assert!(store.swap(&key, 0, &row(1, "old")).await.unwrap());
        let newer = bytes(&place, "02000000000000");
        tamper(&place, &format!("UPDATE grants SET sealed = {newer}")).await;
        let failure = store.read(&key).await.unwrap_err();
        assert!(failure.to_string().contains("written by a newer version"), "{failure}");
        assert!(!store.swap(&key, 0, &row(1, "in its place")).await.unwrap());
        // The keys that were in use so far may be needed for it still.
        let both = open(&place, &[SECOND, FIRST]).await.unwrap();
        assert!(both.rekey().await.is_err());
        assert!(open(&place, &[FIRST]).await.is_ok());
        assert_eq!(found::<Vec<u8>>(&place, "SELECT sealed FROM grants").await.unwrap(), [2, 0, 0, 0, 0, 0, 0]);
        tamper(&place, &format!("UPDATE marks SET sealed = {newer}")).await;
        let refused = open(&place, &[FIRST]).await.unwrap_err();
        assert!(refused.to_string().contains("written by a newer version"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_rests_in_clear() {
    let place = file().await;
    let StorePlace::Sqlite(path) = &place else { panic!() };
    let store = open(&place, &[FIRST]).await.unwrap();
    assert!(store.swap(&key("a", "github"), 0, &row(1, "gho_canary0123456789")).await.unwrap());
    for suffix in ["", "-wal"] {
        let written = std::fs::read(format!("{}{suffix}", path.display())).unwrap();
        assert!(!written.windows(6).any(|piece| piece == b"canary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_may_open_an_empty_database_at_once() {
    let place = database();
    let (one, other, third) = tokio::join!(open(&place, &[FIRST]), open(&place, &[FIRST]), open(&place, &[FIRST]));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(third.is_ok());
    assert!(one.swap(&key("a", "github"), 0, &row(1, "by one")).await.unwrap());
    assert_eq!(other.read(&key("a", "github")).await.unwrap(), Some(row(1, "by one")));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_rows_are_sealed_anew_and_forgotten() {
    const ROWS: usize = 1200;
    for place in [file().await, database()] {
        let store = open(&place, &[SECOND, FIRST]).await.unwrap();
        assert!(store.swap(&key("kept", "google"), 0, &row(1, "kept")).await.unwrap());
        for number in 0..ROWS {
            assert!(store.swap(&key(&format!("{number}"), "github"), 0, &row(1, "held")).await.unwrap());
        }
        let turned = open(&place, &[FIRST, SECOND]).await.unwrap();
        assert_eq!(turned.rekey().await.unwrap(), ROWS as u64 + 1);
        assert_eq!(turned.forget(None, Some("github")).await.unwrap(), ROWS as u64);
        assert_eq!(store.read(&key("kept", "google")).await.unwrap(), Some(row(1, "kept")));
    }
}
