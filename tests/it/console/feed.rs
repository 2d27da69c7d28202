//! The live log and the figures.

use std::time::Duration;

use serde_json::Value;

use super::{Visit, rig_at};
use crate::support::Upstream;
use crate::support::wire::{Wire, soon};

/// Somebody who reads the live log.
pub struct Reader {
    wire: Wire,
    text: String,
}

impl Reader {
    pub async fn begin(visit: &Visit<'_>, last: Option<u64>) -> Self {
        let address = visit.rig.server.admin().to_string();
        let mut wire = Wire::to(&address).await;
        let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
        let cookie = &visit.cookie;
        wire.send(format!("GET /admin/log HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n{last}\r\n")).await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream\r\n"), "{head}");
        Self { wire, text: String::new() }
    }

    /// Everything that has come, once `piece` is in it.
    pub async fn until(&mut self, piece: &str) -> String {
        while !self.text.contains(piece) {
            let chunk = soon(piece, self.wire.chunk()).await.expect("the log goes on");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        self.text.clone()
    }

    /// The events that have come, each with its number.
    fn events(&self) -> Vec<(u64, Value)> {
        let event = |block: &str| {
            let (id, data) = block.strip_prefix("id: ")?.split_once("\ndata: ")?;
            Some((id.parse().unwrap(), serde_json::from_str(data).unwrap()))
        };
        self.text.split("\n\n").filter_map(event).collect()
    }
}

#[tokio::test]
async fn requests_are_shown_as_they_end_with_what_they_cost_and_why_they_were_refused() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    rig.get("/proxy/github/before").await;
    let visit = Visit::begin(&rig).await;
    rig.get("/proxy/github/early?q=hunter2").await;
    let mut reader = Reader::begin(&visit, None).await;
    reader.until("/early").await;
    rig.send_as_is("GET", "/proxy/github/late", &[], b"").await;
    let text = reader.until("/late").await;
    assert!(!text.contains("/before"), "nobody watched then: {text}");

    let events = reader.events();
    let [(0, early), (1, late)] = &events[..] else { panic!("{text}") };
    assert_eq!((early["path"].as_str(), early["provider"].as_str()), (Some("/proxy/github/early?q=…"), Some("github")));
    assert_eq!((early["status"].as_u64(), early["token_outcome"].as_str()), (Some(200), Some("hit")));
    for step in ["verify_ms", "token_ms", "upstream_ms", "total_ms"] {
        assert!(early[step].as_f64().is_some_and(|cost| cost > 0.0), "{early}");
    }
    assert_eq!((late["code"].as_str(), late["fault"].as_str()), (Some("missing_token"), Some("caller")));
}

#[tokio::test]
async fn a_reader_that_was_cut_off_goes_on_behind_what_it_has_seen_and_is_told_what_it_missed() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    for index in 0..3 {
        rig.get(&format!("/proxy/github/{index}")).await;
    }
    let mut reader = Reader::begin(&visit, Some(1)).await;
    reader.until("/proxy/github/2").await;
    assert_eq!(reader.events().len(), 1, "{}", reader.text);
    // Two more than are kept, beside those that were there before.
    for index in 0..502 {
        rig.send_as_is("GET", &format!("/more/{index}"), &[], b"").await;
    }
    let mut reader = Reader::begin(&visit, Some(2)).await;
    let text = reader.until("/more/501").await;
    assert!(text.contains("event: missed\ndata: 2\n\n"), "{}", &text[..200]);
    assert_eq!(reader.events().len(), 500);
}

#[tokio::test]
async fn the_log_ends_with_the_server() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let mut reader = Reader::begin(&visit, None).await;
    rig.get("/proxy/github/a").await;
    reader.until("/proxy/github/a").await;
    assert!(rig.server.stop().await);
    let end = soon("the end of the log", reader.wire.chunk()).await;
    assert_eq!(end.as_deref(), Some(&b""[..]));
}

#[tokio::test]
async fn the_figures_count_what_ended_and_whose_fault_it_was() {
    let github = Upstream::recording(|request| {
        let status = if request.target == "/missing" { 404 } else { 200 };
        http::Response::builder().status(status).body(hyper::body::Bytes::new()).unwrap()
    })
    .await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    for path in ["/proxy/github/a", "/proxy/github/missing", "/proxy/nowhere/a"] {
        rig.get(path).await;
    }
    let figures = visit.get("/admin/samples.json").await.json();
    let samples = figures["samples"].as_array().unwrap();
    let sum = |count: &dyn Fn(&Value) -> u64| samples.iter().map(count).sum::<u64>();
    assert_eq!(sum(&|sample| sample["requests"].as_u64().unwrap()), 3, "{figures}");
    let names = figures["faults"].as_array().unwrap();
    for (name, expected) in [("caller", 1), ("proxy", 0), ("relayed", 1)] {
        let index = names.iter().position(|known| known == name).unwrap();
        assert_eq!(sum(&|sample| sample["faults"][index].as_u64().unwrap()), expected, "{name} in {figures}");
    }
    assert!(samples.iter().all(|sample| sample["latency"][2].as_f64().unwrap() > 0.0), "{figures}");

    rig.clock.advance(Duration::from_secs(16 * 60));
    let later = visit.get("/admin/samples.json").await.json();
    assert_eq!(later["samples"].as_array().unwrap().len(), 0, "a quarter of an hour later: {later}");
}
