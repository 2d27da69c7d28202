//! Several processes on one store, callers that leave, processes that die: no grant is lost but with a lost answer.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::{Behaviour, ProviderSettings};
use idp_proxy::command::dev::tenant::{Identity, User};
use idp_proxy::command::dev::{World, WorldSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::child::{self, Child, Signal};
use crate::support::durable::KEY;
use crate::support::postgres::Postgres;

const PATH: &str = "/proxy/bitbucket/user";
const USERS: usize = 20;
const CALLERS: usize = 200;
/// What the provider's access tokens live.
const LIFE: Duration = Duration::from_secs(1);

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    served: AtomicU64,
    reconnect: AtomicU64,
    unavailable: AtomicU64,
    other: AtomicU64,
}

/// How long the storm lasts: a quarter of what `tests/run --long` asks for.
fn storm() -> Duration {
    let is_long = option_env!("IDP_PROXY_TESTS_LONG").is_some();
    Duration::from_secs(if is_long { 60 } else { 15 })
}

fn now() -> Instant {
    Clock::system().instant()
}

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

fn subject(user: usize) -> String {
    format!("bitbucket|account-{user}")
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

/// A caller who asks again and again, and every third time does not wait for the answer.
async fn caller(
    (address, path): (String, &'static str),
    token: String,
    number: usize,
    until: Instant,
    seen: Arc<Seen>,
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
        let counter = match status {
            200 => &seen.served,
            403 if text.contains("reconnect_required") => &seen.reconnect,
            502..=504 => &seen.unavailable,
            _ => {
                eprintln!("{text}");
                &seen.other
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn config(world: &World, store: &str, listen: &str) -> String {
    world.proxy_toml(listen, store, KEY) + "\n[limits]\ntenant_timeout = \"2s\"\n"
}

fn start_callers(
    world: &World,
    addresses: &[String],
    path: &'static str,
    until: Instant,
) -> (Arc<Seen>, Vec<tokio::task::JoinHandle<()>>) {
    let seen = Arc::new(Seen::default());
    let calls = (0..CALLERS).map(|number| {
        let address = addresses[number % addresses.len()].clone();
        let token = world.tenant.token_for(&subject(number % USERS));
        tokio::spawn(caller((address, path), token, number, until, Arc::clone(&seen)))
    });
    let calls = calls.collect();
    (seen, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_renew_each_grant_once_however_many_callers_leave() {
    let world = world().await;
    let store = Postgres::shared().database();
    let first = Child::serve(&config(&world, &store, "127.0.0.1:0"), &[]).await;
    let second = Child::serve(&config(&world, &store, "127.0.0.1:0"), &[]).await;
    let until = now() + storm() / 2;
    let (seen, calls) = start_callers(&world, &[first.proxy.clone(), second.proxy.clone()], PATH, until);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(world.bitbucket.reuses(), 0);
    assert_eq!(seen.reconnect.load(Ordering::Relaxed), 0);
    assert_eq!(seen.other.load(Ordering::Relaxed), 0);
    let renewals = world.bitbucket.refreshes();
    // Each grant anew about every second, and not much more often.
    let most = USERS as u64 * (storm().as_secs() / 2 + 2) * 2;
    assert!(renewals >= USERS as u64 * 3 && renewals <= most, "{renewals} renewals, at most {most}");
    assert!(seen.served.load(Ordering::Relaxed) > 1000, "{} served", seen.served.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_again_and_again_costs_no_grant_but_by_a_lost_answer() {
    let world = world().await;
    let store = Postgres::shared().database();
    survive_kills(&world, &store, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_on_a_file_survives_being_killed_as_well() {
    let world = world().await;
    let file = child::folder().join("grants.db");
    survive_kills(&world, &format!("sqlite:{}", file.display()), false).await;
}

/// A certified OpenID provider, which revokes a whole grant when a refresh token comes twice. `tests/run` installs it.
struct Judge {
    issuer: String,
    refresh_tokens: Vec<String>,
    /// Ends when its input does.
    _process: std::process::Child,
}

impl Judge {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge");
        assert!(
            folder.join("node_modules/oidc-provider").exists(),
            "npm's oidc-provider is missing; tests/run installs it"
        );
        let mut command = Command::new("node");
        command.args(["judge.js", &USERS.to_string(), &LIFE.as_secs().to_string()]).current_dir(folder);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node is there");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        let users = told["users"].as_array().unwrap();
        let refresh_tokens = users.iter().map(|user| user["refresh_token"].as_str().unwrap().to_owned()).collect();
        Self { issuer: told["issuer"].as_str().unwrap().to_owned(), refresh_tokens, _process: process }
    }

    async fn report(&self) -> serde_json::Value {
        reqwest::get(format!("{}/report", self.issuer)).await.unwrap().json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_provider_sees_no_refresh_token_twice() {
    let judge = Judge::start();
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    for (user, refresh_token) in judge.refresh_tokens.iter().enumerate() {
        let identity = Identity::new("judge", format!("account-{user}").as_str());
        let identity = identity.access_token("of-the-sign-in-and-long-dead").refresh_token(refresh_token).expires_in(1);
        let signed_in = User::new(&subject(user)).with(identity);
        world.tenant.add_user(User { last_login: Some(world.clock.now().minus(LIFE * 2)), ..signed_in });
    }
    let store = Postgres::shared().database();
    let issuer = &judge.issuer;
    let provider = format!(
        "\n[providers.judge]\nconnection = \"judge\"\nbase_url = \"{issuer}\"\ntoken_url = \"{issuer}/token\"\n\
         client_id = \"rp\"\nclient_secret = \"s3cret\"\nrotates = true\n"
    );
    let config = config(&world, &store, "127.0.0.1:0") + &provider;
    let (first, second) = (Child::serve(&config, &[]).await, Child::serve(&config, &[]).await);
    let until = now() + storm();
    let addresses = [first.proxy.clone(), second.proxy.clone()];
    let (seen, calls) = start_callers(&world, &addresses, "/proxy/judge/me", until);
    for call in calls {
        call.await.unwrap();
    }
    let report = judge.report().await;
    assert_eq!((&report["revoked"], &report["refused"]), (&0.into(), &serde_json::json!([])), "{report}");
    assert!(report["renewals"].as_u64().unwrap() >= USERS as u64 * 3, "{report}");
    assert_eq!(seen.reconnect.load(Ordering::Relaxed), 0);
    assert_eq!(seen.other.load(Ordering::Relaxed), 0);
    assert!(seen.served.load(Ordering::Relaxed) > 1000, "{} served", seen.served.load(Ordering::Relaxed));
}

async fn survive_kills(world: &World, store: &str, has_neighbour: bool) {
    let neighbour = match has_neighbour {
        true => Some(Child::serve(&config(world, store, "127.0.0.1:0"), &[]).await),
        false => None,
    };
    let mut victim = Child::serve(&config(world, store, "127.0.0.1:0"), &[]).await;
    let address = victim.proxy.clone();
    let mut addresses = vec![address.clone()];
    addresses.extend(neighbour.as_ref().map(|neighbour| neighbour.proxy.clone()));
    let until = now() + storm();
    let (seen, calls) = start_callers(world, &addresses, PATH, until);
    let mut kills = 0;
    while now() + Duration::from_secs(4) < until {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        victim.signal(Signal::KILL);
        victim.exit().await;
        kills += 1;
        victim = Child::serve(&config(world, store, &address), &[]).await;
    }
    for call in calls {
        call.await.unwrap();
    }
    let (reuses, reconnects) = (world.bitbucket.reuses(), seen.reconnect.load(Ordering::Relaxed));
    assert!(kills >= 3, "{kills} kills");
    // A kill can lose the answers to the renewals under way, and nothing else can.
    assert!(reuses <= kills * USERS as u64 / 2, "{reuses} reuses in {kills} kills");
    assert!(reuses > 0 || reconnects == 0, "{reconnects} callers were sent away, and no answer was lost");
    assert_eq!(seen.other.load(Ordering::Relaxed), 0);
    // Whoever was not told to connect anew has a token that is good.
    for user in 0..USERS {
        let token = world.tenant.token_for(&subject(user));
        let mut answer = ask(&address, PATH, &token).await.unwrap();
        let begun = now();
        while answer.0 >= 500 && now() - begun < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer = ask(&address, PATH, &token).await.unwrap();
        }
        let (status, text) = answer;
        assert!(status == 200 || (status == 403 && text.contains("reconnect_required")), "{status}: {text}");
    }
}
