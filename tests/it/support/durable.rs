//! The proxy in this process, in front of a simulated world, with a store that outlives it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::World;
use idp_proxy::config::Config;
use idp_proxy::server::{Server, Surroundings};

use super::client;

/// A key for `[store] keys`.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A proxy with this `proxy.toml` and the world's clock, ready.
pub async fn serve(world: &World, toml: &str) -> Server {
    serve_by(&world.clock, toml).await
}

/// A proxy with this `proxy.toml` and that clock, ready.
pub async fn serve_by(clock: &Clock, toml: &str) -> Server {
    let config = Config::parse(toml, Path::new("test.toml"), &BTreeMap::new()).unwrap_or_else(|f| panic!("{f}"));
    let surroundings = Surroundings { clock: clock.clone(), ..Surroundings::default() };
    let mut started = Server::start(config.clone(), surroundings.clone()).await;
    // The last one to serve from the same file may be closing its connections still.
    for _ in 0..100 {
        if started.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        started = Server::start(config.clone(), surroundings.clone()).await;
    }
    let server = started.unwrap();
    readiness(&server, 200).await;
    server
}

/// Waits until `/readyz` answers with this status. What it says then.
pub async fn readiness(server: &Server, status: u16) -> String {
    for _ in 0..1000 {
        let answer = client::send(&server.admin().to_string(), "GET", "/readyz", &[], b"").await;
        if answer.status == status {
            return answer.text();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("/readyz did not become {status}");
}
