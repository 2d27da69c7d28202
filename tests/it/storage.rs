//! Bad days of the store and of its neighbours: what memory holds is served, and nothing is guessed.

use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::{Behaviour, ProviderSettings, Side};
use idp_proxy::command::dev::tenant::{Identity, User};
use idp_proxy::command::dev::{ALICE, World, WorldSettings};
use idp_proxy::server::Server;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::support::child::{Child, Signal};
use crate::support::durable::{self, KEY, readiness};
use crate::support::postgres::Postgres;
use crate::support::{client, refused};

mod damage;
mod fleet;
mod steps;

async fn serve(world: &World, store: &str, auth0: &str, more: &str) -> Server {
    let toml = world.proxy_toml("127.0.0.1:0", store, KEY);
    durable::serve(world, &toml.replace("[auth0]\n", &format!("{more}\n[auth0]\n{auth0}\n"))).await
}

async fn get(address: &str, token: &str, provider: &str) -> (u16, String) {
    let authorization = format!("Bearer {token}");
    let path = format!("/proxy/{provider}/user");
    let answer = client::send(address, "GET", &path, &[("authorization", &authorization)], b"").await;
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_memory_serves_and_no_refresh_token_is_spent_that_is_replaced() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let store = Postgres::shared().database();
    let server = serve(&world, &store, "", "").await;
    let (address, alice, bob) = (server.proxy().to_string(), world.alice(), world.bob());
    assert_eq!(get(&address, &alice, "bitbucket").await.0, 200);
    let mut database = PgConnection::connect(&store).await.unwrap();
    for table in ["grants", "leases", "marks"] {
        let away = format!("ALTER TABLE {table} RENAME TO {table}_away");
        sqlx::raw_sql(sqlx::AssertSqlSafe(away)).execute(&mut database).await.unwrap();
    }
    assert_eq!(get(&address, &alice, "bitbucket").await.0, 200, "held in memory");
    assert_eq!(get(&address, &bob, "github").await.0, 200, "needs no store");
    assert_eq!(get(&address, &bob, "google").await.0, 200, "its refresh token is never replaced");
    assert_eq!(readiness(&server, 503).await, "not ready: no answer from the store\n");
    world.clock.advance(Duration::from_secs(3601));
    assert_eq!(get(&address, &alice, "bitbucket").await, (503, "store_unavailable".to_owned()));
    assert_eq!(world.bitbucket.calls(Side::Token), 0);
    assert_eq!(get(&address, &bob, "google").await.0, 200, "renewed, and kept in memory");
    assert_eq!(world.google.refreshes(), 1);
    for table in ["grants", "leases", "marks"] {
        let back = format!("ALTER TABLE {table}_away RENAME TO {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(back)).execute(&mut database).await.unwrap();
    }
    readiness(&server, 200).await;
    // Callers share a failure for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(get(&address, &alice, "bitbucket").await.0, 200);
    assert_eq!(get(&address, &bob, "google").await.0, 200);
    assert_eq!((world.bitbucket.refreshes(), world.bitbucket.reuses()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_one_that_is_down() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let database = Postgres::own();
    let patience = Duration::from_secs(5);
    let server = serve(&world, &database.database(), "", "[limits]\ntoken_wait = \"5s\"").await;
    let (address, alice, bob) = (server.proxy().to_string(), world.alice(), world.bob());
    assert_eq!(get(&address, &alice, "bitbucket").await.0, 200);
    world.tenant.add_user(User::new("auth0|carol").with(Identity::new("bitbucket", "3")));
    assert!(world.tenant.sign_in("auth0|carol", "bitbucket"));
    database.freeze();
    let begun = world.clock.instant();
    assert_eq!(get(&address, &alice, "bitbucket").await.0, 200, "held in memory");
    assert_eq!(get(&address, &bob, "google").await.0, 200, "needs no store, and does not wait for one for ever");
    assert!(world.clock.instant() - begun < patience);
    let (begun, carol) = (world.clock.instant(), world.tenant.token_for("auth0|carol"));
    assert_eq!(get(&address, &carol, "bitbucket").await, (503, "store_unavailable".to_owned()));
    assert!(world.clock.instant() - begun < patience, "whoever waits is told before their patience ends");
    assert_eq!(readiness(&server, 503).await, "not ready: no answer from the store\n");
    let metrics = client::send(&server.admin().to_string(), "GET", "/metrics", &[], b"").await.text();
    assert!(metrics.contains("idp_proxy_store_failures_total{class=\"silent\"} "), "{metrics}");
    database.thaw();
    readiness(&server, 200).await;
    // Callers share a failure for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(get(&address, &bob, "google").await.0, 200);
    world.clock.advance(Duration::from_secs(3601));
    assert_eq!(get(&address, &alice, "bitbucket").await.0, 200);
    assert_eq!((world.bitbucket.refreshes(), world.bitbucket.reuses()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sleeps_beyond_its_lease_does_not_spend_what_a_neighbour_has_spent() {
    let life = Duration::from_secs(1);
    let bitbucket = ProviderSettings { behaviour: Behaviour::Rotates { life }, ..WorldSettings::default().bitbucket };
    let world = World::start(Clock::system(), WorldSettings { bitbucket, ..WorldSettings::default() }).await.unwrap();
    let store = Postgres::shared().database();
    let config = world.proxy_toml("127.0.0.1:0", &store, KEY) + "\n[limits]\ntenant_timeout = \"1s\"\n";
    let sleeper = Child::serve(&config, &[]).await.ready().await;
    let neighbour = Child::serve(&config, &[]).await.ready().await;
    assert_eq!(get(&sleeper.proxy, &world.alice(), "bitbucket").await.0, 200);
    tokio::time::sleep(life).await;

    // The sleeper marks its attempt, and falls asleep before it hears that the mark was written.
    let mut database = PgConnection::connect(&store).await.unwrap();
    let mut holds = database.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM grants WHERE connection = 'bitbucket' FOR UPDATE").execute(&mut *holds).await.unwrap();
    let sent = world.bitbucket.calls(Side::Token);
    let call = tokio::spawn({
        let (address, token) = (sleeper.proxy.clone(), world.alice());
        async move { get(&address, &token, "bitbucket").await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    sleeper.signal(Signal::STOP);
    holds.commit().await.unwrap();
    assert_eq!(world.bitbucket.calls(Side::Token), sent, "it was stopped before it sent anything");

    // The neighbour waits for the lease to run out, and renews.
    let mut answer = get(&neighbour.proxy, &world.alice(), "bitbucket").await;
    for _ in 0..20 {
        if answer.0 == 200 {
            break;
        }
        answer = get(&neighbour.proxy, &world.alice(), "bitbucket").await;
    }
    assert_eq!(answer.0, 200);
    sleeper.signal(Signal::CONT);
    let _ = call.await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(life / 2).await;
        for child in [&sleeper, &neighbour] {
            assert_eq!(get(&child.proxy, &world.alice(), "bitbucket").await.0, 200);
        }
    }
    assert_eq!(world.bitbucket.reuses(), 0);
}
