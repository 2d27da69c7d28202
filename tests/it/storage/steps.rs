//! One renewal, and a process that is killed at each of its steps. Whoever comes next has a good token, or is told
//! clearly that a new sign-in is needed; never anything else.

use idp_proxy::command::dev::fault::Fault;

use super::*;

/// A process with a renewal ahead of it.
struct Ahead {
    world: World,
    store: String,
    child: Child,
}

impl Ahead {
    async fn start() -> Self {
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        let store = Postgres::shared().database();
        let child = Child::serve(&config(&world, &store), &[]).await.ready().await;
        assert_eq!(get(&child.proxy, &world.alice(), "bitbucket").await.0, 200);
        let token = world.tenant.user(ALICE).unwrap().identity("bitbucket").unwrap().access_token.clone().unwrap();
        world.bitbucket.kill_access_token(&token);
        Self { world, store, child }
    }

    /// A call that will need the renewal.
    fn call(&self) {
        let (address, token) = (self.child.proxy.clone(), self.world.alice());
        tokio::spawn(async move {
            // The process is killed over it.
            let _ = tokio::spawn(async move { get(&address, &token, "bitbucket").await }).await;
        });
    }

    /// Kills the process and starts it anew. What its callers get, once the dead one's lease has run out.
    async fn kill(mut self) -> (Self, u16, String) {
        self.child.signal(Signal::KILL);
        self.child.exit().await;
        self.child = Child::serve(&config(&self.world, &self.store), &[]).await.ready().await;
        let mut outcome = get(&self.child.proxy, &self.world.alice(), "bitbucket").await;
        for _ in 0..100 {
            // A refusal whose renewal failed is relayed; the next call says what it means.
            if outcome.0 < 500 && outcome.0 != 401 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            outcome = get(&self.child.proxy, &self.world.alice(), "bitbucket").await;
        }
        (self, outcome.0, outcome.1)
    }

    async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.store).await.unwrap()
    }

    /// Waits until the provider has been asked.
    async fn asked(&self) {
        for _ in 0..500 {
            if self.world.bitbucket.calls(Side::Token) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing was sent");
    }
}

fn config(world: &World, store: &str) -> String {
    world.proxy_toml("127.0.0.1:0", store, KEY) + "\n[limits]\ntenant_timeout = \"2s\"\n"
}

const HOLD: &str = "SELECT 1 FROM grants WHERE connection = 'bitbucket' FOR UPDATE";

#[tokio::test(flavor = "multi_thread")]
async fn before_the_mark_is_written() {
    let ahead = Ahead::start().await;
    let mut database = ahead.database().await;
    let mut holds = database.begin().await.unwrap();
    sqlx::query(HOLD).execute(&mut *holds).await.unwrap();
    ahead.call();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let killed = tokio::spawn(ahead.kill());
    tokio::time::sleep(Duration::from_millis(300)).await;
    holds.rollback().await.unwrap();
    let (ahead, status, _) = killed.await.unwrap();
    assert_eq!((status, ahead.world.bitbucket.reuses()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_was_sent_and_the_provider_has_not_done_it_yet() {
    let ahead = Ahead::start().await;
    // The connection is closed before anything is done.
    ahead.world.bitbucket.fail(Side::Token, Fault::Reset.times(1));
    ahead.call();
    ahead.asked().await;
    let (ahead, status, _) = ahead.kill().await;
    assert_eq!((status, ahead.world.bitbucket.reuses()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_has_done_it_and_the_answer_is_on_its_way() {
    let ahead = Ahead::start().await;
    ahead.world.bitbucket.fail(Side::Token, Fault::LoseAnswer.times(1));
    ahead.call();
    ahead.asked().await;
    let (_, status, code) = ahead.kill().await;
    assert_eq!((status, code.as_str()), (403, "reconnect_required"), "a lost answer, and it is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_is_there_and_not_written_yet() {
    let ahead = Ahead::start().await;
    ahead.world.bitbucket.delay(Side::Token, Duration::from_millis(800));
    ahead.call();
    ahead.asked().await;
    let mut database = ahead.database().await;
    let mut holds = database.begin().await.unwrap();
    sqlx::query(HOLD).execute(&mut *holds).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(ahead.world.bitbucket.refreshes(), 1);
    ahead.world.bitbucket.delay(Side::Token, Duration::ZERO);
    let killed = tokio::spawn(ahead.kill());
    tokio::time::sleep(Duration::from_millis(300)).await;
    // What the dead process had sent to the database may still be carried out, which would be as good.
    holds.rollback().await.unwrap();
    let (ahead, status, code) = killed.await.unwrap();
    let is_good = status == 200 && ahead.world.bitbucket.reuses() == 0;
    assert!(is_good || (status, code.as_str()) == (403, "reconnect_required"), "{status} {code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_is_written() {
    let ahead = Ahead::start().await;
    assert_eq!(get(&ahead.child.proxy, &ahead.world.alice(), "bitbucket").await.0, 200);
    assert_eq!(ahead.world.bitbucket.refreshes(), 1);
    let (ahead, status, _) = ahead.kill().await;
    assert_eq!((status, ahead.world.bitbucket.refreshes(), ahead.world.bitbucket.reuses()), (200, 1, 0));
}
