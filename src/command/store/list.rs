//! `idp-proxy store list`: whose grants are kept, and how they are. No token is ever printed.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::command::text::{printable, told};
use crate::store::{Entry, Store};
use crate::token::Summary;

/// Rows of one look at the store.
const PAGE: u32 = 500;

/// Writes a line for each grant, or a JSON list of them.
pub(super) async fn list(store: &Store, json: bool, now: Timestamp) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (mut all, mut last) = (Vec::new(), None);
    loop {
        let page = store.list(last.as_ref(), PAGE).await.map_err(io::Error::other)?;
        let Some(entry) = page.last() else { break };
        last = Some(entry.key.clone());
        for entry in page {
            if json {
                all.push(as_json(&entry, now));
            } else {
                writeln!(out, "{}", as_text(&entry, now))?;
            }
        }
    }
    if json { writeln!(out, "{}", Value::Array(all)) } else { Ok(()) }
}

/// What is in an entry, or why that is not known.
fn summary(entry: &Entry) -> Result<Summary, String> {
    let row = entry.row.as_ref().map_err(ToString::to_string)?;
    Summary::of(row).map_err(ToOwned::to_owned)
}

fn as_json(entry: &Entry, now: Timestamp) -> Value {
    let (state, reason, issued, expires) = match summary(entry) {
        Ok(Summary { dead: None, issued, expires }) => ("active", None, issued, expires),
        Ok(Summary { dead: Some(reason), issued, expires }) => ("dead", Some(reason.to_owned()), issued, expires),
        Err(reason) => ("unreadable", Some(reason), None, None),
    };
    let key = &entry.key;
    json!({
        "tenant": &*key.tenant,
        "subject": &*key.subject,
        "connection": &*key.connection,
        "account": &*key.account,
        "audience": Some(&*key.audience).filter(|audience| !audience.is_empty()),
        "state": state,
        "reason": reason,
        "issued": issued.map(|at| at.to_string()),
        "expires": expires.map(|at| at.to_string()),
        "updated": entry.updated.to_string(),
        "age_seconds": now.since(entry.updated).as_secs(),
    })
}

fn as_text(entry: &Entry, now: Timestamp) -> String {
    let mut line = String::new();
    let key = &entry.key;
    let audience = Some(&key.audience).filter(|audience| !audience.is_empty());
    for part in [&key.subject, &key.connection, &key.account].into_iter().chain(audience) {
        line += &printable(part);
        line += "  ";
    }
    let state = match summary(entry) {
        Ok(Summary { dead: Some(reason), .. }) => format!("dead: {reason}"),
        Ok(Summary { dead: None, expires, .. }) => match expires {
            Some(expires) if expires <= now => format!("active, expired {} ago", told(now.since(expires))),
            Some(expires) => format!("active, expires in {}", told(expires.since(now))),
            None => "active, no expiry".to_owned(),
        },
        Err(reason) => format!("unreadable: {reason}"),
    };
    // Writing to a string does not fail.
    let _ = write!(line, "{state}  written {} ago", told(now.since(entry.updated)));
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Key, Row, StoreError};

    fn entry(subject: &str, row: Result<&str, StoreError>) -> Entry {
        let part = |text: &str| Arc::from(text);
        let key = Key {
            tenant: part("acme"),
            subject: part(subject),
            connection: part("github"),
            account: part("github|1"),
            audience: part(""),
        };
        let row = row.map(|content| Row { generation: 7, content: content.as_bytes().to_vec() });
        Entry { key, updated: Timestamp::from_unix_seconds(100_000), row }
    }

    fn record(more: &str) -> String {
        let access = r#"{"value":"gho_canary","born":1,"issued":100000000,"expires":100120000}"#;
        format!(r#"{{"layout":1,"access":{access},"refresh":"ghr_canary","lineage":1{more}}}"#)
    }

    #[test]
    fn a_line_tells_state_expiry_and_age_and_no_token() {
        let (active, dead) = (record(""), record(r#","dead":"refused""#));
        for (content, at, text, state) in [
            (Ok(&*active), 100_060, "active, expires in 1m 0s  written 1m 0s ago", "active"),
            (Ok(&*active), 107_320, "active, expired 2h 0m ago  written 2h 2m ago", "active"),
            (Ok(&*dead), 400_000, "dead: the provider no longer accepts its refresh token  written 3d 11h ago", "dead"),
            (Ok("gho_canary"), 100_001, "unreadable: not a record  written 1s ago", "unreadable"),
            (
                Err(StoreError::UnknownKey),
                100_001,
                "unreadable: a stored record is sealed with a key that is not among `[store] keys`  written 1s ago",
                "unreadable",
            ),
        ] {
            let (entry, now) = (entry("auth0|a", content), Timestamp::from_unix_seconds(at));
            assert_eq!(as_text(&entry, now), format!("auth0|a  github  github|1  {text}"));
            let json = as_json(&entry, now);
            assert_eq!((json["state"].as_str(), json["age_seconds"].as_u64()), (Some(state), Some(at - 100_000)));
            assert!(!json.to_string().contains("canary"), "{json}");
        }
        let json = as_json(&entry("a", Ok(&active)), Timestamp::from_unix_seconds(100_001));
        assert_eq!(json["expires"], "1970-01-02T03:48:40.000Z");
        assert_eq!(json["reason"], Value::Null);
    }

    #[test]
    fn a_name_does_nothing_to_a_terminal() {
        let line = as_text(&entry("a\u{1b}[2J\n\u{202e}é\\'", Ok("")), Timestamp::from_unix_seconds(100_000));
        assert!(line.starts_with("a\\u{1b}[2J\\n\\u{202e}é\\\\'  github  "), "{line}");
    }
}
