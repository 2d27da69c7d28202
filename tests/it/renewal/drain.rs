//! SIGTERM while a renewal is under way. Its answer is in the store before the process is gone, whoever waits for it.

use idp_proxy::command::dev::provider::{Behaviour, ProviderSettings};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::support::Child;
use crate::support::child::{self, Signal};

/// What the provider takes for a renewal.
const SLOW: Duration = Duration::from_secs(2);

/// A process that has asked a slow provider for a renewal, and its caller's connection.
struct UnderWay {
    world: World,
    config: String,
    child: Child,
    caller: TcpStream,
    /// How many renewals there were before.
    earlier: u64,
}

impl UnderWay {
    async fn start(limits: &str) -> Self {
        let life = Duration::from_secs(1);
        let bitbucket =
            ProviderSettings { behaviour: Behaviour::Rotates { life }, ..WorldSettings::default().bitbucket };
        let settings = WorldSettings { bitbucket, ..WorldSettings::default() };
        let world = World::start(Clock::system(), settings).await.unwrap();
        let store = format!("sqlite:{}", child::folder().join("grants.db").display());
        let config = format!("{}\n[limits]\n{limits}\n", world.proxy_toml("127.0.0.1:0", &store, KEY));
        let child = Child::serve(&config, &[]).await.ready().await;
        assert_eq!(child.get(&world.alice(), "/proxy/bitbucket/user").await.status, 200);
        tokio::time::sleep(life).await;
        world.bitbucket.delay(Side::Token, SLOW);
        let earlier = world.bitbucket.refreshes();
        let asked = calls(&world.bitbucket);
        let mut caller = TcpStream::connect(&child.proxy).await.unwrap();
        let head = format!(
            "GET /proxy/bitbucket/user HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
            world.alice()
        );
        caller.write_all(head.as_bytes()).await.unwrap();
        child::eventually(|| (calls(&world.bitbucket) > asked).then_some(())).await.expect("nothing was sent");
        Self { world, config, child, caller, earlier }
    }

    /// Waits for the end of the process, and starts it again with a provider that answers at once.
    async fn restart(mut self) -> (World, Child) {
        assert_eq!(self.child.exit().await.code(), Some(0), "{}", self.child.log());
        assert_eq!(self.world.bitbucket.refreshes(), self.earlier + 1, "it did not wait for the answer");
        self.world.bitbucket.delay(Side::Token, Duration::ZERO);
        let child = Child::serve(&self.config, &[]).await.ready().await;
        (self.world, child)
    }
}

/// What was renewed is held, and can be renewed.
async fn serves(world: &World, child: &Child) {
    for _ in 0..3 {
        let answer = child.get(&world.alice(), "/proxy/bitbucket/user").await;
        assert_eq!((answer.status, world.bitbucket.reuses()), (200, 0), "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    assert!(world.bitbucket.refreshes() >= 3);
}

#[tokio::test]
async fn the_caller_of_a_renewal_under_way_is_served_before_the_process_ends() {
    let mut under_way = UnderWay::start("").await;
    under_way.child.signal(Signal::TERM);
    let answer = client::read_answer(&mut under_way.caller, false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (world, child) = under_way.restart().await;
    serves(&world, &child).await;
}

#[tokio::test]
async fn a_renewal_whose_caller_has_left_is_waited_for_as_well() {
    let mut under_way = UnderWay::start("").await;
    under_way.caller.shutdown().await.unwrap();
    under_way.caller = TcpStream::connect(&under_way.child.admin).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    under_way.child.signal(Signal::TERM);
    let (world, child) = under_way.restart().await;
    serves(&world, &child).await;
}

#[tokio::test]
async fn a_drain_that_is_over_sooner_cuts_the_caller_and_not_the_renewal() {
    let under_way = UnderWay::start("drain = \"1s\"").await;
    under_way.child.signal(Signal::TERM);
    under_way.child.logged("cut off").await;
    let (world, child) = under_way.restart().await;
    serves(&world, &child).await;
}
