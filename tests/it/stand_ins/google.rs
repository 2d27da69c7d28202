//! Google, emulated: a refresh token is kept.

use std::time::Duration;

use super::emulator::{CLIENT, Pages};
use super::{AT_ONCE, Emulator, USERS, mixed};
use crate::support::rig;

const PAGES: Pages =
    Pages { consent: "/o/oauth2/v2/auth/callback", token: "/oauth2/token", scope: "scope=openid email profile" };
const HOUR: Duration = Duration::from_secs(3601);

#[tokio::test]
async fn emulated_google_renews_again_and_again_with_the_refresh_token_it_gave_once() {
    let google = Emulator::start("google", PAGES).await;
    let lines = format!("token_url = \"{}\"\n{CLIENT}", google.token_url());
    let rig = rig().provider_at("google", &google.url, &lines).start().await;
    google.sign_all_in(&rig, "google").await;
    for round in 1..=3 {
        let served = mixed(&rig, "/proxy/google/oauth2/v2/userinfo").await;
        assert_eq!(served.len(), AT_ONCE);
        for (user, answer) in served {
            assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
            assert_eq!(answer.json()["email"], format!("{user}@example.com"), "round {round}");
        }
        assert_eq!(google.renewals().await, USERS.len() * round, "one for each user who calls");
        rig.clock.advance(HOUR);
    }
}
