//! The device flow (RFC 8628): a code that is entered in a browser anywhere.

use std::time::Duration;

use serde::Deserialize;

use super::super::session::granted::Granted;
use super::super::session::tenant::{Form, Http, Trouble, legible};
use super::super::session::{Failure, say};
use super::{Request, SCOPE};
use crate::config::is_protected_url;
use crate::secret::Secret;

/// RFC 8628 §3.4.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The longest pause between two polls of a tenant that is out of reach.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// RFC 8628 §3.2.
#[derive(Deserialize)]
struct Started {
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default = "usual_interval")]
    interval: u64,
}

const fn usual_interval() -> u64 {
    5
}

/// What a poll comes to.
enum Poll {
    Granted(Granted),
    Pending,
    TooFast,
    OutOfReach(Failure),
}

/// Shows a code, and waits until somebody has allowed it.
pub(super) async fn login(http: &Http, request: &Request) -> Result<Granted, Failure> {
    let none = || Failure::failed("the tenant has no device flow");
    let endpoint = request.issuer.device_authorization_endpoint.as_ref().ok_or_else(none)?;
    let form = Form::new(&[("client_id", &request.client_id), ("scope", SCOPE), ("audience", &request.audience)]);
    let started: Started = http.grant(endpoint, &form).await.map_err(|trouble| refused(trouble, request))?;
    show(&started)?;
    let ends = http.clock().instant() + Duration::from_secs(started.expires_in);
    let mut interval = Duration::from_secs(started.interval.max(1));
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        let unreachable = match poll(http, request, &started).await? {
            Poll::Granted(granted) => return Ok(granted),
            Poll::Pending => {
                pause = interval;
                None
            }
            // RFC 8628 §3.5: five seconds more, from now on.
            Poll::TooFast => {
                interval += Duration::from_secs(5);
                pause = interval;
                None
            }
            // The same section: ever more rarely.
            Poll::OutOfReach(failure) => {
                pause = (pause * 2).min(PAUSE_MAX);
                Some(failure)
            }
        };
        if http.clock().instant() >= ends {
            return Err(unreachable.unwrap_or_else(expired));
        }
    }
}

fn show(started: &Started) -> Result<(), Failure> {
    let page = started.verification_uri_complete.as_ref().unwrap_or(&started.verification_uri);
    if !is_protected_url(page) {
        return Err(Failure::failed("the tenant's page for the code is not https"));
    }
    say(&format!(
        "Open this page in a browser, on any machine:\n\n  {}\n\nIt must show this code: {}\n\nwaiting for up to {} \
         minutes; Ctrl-C ends it",
        legible(page),
        legible(&started.user_code),
        started.expires_in.div_ceil(60),
    ));
    Ok(())
}

async fn poll(http: &Http, request: &Request, started: &Started) -> Result<Poll, Failure> {
    let form = Form::new(&[("grant_type", GRANT), ("client_id", &request.client_id)]);
    let form = form.secret("device_code", &started.device_code);
    match http.grant(&request.issuer.token_endpoint, &form).await {
        Ok(granted) => Ok(Poll::Granted(granted)),
        Err(Trouble::Refused { error, description }) => match error.as_str() {
            "authorization_pending" => Ok(Poll::Pending),
            "slow_down" => Ok(Poll::TooFast),
            "access_denied" => Err(Failure::denied(&description)),
            "expired_token" => Err(expired()),
            _ => Err(refused(Trouble::Refused { error, description }, request)),
        },
        Err(trouble @ Trouble::OutOfReach(_)) => Ok(Poll::OutOfReach(refused(trouble, request))),
        Err(trouble @ Trouble::Nonsense(_)) => Err(refused(trouble, request)),
    }
}

fn expired() -> Failure {
    Failure::not_logged_in("nobody allowed the code in time; try again")
}

fn refused(trouble: Trouble, request: &Request) -> Failure {
    if trouble.is_refusal(&["unauthorized_client", "invalid_client"]) {
        return Failure::misused(format!(
            "the tenant does not let people log in to the application {} by a code; it must be a native one with the grant \
             Device Code",
            request.client_id,
        ));
    }
    trouble.failure(&format!("the tenant {}", request.issuer.issuer))
}
