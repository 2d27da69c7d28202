//! Several processes on one store, callers that leave, processes that die: no grant is lost but with a lost answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::{Behaviour, ProviderSettings};
use idp_proxy::command::dev::tenant::{Identity, User};
use idp_proxy::command::dev::{World, WorldSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::child::{self, Child};
use crate::support::durable::KEY;
use crate::support::judge::{Habits, Judge};
use crate::support::postgres::Postgres;

mod kills;

const USERS: usize = 20;
const CALLERS: usize = 200;
/// What the provider's access tokens live.
const LIFE: Duration = Duration::from_secs(1);

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    served: u64,
    /// Who was told to sign in anew, and how at first.
    reconnect: BTreeMap<usize, String>,
    refusals: Vec<Refusal>,
}

/// An answer that is neither 200 nor `reconnect_required`.
#[derive(Debug)]
struct Refusal {
    user: usize,
    at: Instant,
    status: u16,
    text: String,
    has_pause: bool,
}

impl Seen {
    fn note(&mut self, user: usize, status: u16, text: String) {
        match status {
            200 => self.served += 1,
            403 if text.contains("reconnect_required") => drop(self.reconnect.entry(user).or_insert(text)),
            _ => {
                let has_pause = text.to_ascii_lowercase().contains("\r\nretry-after: ");
                self.refusals.push(Refusal { user, at: now(), status, text, has_pause });
            }
        }
    }
}

/// How long the storm lasts: a quarter of what `tests/run --long` asks for.
fn storm() -> Duration {
    let is_long = option_env!("IDP_PROXY_TESTS_LONG").is_some();
    Duration::from_secs(if is_long { 60 } else { 15 })
}

fn now() -> Instant {
    Clock::system().instant()
}

fn subject(user: usize) -> String {
    format!("bitbucket|account-{user}")
}

/// A tenant whose users have accounts at a provider of ours.
async fn world() -> World {
    let bitbucket =
        ProviderSettings { behaviour: Behaviour::Rotates { life: LIFE }, ..ProviderSettings::bitbucket(LIFE) };
    let world = World::start(Clock::system(), WorldSettings { bitbucket, ..WorldSettings::default() }).await.unwrap();
    for user in 0..USERS {
        world
            .tenant
            .add_user(User::new(&subject(user)).with(Identity::new("bitbucket", format!("account-{user}").as_str())));
        assert!(world.tenant.sign_in(&subject(user), "bitbucket"));
    }
    world
}

/// A tenant whose users have accounts at the judge.
async fn world_of(judge: &Judge) -> World {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    for (user, refresh_token) in judge.refresh_tokens.iter().enumerate() {
        let identity = Identity::new("judge", format!("account-{user}").as_str());
        let identity = identity.access_token("of-the-sign-in-and-long-dead").refresh_token(refresh_token).expires_in(1);
        let signed_in = User::new(&subject(user)).with(identity);
        world.tenant.add_user(User { last_login: Some(world.clock.now().minus(LIFE * 2)), ..signed_in });
    }
    world
}

/// Status and text of an answer; `None` if the process died over it.
async fn ask(address: &str, path: &str, token: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text))
}

/// Callers who ask again and again, until a time.
struct Callers {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Callers {
    /// Spread over the users and over the processes at these addresses.
    fn start(world: &World, addresses: &[String], path: &'static str, until: Instant) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let tasks = (0..CALLERS).map(|number| {
            // Each user comes to each of the processes.
            let (user, address) = (number % USERS, addresses[number / USERS % addresses.len()].clone());
            let token = world.tenant.token_for(&subject(user));
            tokio::spawn(caller((address, path), (user, token), number, until, Arc::clone(&seen)))
        });
        let tasks = tasks.collect();
        Self { seen, tasks }
    }

    /// What they have seen, once the last has ended.
    async fn end(self) -> Seen {
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A caller who every third time does not wait for the answer.
async fn caller(
    (address, path): (String, &'static str),
    (user, token): (usize, String),
    number: usize,
    until: Instant,
    seen: Arc<Mutex<Seen>>,
) {
    for round in number.. {
        if now() >= until {
            return;
        }
        let call = ask(&address, path, &token);
        let patience = if round % 3 == 0 { Duration::from_millis((round as u64 * 37) % 120) } else { child::PATIENCE };
        let Ok(Some((status, text))) = tokio::time::timeout(patience, call).await else {
            // It has left, or the process has died.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        seen.lock().unwrap().note(user, status, text);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn config(world: &World, store: &str, listen: &str) -> String {
    world.proxy_toml(listen, store, KEY) + "\n[limits]\ntenant_timeout = \"2s\"\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_renew_each_grant_once_however_many_callers_leave() {
    let world = world().await;
    let store = Postgres::shared().database();
    let first = Child::serve(&config(&world, &store, "127.0.0.1:0"), &[]).await.ready().await;
    let second = Child::serve(&config(&world, &store, "127.0.0.1:0"), &[]).await.ready().await;
    let lasts = storm() / 2;
    let addresses = [first.proxy.clone(), second.proxy.clone()];
    let seen = Callers::start(&world, &addresses, "/proxy/bitbucket/user", now() + lasts).end().await;
    assert_eq!(world.bitbucket.reuses(), 0);
    assert_eq!(seen.reconnect, BTreeMap::new());
    assert!(seen.refusals.is_empty(), "{:#?}", seen.refusals);
    let renewals = world.bitbucket.refreshes();
    // Each grant anew about every second, and not much more often.
    let most = USERS as u64 * (lasts.as_secs() + 2) * 2;
    assert!(renewals >= USERS as u64 * 3 && renewals <= most, "{renewals} renewals, at most {most}");
    assert!(seen.served > 1000, "{} served", seen.served);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_provider_sees_no_refresh_token_twice() {
    let judge = Judge::start(Habits { accounts: USERS, seconds: LIFE.as_secs(), spare: 0, doors: 1, latency: 0 });
    let world = world_of(&judge).await;
    let store = Postgres::shared().database();
    let config = config(&world, &store, "127.0.0.1:0") + &judge.toml(0);
    let first = Child::serve(&config, &[]).await.ready().await;
    let second = Child::serve(&config, &[]).await.ready().await;
    let addresses = [first.proxy.clone(), second.proxy.clone()];
    let seen = Callers::start(&world, &addresses, "/proxy/judge/me", now() + storm() / 2).end().await;
    let report = judge.report().await;
    assert!(report.revoked.is_empty() && report.refused.is_empty(), "{report:#?}");
    assert!(report.renewals >= USERS as u64 * 3, "{report:#?}");
    assert_eq!(seen.reconnect, BTreeMap::new());
    assert!(seen.refusals.is_empty(), "{:#?}", seen.refusals);
    assert!(seen.served > 1000, "{} served", seen.served);
}
