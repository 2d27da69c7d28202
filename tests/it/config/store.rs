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
    assert_eq!(config(&with("[providers.bitbucket]")).providers["bitbucket"].renewal, None);
}

#[test]
fn two_tables_on_one_connection_share_a_client_and_may_not_differ() {
    let google = "[providers.google]\nclient_id = \"a\"\nclient_secret = \"b\"\n";
    let gmail = "[providers.gmail]\nconnection = \"google-oauth2\"\nbase_url = \"https://gmail.googleapis.com\"\n";
    let shared = config(&with(&format!("{google}{gmail}")));
    assert!(shared.providers["gmail"].renewal.is_some());
    assert_eq!(shared.providers["gmail"].renewal, shared.providers["google"].renewal);
    let other = "token_url = \"https://oauth2.googleapis.com/token\"\nclient_id = \"c\"\nclient_secret = \"d\"\nrotates = false";
    let fault = the_fault(&with(&format!("{google}{gmail}{other}")));
    assert!(fault.message.ends_with("renew the tokens of one connection differently"), "{}", fault.message);
}

#[test]
fn half_a_client_is_a_fault() {
    for (text, fault) in [
        ("client_secret = \"b\"", "missing key `client_id` in [providers.google]"),
        ("client_id = \"a\"", "missing key `client_secret` in [providers.google]"),
        ("client_id = \"a\"\nrefresh_auth = \"private_key_jwt\"", "missing key `client_key` in [providers.google]"),
        (
            "client_id = \"a\"\nrefresh_auth = \"magic\"\nclient_secret = \"b\"",
            "`refresh_auth` must be \"post\", \"basic\", \"none\" or \"private_key_jwt\"",
        ),
    ] {
        assert_eq!(the_fault(&with(&format!("[providers.google]\n{text}"))).message, fault, "{text}");
    }
    let public = config(&with("[providers.google]\nclient_id = \"a\"\nrefresh_auth = \"none\""));
    assert!(public.providers["google"].renewal.is_some());
}
