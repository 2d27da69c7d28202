//! A grant that was renewed is good at the provider whatever the tenant says. Who has it loses service all the same.

use super::*;
use crate::support::refused;

/// The default of `recheck`.
const RECHECK: Duration = Duration::from_secs(600);
/// Longer than a refusal is believed.
const SECONDS: Duration = Duration::from_secs(6);

const PROVIDERS: [&str; 2] = ["google", "bitbucket"];

/// Alice's tokens were renewed at both providers, and are held.
async fn renewed(name: &str) -> Life {
    let life = Life::start(name).await;
    for _ in 0..2 {
        for provider in PROVIDERS {
            assert_eq!(life.get(provider).await.status, 200);
        }
        life.later();
    }
    for provider in PROVIDERS {
        assert_eq!(life.get(provider).await.status, 200);
    }
    assert_eq!((life.world.google.refreshes(), life.world.bitbucket.refreshes()), (2, 2));
    life
}

impl Life {
    /// Nothing reaches a provider any more.
    async fn refuses(&self, status: u16, code: &str) {
        let reached = || [&self.world.google, &self.world.bitbucket].map(|provider| provider.calls(Side::Api));
        let before = reached();
        for provider in PROVIDERS {
            refused(&self.get(provider).await, status, code);
        }
        assert_eq!(reached(), before, "a token was sent for who may not have it");
    }

    async fn serves(&self) {
        for provider in PROVIDERS {
            let answer = self.get(provider).await;
            assert_eq!(answer.status, 200, "{provider}: {}", answer.text());
        }
        assert_eq!(self.world.bitbucket.reuses(), 0);
    }
}

#[tokio::test]
async fn a_blocked_user_loses_a_renewed_grant_within_recheck_and_has_it_back_when_unblocked() {
    let life = renewed("blocked").await;
    life.world.tenant.with_user(ALICE, |user| user.blocked = Some(true));
    life.world.clock.advance(RECHECK);
    life.refuses(403, "user_blocked").await;
    // Not when the token would have been renewed either.
    life.later();
    life.refuses(403, "user_blocked").await;
    assert_eq!((life.world.google.refreshes(), life.world.bitbucket.refreshes()), (2, 2), "renewed for a blocked user");
    life.world.tenant.with_user(ALICE, |user| user.blocked = Some(false));
    life.world.clock.advance(SECONDS);
    life.serves().await;
}

#[tokio::test]
async fn a_deleted_user_loses_a_renewed_grant_within_recheck() {
    let life = renewed("deleted").await;
    life.world.tenant.remove_user(ALICE);
    life.world.clock.advance(RECHECK);
    life.refuses(403, "no_user").await;
    life.later();
    life.refuses(403, "no_user").await;
}

#[tokio::test]
async fn an_unlinked_account_loses_its_renewed_grant_within_recheck_and_no_other_does() {
    let life = renewed("unlinked").await;
    let unlink = |connection: &'static str| {
        life.world.tenant.with_user(ALICE, |user| user.identities.retain(|identity| identity.connection != connection))
    };
    unlink("bitbucket").unwrap();
    life.world.clock.advance(RECHECK);
    refused(&life.get("bitbucket").await, 403, "not_connected");
    assert_eq!(life.get("google").await.status, 200);
    unlink("google-oauth2").unwrap();
    life.world.clock.advance(RECHECK);
    life.refuses(403, "not_connected").await;
    life.later();
    life.refuses(403, "not_connected").await;
}

#[tokio::test]
async fn a_restart_does_not_bring_a_renewed_grant_back_to_who_may_not_have_it() {
    let life = renewed("restarted").await;
    life.world.tenant.with_user(ALICE, |user| user.blocked = Some(true));
    let life = life.restart().await;
    life.refuses(403, "user_blocked").await;
}
