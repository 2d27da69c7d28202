//! Which account is meant, and whether its token serves.

use serde_json::json;

use super::*;
use crate::clock::Clock;

const REST: Duration = Duration::from_secs(600);

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

fn record(user: serde_json::Value, previous: Option<&Record>) -> Record {
    let connection = |name| Connection { name: Arc::from(name), tenant: Arc::from("t"), audiences: Box::default() };
    let connections = [connection("github"), connection("google-oauth2")];
    let subject = Arc::from("github|7");
    let now = Clock::system().instant();
    let read = now..now;
    Record::new(serde_json::from_value(user).unwrap(), &subject, &connections, previous, read)
}

fn verdict(record: &Record, connection: &str, wanted: Option<&str>) -> String {
    match record.standpoint(&Wanted { connection, account: wanted, is_renewed: false, met: now() }, now(), REST) {
        Standpoint::Usable(index) => record.value(index).unwrap().to_str().unwrap().to_owned(),
        Standpoint::Refused(error) => format!("{error:?}"),
        Standpoint::Doubtful => "doubtful".to_owned(),
    }
}

fn github(id: &str, token: &str) -> serde_json::Value {
    json!({"connection": "github", "provider": "github", "user_id": id, "access_token": token})
}

#[test]
fn the_account_is_chosen_by_connection_never_by_position() {
    let google =
        json!({"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "1", "access_token": "ya29"});
    for identities in [json!([github("7", "gho"), google]), json!([google, github("7", "gho")])] {
        let record = record(json!({ "identities": identities }), None);
        assert_eq!(verdict(&record, "github", None), "Bearer gho");
        assert_eq!(verdict(&record, "google-oauth2", None), "Bearer ya29");
    }
}

#[test]
fn two_accounts_at_one_connection_must_be_told_apart_by_the_caller() {
    let record = record(json!({ "identities": [github("7", "a"), github("8", "b")] }), None);
    assert_eq!(verdict(&record, "github", None), r#"AmbiguousAccount { choices: ["7", "8"] }"#);
    assert_eq!(verdict(&record, "github", Some("8")), "Bearer b");
    assert_eq!(verdict(&record, "github", Some("github|7")), "Bearer a");
    assert!(verdict(&record, "github", Some("google|7")).starts_with("NotConnected"));
}

#[test]
fn a_token_is_not_used_after_its_latest_possible_end() {
    let mut identity = github("7", "a");
    identity["expires_in"] = json!(3600);
    let login = |text: &str| json!({ "identities": [identity.clone()], "last_login": text });
    // 1,700,000,000 is 2023-11-14T22:13:20Z.
    assert!(verdict(&record(login("2023-11-14T21:13:20.000Z"), None), "github", None).starts_with("Expired"));
    assert_eq!(verdict(&record(login("2023-11-14T21:13:21.000Z"), None), "github", None), "Bearer a");
}

#[test]
fn a_refused_token_needs_a_new_look_and_then_rests_until_it_has_rested() {
    let user = json!({ "identities": [github("7", "a")] });
    let first = record(user.clone(), None);
    first.refuse(&HeaderValue::from_static("Bearer a"), now());
    assert_eq!(verdict(&first, "github", None), "doubtful");
    let second = record(user, Some(&first));
    assert!(verdict(&second, "github", None).starts_with("Rejected"));
    let wanted = Wanted { connection: "github", account: None, is_renewed: false, met: now() };
    let later = second.standpoint(&wanted, now().plus(REST), REST);
    assert!(matches!(later, Standpoint::Usable(0)));
    let signed_in_anew = record(json!({ "identities": [github("7", "b")] }), Some(&second));
    assert_eq!(verdict(&signed_in_anew, "github", None), "Bearer b");
}

#[test]
fn what_no_bearer_can_be_made_of_is_told_apart() {
    let oauth1 = json!({"connection": "github", "user_id": 1, "access_token": "t", "access_token_secret": "s"});
    for (identity, word) in [
        (oauth1, "OAuth1"),
        (github("1", "a\r\nx: y"), "Unusable"),
        (github("1", "a b"), "Unusable"),
        (github("1", ""), "NoToken"),
    ] {
        let record = record(json!({ "identities": [identity] }), None);
        assert!(verdict(&record, "github", None).starts_with(word), "{word}");
    }
    assert_eq!(verdict(&record(json!({"blocked": true, "identities": []}), None), "github", None), "UserBlocked");
}
