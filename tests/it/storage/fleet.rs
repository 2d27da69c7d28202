//! Replicas that share what the tenant allows.

use std::time::Instant;

use idp_proxy::command::dev::tenant::{Endpoint, RateLimit, TenantSettings};
use tokio::task::JoinHandle;

use super::*;

/// New users, a second apart. Whoever comes first is few enough to be served by the time the last ones come; those are far
/// too many.
const WAVES: [usize; 3] = [6, 6, 488];
const APART: Duration = Duration::from_secs(1);
/// `token_wait`.
const PATIENCE: Duration = Duration::from_secs(8);
/// What the tenant allows a second, and what is configured.
const ALLOWED: u64 = 2;

fn subject(wave: usize, user: usize) -> String {
    format!("github|{wave}-{user}")
}

/// A tenant that refuses a call too many. It allows for a few that come a little early.
async fn strict_world() -> World {
    let rate_limit = Some(RateLimit { per_second: ALLOWED as f64, burst: 3, retry_after: true });
    let tenant = TenantSettings { rate_limit, ..TenantSettings::default() };
    let world = World::start(Clock::system(), WorldSettings { tenant, ..WorldSettings::default() }).await.unwrap();
    for (wave, users) in WAVES.into_iter().enumerate() {
        for user in 0..users {
            let subject = subject(wave, user);
            world.tenant.add_user(User::new(&subject).with(Identity::new("github", subject.as_str())));
            assert!(world.tenant.sign_in(&subject, "github"));
        }
    }
    world
}

/// The calls of a wave, by turns at each replica.
fn begin(world: &World, replicas: &[Server; 2], wave: usize) -> Vec<JoinHandle<(u16, String)>> {
    let calls = (0..WAVES[wave]).map(|user| {
        let (address, token) = (replicas[user % 2].proxy().to_string(), world.tenant.token_for(&subject(wave, user)));
        tokio::spawn(async move { get(&address, &token, "github").await })
    });
    calls.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_new_users_of_two_replicas_share_two_calls_a_second_and_none_is_refused_that_need_not_be() {
    let world = strict_world().await;
    let store = Postgres::shared().database();
    let (budget, limits) =
        (format!("management_rps = {ALLOWED}"), format!("[limits]\ntoken_wait = \"{}s\"", PATIENCE.as_secs()));
    let replicas = [serve(&world, &store, &budget, &limits).await, serve(&world, &store, &budget, &limits).await];
    let begun: Instant = world.clock.instant();
    let mut waves = Vec::new();
    for wave in 0..WAVES.len() {
        waves.push(begin(&world, &replicas, wave));
        tokio::time::sleep(APART).await;
    }
    let (mut served, mut last, mut late) = ([0; WAVES.len()], begun, 0);
    for (wave, calls) in waves.into_iter().enumerate() {
        for call in calls {
            match call.await.unwrap() {
                (200, _) => (served[wave], last) = (served[wave] + 1, world.clock.instant()),
                // A turn that comes in the last moment can be too late for its answer, on a busy machine.
                (503, code) if wave == 2 && late == 0 && code == "tenant_unavailable" => late += 1,
                refused => assert_eq!(refused, (503, "tenant_rate_limited".to_owned()), "in wave {wave}"),
            }
        }
    }
    let took = last - begun;
    let asked = world.tenant.users_asked();
    assert_eq!(world.tenant.calls(Endpoint::Users), asked.len() as u64, "the tenant refused a call");
    assert_eq!(served[..2], WAVES[..2], "whoever could be served was");
    // Of the last wave those are served whose turn comes while they wait; a few less if the machine is busy.
    let turns = PATIENCE.as_secs() * ALLOWED;
    let total: usize = served.iter().sum();
    assert!(total as u64 + 2 >= turns, "{served:?} served in {took:?}");
    assert!(total as u64 <= took.as_secs() * ALLOWED + 2, "{served:?} served in {took:?}");
    assert_eq!(asked.len(), total + late, "each call to the tenant served somebody");
    for replica in 0..2 {
        let came = asked.iter().map(|subject| {
            let (wave, user) = subject.trim_start_matches("github|").split_once('-').unwrap();
            (wave.parse::<usize>().unwrap(), user.parse::<usize>().unwrap())
        });
        let waves: Vec<_> = came.filter(|(_, user)| user % 2 == replica).map(|(wave, _)| wave).collect();
        assert!(waves.is_sorted(), "served out of order: {waves:?}");
    }
}
