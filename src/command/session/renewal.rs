//! Access tokens that are good for a call: what is held, or one had with the refresh token.

use std::time::Duration;

use super::file::{Session, SessionFile, Sessions};
use super::granted::Granted;
use super::tenant::{Form, Http};
use super::{Failure, Place};
use crate::clock::{Clock, Timestamp};
use crate::config::Env;

/// An access token with less of its life left than this is renewed before it is handed out, if it can be.
const LEFT_MIN: Duration = Duration::from_secs(60);

/// A session whose access token is good for a while yet, and the origin of its proxy.
pub(in crate::command) async fn session(place: &Place, env: &dyn Env) -> Result<(String, Session), Failure> {
    let proxy = place.proxy(env)?;
    let held = find(SessionFile::of(env)?.read()?, &proxy)?;
    if is_good(&held, Clock::system().now()) {
        return Ok((proxy, held));
    }
    let renewed = renew(SessionFile::of(env)?, &proxy).await?;
    Ok((proxy, renewed))
}

/// Renews the session, as the one process that does so. A refresh token that rotates is good for once: spent twice, it
/// would end the session.
async fn renew(file: SessionFile, proxy: &str) -> Result<Session, Failure> {
    // Between processes: nothing in this one waits for it.
    let locked = file.lock()?;
    let mut sessions = locked.read()?;
    let http = Http::new()?;
    let mut session = find(sessions.clone(), proxy)?;
    if is_good(&session, http.clock().now()) {
        // Another process was first.
        return Ok(session);
    }
    let lives = session.expires_at > http.clock().now();
    let granted = match refresh(&http, &session, proxy).await {
        Ok(granted) => granted,
        // What is held is good to its end, unless the tenant says that the session is over.
        Err(failure) if lives && (failure.is_out_of_reach() || session.refresh_token.is_none()) => return Ok(session),
        Err(failure) => return Err(failure),
    };
    session.expires_at = granted.expires_at(http.clock().now())?;
    session.access_token = granted.access_token;
    // RFC 6749 §6: without a new one the old one stays good.
    session.refresh_token = granted.refresh_token.or(session.refresh_token);
    sessions.insert(proxy.to_owned(), session.clone());
    // Before the access token is of use to anybody: the old refresh token may be worth nothing now.
    locked.write(&sessions)?;
    Ok(session)
}

async fn refresh(http: &Http, session: &Session, proxy: &str) -> Result<Granted, Failure> {
    let no_refresh_token =
        || Failure::login_needed("the session is over, and the tenant gave no refresh token to renew it with", proxy);
    let refresh_token = session.refresh_token.as_ref().ok_or_else(no_refresh_token)?;
    let form = Form::new(&[("grant_type", "refresh_token"), ("client_id", &session.client_id)]);
    let form = form.secret("refresh_token", refresh_token);
    http.grant(&session.token_endpoint, &form).await.map_err(|trouble| {
        if trouble.is_refusal(&["invalid_grant"]) {
            return Failure::login_needed("the session is over", proxy);
        }
        trouble.failure(&format!("the tenant {}", session.issuer))
    })
}

fn find(mut sessions: Sessions, proxy: &str) -> Result<Session, Failure> {
    sessions.remove(proxy).ok_or_else(|| Failure::login_needed(format!("not logged in to {proxy}"), proxy))
}

fn is_good(session: &Session, now: Timestamp) -> bool {
    session.expires_at.since(now) >= LEFT_MIN
}
