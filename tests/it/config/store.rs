//! `[store]`, and who needs it.

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn with(text: &str) -> String {
    format!("{MINIMAL}\n{text}\n")
}

#[test]
fn a_store_has_a_place_and_a_key() {
    let store = config(&with(&format!("[store]\nurl = \"sqlite:grants.db\"\nkeys = [\"{KEY}\"]"))).store.unwrap();
    assert_eq!(store.place, idp_proxy::config::StorePlace::Sqlite("grants.db".into()));
    assert_eq!(store.keys.len(), 1);
    let keys = format!("keys = [\"{KEY}\"]");
    for (text, fault) in [
        ("url = \"sqlite:grants.db\"".to_owned(), "missing key `keys` in [store]"),
        (keys.clone(), "missing key `url` in [store]"),
        (format!("url = \"mysql://x\"\n{keys}"), "`url` must be the address of a store"),
        ("url = \"sqlite:a.db\"\nkeys = [\"c2hvcnQ=\"]".to_owned(), "`keys` must be 32 bytes in base64 each"),
        ("url = \"sqlite:a.db\"\nkeys = []".to_owned(), "`keys` must have a key"),
        (format!("url = \"sqlite:a.db\"\nkeys = [\"{KEY}\", \"\"]"), "`keys[1]` is empty"),
    ] {
        assert_eq!(the_fault(&with(&format!("[store]\n{text}"))).message, fault, "{text}");
    }
}

#[test]
fn who_rotates_and_is_renewed_here_needs_a_store() {
    let bitbucket = "[providers.bitbucket]\nclient_id = \"a\"\nclient_secret = \"b\"";
    let fault = the_fault(&with(bitbucket));
    assert!(fault.message.contains("[providers.bitbucket] rotates its refresh tokens"), "{}", fault.message);
    let store = format!("[store]\nurl = \"sqlite:grants.db\"\nkeys = [\"{KEY}\"]\n{bitbucket}");
    assert!(config(&with(&store)).providers["bitbucket"].renewal.as_ref().unwrap().rotates);
    for (faulty, told) in [
        ("store = 1", 1),
        ("[store]\nurl = \"sqlite:grants.db\"", 1),
        ("[store]\nulr = \"sqlite:grants.db\"", 1),
        ("[store]\nurl = \"mysql://x\"\nkeys = []", 2),
        ("[store]\nurl \"sqlite:grants.db\"", 1),
        ("[store", 1),
        // One in which all is commented is none.
        ("[store]", 1),
    ] {
        let headlines = headlines(&format!("{faulty}\n{MINIMAL}{bitbucket}"));
        assert_eq!(headlines.len(), told, "{headlines:?}");
        assert_eq!(
            headlines.iter().any(|told| told.contains("no durable store")),
            faulty == "[store]",
            "{headlines:?}"
        );
    }
    assert_eq!(config(&with("[providers.bitbucket]")).providers["bitbucket"].renewal, None);
    let shared = "[providers.bits]\nconnection = \"bitbucket\"\nbase_url = \"https://bitbucket.org\"";
    assert_eq!(the_fault(&with(&format!("{shared}\n{bitbucket}"))).message, fault.message);
}
