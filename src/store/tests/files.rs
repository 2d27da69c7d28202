//! The file of a store: who makes it, who may read it, who may serve from it; and the address of a database.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn place(path: &Path) -> StorePlace {
    StorePlace::Sqlite(path.to_owned())
}

async fn serve(path: &Path) -> Result<Store, OpenError> {
    Store::open(&settings(&place(path), &[FIRST]), Purpose::Serve, &Metrics::new()).await
}

fn mode(path: &Path, suffix: &str) -> u32 {
    let path = PathBuf::from(format!("{}{suffix}", path.display()));
    std::fs::metadata(&path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_its_owners_alone_and_served_from_by_one() {
    let path = folder().join("grants.db");
    let serving = serve(&path).await.unwrap();
    assert!(serving.swap(&key("a", "github"), 0, &row(1, "mine")).await.unwrap());
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&path, suffix), 0o600, "{suffix}");
    }
    assert!(matches!(serve(&path).await, Err(OpenError::InUse(_))));
    let tending = open(&place(&path), &[FIRST]).await.unwrap();
    assert_eq!(tending.read(&key("a", "github")).await.unwrap(), Some(row(1, "mine")));
    drop(serving);
    drop(serve(&path).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_could_read_is_taken_from_them() {
    let path = folder().join("grants.db");
    let first = serve(&path).await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", path.display());
        std::fs::set_permissions(path, Permissions::from_mode(0o664)).unwrap();
    }
    let tending = open(&place(&path), &[FIRST]).await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&path, suffix), 0o600, "{suffix}");
    }
    drop((first, tending));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_the_one_store_and_its_one_lock() {
    let folder = folder();
    let (path, link) = (folder.join("grants.db"), folder.join("link.db"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let serving = serve(&link).await.unwrap();
    assert!(matches!(serve(&path).await, Err(OpenError::InUse(_))));
    assert!(serving.swap(&key("a", "github"), 0, &row(1, "mine")).await.unwrap());
    let tending = open(&place(&path), &[FIRST]).await.unwrap();
    assert_eq!(tending.read(&key("a", "github")).await.unwrap(), Some(row(1, "mine")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_may_have_any_name() {
    let path = folder().join("100% sure? #1 ü").join("grants.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let serving = serve(&path).await.unwrap();
    assert!(serving.swap(&key("a", "github"), 0, &row(1, "mine")).await.unwrap());
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_after_a_store_makes_none() {
    let path = folder().join("mistyped.db");
    let missing = open(&place(&path), &[FIRST]).await.unwrap_err();
    assert!(matches!(missing, OpenError::Missing(_)) && missing.to_string().contains("mistyped.db"), "{missing}");
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(open(&place(&path), &[FIRST]).await, Err(OpenError::Missing(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    std::fs::write(&path, "this is no database, but a text of some length ".repeat(100)).unwrap();
    let text = open(&place(&path), &[FIRST]).await.unwrap_err();
    assert!(text.to_string().contains("mistyped.db cannot be opened"), "{text}");
    let empty = database();
    let refused = Store::open(&settings(&empty, &[FIRST]), Purpose::Tend, &Metrics::new()).await;
    assert!(matches!(refused, Err(OpenError::NotPrepared)));
    drop(open(&empty, &[FIRST]).await.unwrap());
    assert!(Store::open(&settings(&empty, &[FIRST]), Purpose::Tend, &Metrics::new()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_told_and_left_as_it_is() {
    let path = folder().join("grants.db");
    drop(serve(&path).await.unwrap());
    tamper(&place(&path), "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(100) {
        *byte ^= 0x5a;
    }
    std::fs::write(&path, &bytes).unwrap();
    let refused = serve(&path).await.unwrap_err();
    assert!(refused.to_string().contains("grants.db cannot be opened"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_a_parameter_that_nobody_knows_is_refused_and_not_shown() {
    let database = Postgres::shared().database();
    for (parameter, is_known) in [
        ("?application_name=proxy&sslmode=prefer", true),
        ("?sslmod=verify-full", false),
        ("?hunter2@db:5432/x", false),
    ] {
        let place = StorePlace::Postgres(Secret::new(format!("{database}{parameter}")));
        match open(&place, &[FIRST]).await {
            Ok(_) => assert!(is_known, "{parameter}"),
            Err(error) => {
                let told = error.to_string();
                assert!(!is_known && told.contains("is not known") && !told.contains("hunter2"), "{parameter}: {told}");
            }
        }
    }
}
