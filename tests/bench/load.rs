//! The load: a closed loop over raw sockets. One process per run, told what to do in JSON on its command line, which
//! tells in JSON on stdout what came of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use crate::http1::{Client, Expected};
use crate::load_h2;

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Until {
    /// After so long; tokens take turns.
    Seconds(f64),
    /// When every token has been used once.
    EachToken,
    /// When every connection, all opened beforehand, has sent one request, all at the same moment.
    Herd,
    /// When every connection has been opened and has carried one request, one after the other.
    EachConnection,
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Whom to ask.
    pub target: SocketAddr,
    /// Method and path.
    pub request: String,
    /// How long a body goes with it.
    pub upload: u64,
    /// What comes back.
    pub expected: Expected,
    /// A token to a line.
    pub tokens: PathBuf,
    /// The first line to use.
    pub first: usize,
    /// How many lines.
    pub count: usize,
    /// How many connections.
    pub connections: usize,
    /// Streams on each of them, all HTTP/2; zero: HTTP/1.1.
    pub streams: usize,
    /// A new connection for each request.
    pub fresh: bool,
    /// When it is over.
    pub until: Until,
    /// Keep the connections afterwards, until stdin ends.
    pub hold: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Answers read to their end.
    pub requests: u64,
    /// Requests that got none.
    pub errors: u64,
    /// Answers whose body was not what it had to be.
    pub wrong: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// How long it took, without what came before the first request.
    pub seconds: f64,
    /// Half of the answers took no longer.
    pub p50_us: u32,
    /// 99 in 100 took no longer.
    pub p99_us: u32,
    /// The first error's text.
    pub first_error: Option<String>,
}

impl Report {
    /// Whether every request was answered with this status and the right body.
    pub fn all(&self, status: u16) -> bool {
        self.errors == 0 && self.wrong == 0 && self.statuses.keys().all(|seen| *seen == status) && self.requests > 0
    }
}

/// What all connections of a run share.
pub struct Plan {
    /// The order.
    pub spec: Spec,
    /// The tokens to use.
    pub tokens: Vec<String>,
    /// Rendered heads, for HTTP/1.1.
    heads: Vec<Vec<u8>>,
    next: AtomicUsize,
    together: Barrier,
}

impl Plan {
    /// The number of the next request's token, or that it is over.
    pub fn next(&self, begun: Instant) -> Option<usize> {
        let number = self.next.fetch_add(1, Relaxed);
        match self.spec.until {
            Until::Seconds(seconds) => (begun.elapsed() < Duration::from_secs_f64(seconds)).then_some(())?,
            Until::EachToken => (number < self.spec.count).then_some(())?,
            Until::Herd | Until::EachConnection => (number < self.spec.connections).then_some(())?,
        }
        Some(number % self.spec.count)
    }
}

/// One connection's part of the report.
#[derive(Default)]
pub struct Tally {
    latencies: Vec<u32>,
    report: Report,
    idle: Option<Client>,
}

impl Tally {
    /// Notes an answer, or why there is none.
    pub fn note(&mut self, begun: Instant, outcome: Result<(u16, bool), String>) {
        match outcome {
            Ok((status, matches)) => {
                self.report.requests += 1;
                self.report.wrong += u64::from(!matches);
                *self.report.statuses.entry(status).or_default() += 1;
                self.latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                self.report.errors += 1;
                self.report.first_error.get_or_insert(error);
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.report.requests += other.report.requests;
        self.report.errors += other.report.errors;
        self.report.wrong += other.report.wrong;
        for (status, count) in other.report.statuses {
            *self.report.statuses.entry(status).or_default() += count;
        }
        self.report.first_error = self.report.first_error.take().or(other.report.first_error);
    }
}

/// `role-load SPEC`
pub fn run(arguments: &[String]) {
    let [spec] = arguments else { panic!("role-load SPEC") };
    let spec: Spec = serde_json::from_str(spec).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (report, held) = runtime.block_on(execute(spec));
    println!("{}", serde_json::to_string(&report).unwrap());
    if !held.is_empty() {
        // The parent measures what they cost and then closes our stdin, or ends us.
        drop(std::io::stdin().read_line(&mut String::new()));
    }
}

async fn execute(spec: Spec) -> (Report, Vec<Client>) {
    let file = std::fs::read_to_string(&spec.tokens).unwrap();
    let tokens: Vec<String> = file.lines().skip(spec.first).take(spec.count).map(str::to_owned).collect();
    assert_eq!(tokens.len(), spec.count, "too few tokens");
    let length = if spec.upload > 0 { format!("content-length: {}\r\n", spec.upload) } else { String::new() };
    let head = |token: &String| {
        format!(
            "{} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n\
             accept-encoding: gzip, br\r\nuser-agent: bench/1.0\r\n{length}\r\n",
            spec.request, spec.target
        )
        .into_bytes()
    };
    let heads = tokens.iter().map(head).collect();
    let tasks = match spec.until {
        Until::EachConnection => 1,
        Until::Seconds(_) | Until::EachToken | Until::Herd => spec.connections * spec.streams.max(1),
    };
    let herd = if spec.until == Until::Herd { tasks + 1 } else { 1 };
    let plan = Arc::new(Plan { spec, tokens, heads, next: AtomicUsize::new(0), together: Barrier::new(herd) });
    match plan.spec.until {
        Until::EachConnection => finish(Instant::now(), vec![tokio::spawn(each_connection(plan))]).await,
        Until::Seconds(_) | Until::EachToken | Until::Herd if plan.spec.streams > 0 => {
            let senders = load_h2::connect(&plan).await;
            let begun = Instant::now();
            let streams =
                senders.into_iter().map(|sender| tokio::spawn(load_h2::stream(Arc::clone(&plan), sender, begun)));
            finish(begun, streams.collect()).await
        }
        Until::Seconds(_) | Until::EachToken | Until::Herd => {
            let connections = (0..tasks).map(|number| tokio::spawn(connection(Arc::clone(&plan), number)));
            let connections: Vec<_> = connections.collect();
            plan.together.wait().await;
            finish(Instant::now(), connections).await
        }
    }
}

async fn finish(begun: Instant, tasks: Vec<tokio::task::JoinHandle<Vec<Tally>>>) -> (Report, Vec<Client>) {
    let mut total = Tally::default();
    let mut held = Vec::new();
    for task in tasks {
        for mut tally in task.await.unwrap() {
            held.extend(tally.idle.take());
            total.add(tally);
        }
    }
    let mut report = total.report;
    report.seconds = begun.elapsed().as_secs_f64();
    total.latencies.sort_unstable();
    let rank = |share: usize| total.latencies.get(total.latencies.len() * share / 100).copied().unwrap_or_default();
    (report.p50_us, report.p99_us) = (rank(50), rank(99));
    (report, held)
}

/// One connection after the other, one request on each, all kept.
async fn each_connection(plan: Arc<Plan>) -> Vec<Tally> {
    let mut tallies = Vec::new();
    while let Some(token) = plan.next(Instant::now()) {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let outcome = exchange(&plan, &mut tally.idle, &mut Vec::new(), tallies.len(), token).await;
        tally.note(begun, outcome);
        tallies.push(tally);
    }
    if !plan.spec.hold {
        tallies.iter_mut().for_each(|tally| tally.idle = None);
    }
    tallies
}

/// One connection, or one after the other, until it is over.
async fn connection(plan: Arc<Plan>, number: usize) -> Vec<Tally> {
    let mut tally = Tally::default();
    let (mut client, mut spare) = (None, Vec::new());
    if plan.spec.until == Until::Herd {
        client = Client::connect(plan.spec.target, number, Vec::new()).await.ok();
        plan.together.wait().await;
    }
    let start = Instant::now();
    while let Some(token) = plan.next(start) {
        let begun = Instant::now();
        let outcome = exchange(&plan, &mut client, &mut spare, number, token).await;
        tally.note(begun, outcome);
        if plan.spec.fresh {
            spare = client.take().map(Client::close).unwrap_or_default();
        }
        if plan.spec.until == Until::Herd {
            break;
        }
    }
    vec![tally]
}

/// One request, over the connection that is there or else a new one. Whatever went wrong ends the connection.
fn exchange<'a>(
    plan: &'a Plan,
    slot: &'a mut Option<Client>,
    spare: &'a mut Vec<u8>,
    source: usize,
    token: usize,
) -> impl Future<Output = Result<(u16, bool), String>> + 'a {
    let work = async move {
        let mut client = match slot.take() {
            Some(client) => client,
            None => Client::connect(plan.spec.target, source, std::mem::take(spare)).await?,
        };
        client.send(&plan.heads[token], plan.spec.upload).await?;
        let answer = client.answer(&plan.spec.expected).await?;
        if answer.reusable {
            *slot = Some(client);
        }
        Ok((answer.status, answer.matches))
    };
    async { work.await.map_err(|error: std::io::Error| error.to_string()) }
}
