//! GitHub's recorded traffic (npm's `@octokit/fixtures`), played through the proxy exchange by exchange: GitHub gets what
//! its client sent, and the client what GitHub answered, byte for byte but for what the design names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::*;
use crate::support::{Answer, Rig, node, rig};

/// GitHub's hosts, each with the provider it is here. Archives come from the last one, which has no preset.
const HOSTS: [(&str, &str); 3] = [
    ("github", "https://api.github.com"),
    ("github-uploads", "https://uploads.github.com"),
    ("codeload", "https://codeload.github.com"),
];

/// Hop by hop, and what frames a body: made anew on each side of the proxy.
const OF_THE_CONNECTION: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// What of a provider's answer a proxy's callers do not see, beside the fields whose names begin with `access-control-`.
const KEPT_BACK: [&str; 1] = ["strict-transport-security"];

/// One exchange as nock writes it down.
#[derive(Clone, Deserialize)]
struct Exchange {
    scope: String,
    method: String,
    path: String,
    body: Value,
    reqheaders: BTreeMap<String, Value>,
    status: u16,
    response: Value,
    #[serde(rename = "responseIsBinary")]
    is_binary: bool,
    /// Put in order for tests.
    headers: Option<BTreeMap<String, Value>>,
    /// As they came.
    #[serde(rename = "rawHeaders")]
    raw_headers: Option<Vec<String>>,
}

type Lines = Vec<(String, String)>;

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a message of that content had for a body.
fn bytes(content: &Value, is_binary: bool) -> Vec<u8> {
    let text = text(content);
    if !is_binary {
        return text.into_bytes();
    }
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

impl Exchange {
    /// The head of what the client sent, but for what is of the connection.
    fn sent(&self) -> Lines {
        let lines = self.reqheaders.iter().map(|(name, value)| (name.clone(), text(value)));
        end_to_end(lines)
    }

    /// The head of what GitHub answered, likewise.
    fn answered(&self) -> Lines {
        match (&self.headers, &self.raw_headers) {
            (Some(headers), _) => end_to_end(headers.iter().map(|(name, value)| (name.clone(), text(value)))),
            (None, Some(raw)) => end_to_end(raw.chunks(2).map(|line| (line[0].to_lowercase(), line[1].clone()))),
            (None, None) => panic!("{} {}: no headers", self.method, self.path),
        }
    }

    fn response(&self) -> Response<Bytes> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.answered() {
            response = response.header(name, value);
        }
        response.body(Bytes::from(bytes(&self.response, self.is_binary))).unwrap()
    }
}

/// The proxy between a recorded client and a GitHub that plays what was recorded.
struct Theatre {
    rig: Rig,
    hosts: Vec<Upstream>,
    playing: Arc<Mutex<Option<Exchange>>>,
}

impl Theatre {
    async fn open() -> Self {
        let playing = Arc::<Mutex<Option<Exchange>>>::default();
        let (mut rig, mut hosts) = (rig(), Vec::new());
        for (name, _) in HOSTS {
            let playing = Arc::clone(&playing);
            let host = provider("github", move |_| playing.lock().unwrap().take().map(|exchange| exchange.response()));
            let host = host.await.allow(&["x-octokit-fixture-ignore"]);
            rig = rig.provider_at(name, &host.base_url(), "connection = \"github\"\nallow = \"all\"");
            hosts.push(host);
        }
        Self { rig: rig.start().await, hosts, playing }
    }

    /// The exchanges in a file, with the hosts that are here in place of GitHub's.
    fn read(&self, file: &Path) -> Vec<Exchange> {
        let mut text = std::fs::read_to_string(file).unwrap();
        for ((_, recorded), host) in HOSTS.iter().zip(&self.hosts) {
            text = text.replace(&format!("{recorded}:443"), &host.base_url()).replace(recorded, &host.base_url());
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    async fn play(&self, exchange: &Exchange) {
        let place = self.hosts.iter().position(|host| host.base_url() == exchange.scope).expect("a known host");
        let before: Vec<_> = self.hosts.iter().map(|host| host.requests().len()).collect();
        *self.playing.lock().unwrap() = Some(exchange.clone());
        let answer = self.send(HOSTS[place].0, exchange).await;

        let told = format!("{} {}{}", exchange.method, exchange.scope, exchange.path);
        let counts = self.hosts.iter().zip(before).map(|(host, before)| host.requests().len() - before);
        let is_there_alone = counts.eq((0..HOSTS.len()).map(|host| usize::from(host == place)));
        assert!(is_there_alone, "{told} did not arrive once and at its host alone: {}", answer.text());
        arrived(exchange, &self.hosts[place].requests().pop().unwrap(), HOSTS[place].0, &told);
        self.came_back(exchange, answer, &told);
    }

    /// Sends what the client sent, with the caller's token in place of GitHub's.
    async fn send(&self, provider: &str, exchange: &Exchange) -> Answer {
        let mut lines = exchange.sent();
        for (_, value) in lines.iter_mut().filter(|(name, _)| name == "authorization") {
            *value = format!("token {}", self.rig.token());
        }
        let body = bytes(&exchange.body, false);
        if body.is_empty() && exchange.reqheaders.contains_key("content-length") {
            lines.push(("content-length".to_owned(), "0".to_owned()));
        }
        let lines: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let path = format!("/proxy/{provider}{}", exchange.path);
        self.rig.send_as_is(&exchange.method.to_uppercase(), &path, &lines, &body).await
    }

    /// The answer is the recorded one, with links that lead back here.
    fn came_back(&self, exchange: &Exchange, answer: Answer, told: &str) {
        assert_eq!(answer.status, exchange.status, "{told}");
        assert!(answer.complete, "{told}: the answer broke off");
        let body = if exchange.response.is_string() {
            bytes(&exchange.response, exchange.is_binary)
        } else {
            self.pointed_back(&exchange.response).to_string().into_bytes()
        };
        assert!(answer.body == body, "{told}:\n{}\nis not\n{}", answer.text(), String::from_utf8_lossy(&body));

        let mut expected = exchange.answered();
        expected.retain(|(name, _)| !KEPT_BACK.contains(&name.as_str()) && !name.starts_with("access-control-"));
        for (name, value) in &mut expected {
            *value = match name.as_str() {
                "link" | "location" => self.ways().fold(value.clone(), |value, (from, to)| value.replace(&from, &to)),
                // An answer to one caller is no other's.
                "cache-control" => value.replace("public", "private").replace(", s-maxage=60", ""),
                _ => continue,
            };
        }
        expected.push(("vary".to_owned(), "origin".to_owned()));
        expected.push(("proxy-status".to_owned(), format!("idp-proxy; received-status={}", exchange.status)));
        // Not to be run at the proxy's origin.
        if expected.iter().any(|(name, value)| name == "content-type" && value.starts_with("text/html")) {
            expected.push(("content-security-policy".to_owned(), "sandbox".to_owned()));
        }
        let mut found = end_to_end(answer.headers.into_iter());
        for made_anew in ["server-timing", "x-request-id"] {
            assert!(found.iter().any(|(name, _)| name == made_anew), "{told}: no {made_anew}");
            found.retain(|(name, _)| name != made_anew);
        }
        assert_eq!(in_order(found), in_order(expected), "{told}");
    }

    /// Where each host is, and where it is reached through the proxy.
    fn ways(&self) -> impl Iterator<Item = (String, String)> {
        let origin = format!("http://{}/proxy", self.rig.address());
        HOSTS.iter().zip(&self.hosts).map(move |((name, _), host)| (host.base_url(), format!("{origin}/{name}")))
    }

    /// The same content with strings that are links into the hosts pointed back.
    fn pointed_back(&self, content: &Value) -> Value {
        match content {
            Value::String(text) => {
                let way = self.ways().find(|(from, _)| text.starts_with(from.as_str()));
                way.map_or_else(|| content.clone(), |(from, to)| json!(text.replacen(&from, &to, 1)))
            }
            Value::Array(list) => list.iter().map(|item| self.pointed_back(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.pointed_back(member))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => content.clone(),
        }
    }
}

/// The request is the recorded one, with the user's token, and what a proxy says of itself.
fn arrived(exchange: &Exchange, request: &Recorded, provider: &str, told: &str) {
    let arrived = (request.method.as_str(), request.target.as_str());
    assert_eq!(arrived, (exchange.method.to_uppercase().as_str(), exchange.path.as_str()), "{told}");
    assert_eq!(request.body, bytes(&exchange.body, false), "{told}");
    let has_length = request.headers.contains_key("content-length");
    assert_eq!(has_length, exchange.reqheaders.contains_key("content-length"), "{told}");

    let mut expected = exchange.sent();
    expected.retain(|(name, _)| !matches!(name.as_str(), "accept-encoding" | "authorization"));
    expected.push(("authorization".to_owned(), format!("Bearer {}", provider_token("github"))));
    // The presets' own: they read what GitHub answers, and GitHub wants to know who asks.
    if provider == "codeload" {
        expected.extend(exchange.sent().into_iter().filter(|(name, _)| name == "accept-encoding"));
    } else {
        expected.push(("accept-encoding".to_owned(), "identity".to_owned()));
        expected.push(("user-agent".to_owned(), "idp-proxy".to_owned()));
    }
    let found = request.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut found = end_to_end(found);
    let via = found.iter().position(|(name, _)| name == "via").map(|place| found.remove(place).1);
    assert!(via.is_some_and(|via| via.starts_with("1.1 idp-proxy")), "{told}: no Via");
    assert_eq!(in_order(found), in_order(expected), "{told}");
}

fn end_to_end(lines: impl Iterator<Item = (String, String)>) -> Lines {
    lines.filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str())).collect()
}

/// By name; lines of one name stay as they are.
fn in_order(mut lines: Lines) -> Lines {
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines
}

/// All recordings of one kind: the files of that name in the folders of all scenarios.
fn scenarios(name: &str) -> Vec<PathBuf> {
    let folder = node::folder().join("node_modules/@octokit/fixtures/scenarios/api.github.com");
    let scenarios = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join(name));
    let mut scenarios: Vec<_> = scenarios.collect();
    scenarios.sort();
    scenarios
}

/// Plays all recordings of one kind. How many scenarios and exchanges there were.
async fn play_all(name: &str) -> (usize, usize) {
    let theatre = Theatre::open().await;
    let (scenarios, mut count) = (scenarios(name), 0);
    for file in &scenarios {
        for exchange in theatre.read(file) {
            theatre.play(&exchange).await;
            count += 1;
        }
    }
    (scenarios.len(), count)
}

#[tokio::test]
async fn every_scenario_comes_back_as_it_was_recorded() {
    assert_eq!(play_all("normalized-fixture.json").await, (22, 71));
}

#[tokio::test]
async fn every_scenario_comes_back_as_it_was_on_the_wire() {
    assert_eq!(play_all("raw-fixture.json").await, (22, 132));
}
