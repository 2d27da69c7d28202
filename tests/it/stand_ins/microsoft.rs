//! Microsoft, emulated: a refresh token is replaced, and the old one refused, which is stricter than the real one.

use std::time::Duration;

use super::emulator::{CLIENT, Pages};
use super::{Emulator, USERS, mixed};
use crate::support::rig;

const PAGES: Pages = Pages {
    consent: "/oauth2/v2.0/authorize/callback",
    token: "/oauth2/v2.0/token",
    scope: "scope=openid User.Read offline_access",
};
const HOUR: Duration = Duration::from_secs(3601);

#[tokio::test]
async fn emulated_microsoft_is_never_shown_a_refresh_token_that_it_has_replaced() {
    let microsoft = Emulator::start("microsoft", PAGES).await;
    let lines = format!("rotates = true\ntoken_url = \"{}\"\n{CLIENT}", microsoft.token_url());
    let rig = rig().with("store", &microsoft.store()).provider_at("microsoft", &microsoft.url, &lines).start().await;
    let first = microsoft.sign_all_in(&rig, "microsoft").await;
    for round in 1..=3 {
        for (user, answer) in mixed(&rig, "/proxy/microsoft/v1.0/me").await {
            assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
            let me = answer.json();
            assert_eq!(me["mail"], format!("{user}@example.com"), "round {round}");
            let context = me["@odata.context"].as_str().unwrap();
            assert!(context.starts_with(&format!("http://{}/proxy/microsoft/", rig.address())), "{context}");
        }
        assert_eq!(microsoft.renewals().await, USERS.len() * round, "one for each user who calls");
        rig.clock.advance(HOUR);
    }
    for refresh_token in first {
        let form =
            format!("grant_type=refresh_token&client_id=client&client_secret=s3cret&refresh_token={refresh_token}");
        let refused = microsoft.submit(PAGES.token, &form).await;
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_grant")));
    }
}
