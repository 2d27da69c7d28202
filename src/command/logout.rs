//! `idp-proxy logout`: the session is forgotten here, and its refresh token revoked at the tenant.

use clap::Args;

use super::Exit;
use super::session::file::{Session, SessionFile, Sessions};
use super::session::tenant::{Form, Http};
use super::session::{Failure, Place, run as run_session, say};
use crate::config::Env;

/// What was asked for on the command line.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// End the sessions at every proxy
    #[arg(long, conflicts_with = "proxy")]
    all: bool,
}

/// Ends the sessions.
pub(super) fn run(options: &Options, env: &dyn Env) -> Exit {
    run_session(async {
        let proxy = if options.all { None } else { Some(options.place.proxy(env)?) };
        let ended = forget(env, proxy.as_deref())?;
        if ended.is_empty() {
            say(&format!("not logged in{}", proxy.map(|proxy| format!(" to {proxy}")).unwrap_or_default()));
            return Ok(());
        }
        let http = Http::new()?;
        let mut outcome = Ok(());
        for (proxy, session) in &ended {
            say(&format!("logged out of {proxy}"));
            if let Err(failure) = revoke(&http, session).await {
                outcome = Err(failure);
            }
        }
        outcome
    })
}

/// First of all nobody here uses it any more, whatever the tenant says.
fn forget(env: &dyn Env, proxy: Option<&str>) -> Result<Sessions, Failure> {
    let file = SessionFile::of(env)?;
    if file.read()?.is_empty() {
        return Ok(Sessions::new());
    }
    let locked = file.lock()?;
    let (ended, kept) = locked.read()?.into_iter().partition(|(at, _)| proxy.is_none_or(|proxy| proxy == at));
    locked.write(&kept)?;
    Ok(ended)
}

async fn revoke(http: &Http, session: &Session) -> Result<(), Failure> {
    let (Some(refresh_token), Some(endpoint)) = (&session.refresh_token, &session.revocation_endpoint) else {
        return Ok(());
    };
    let form = Form::new(&[("client_id", &session.client_id), ("token_type_hint", "refresh_token")]);
    let form = form.secret("token", refresh_token);
    http.revoke(endpoint, &form).await.map_err(|trouble| {
        trouble.failure(&format!("the session is forgotten here, but not revoked: the tenant {}", session.issuer))
    })
}
