//! `idp-proxy login`: who is at the shell, by a browser on this machine or by a code for one anywhere.

use clap::Args;
use jsonwebtoken::dangerous::insecure_decode_claims;
use serde_json::{Map, Value};

use super::Exit;
use super::session::discovery::{Issuer, Proxy};
use super::session::file::{Session, SessionFile};
use super::session::tenant::{Granted, Http, legible};
use super::session::{Failure, Place, run as run_session, say};
use crate::config::Env;

mod browser;
mod device;
mod loopback;

/// What a session takes: who it is, and a refresh token that makes it last.
const SCOPE: &str = "openid profile email offline_access";

/// What was asked for on the command line.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// The native application to log in by [default: what the proxy's `[login]` says]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Show a code to be entered in a browser on any machine, also where there is a browser here
    #[arg(long)]
    device: bool,
    /// The port of http://127.0.0.1:PORT/callback, to which the browser returns; 0 picks a free one, for tenants that take
    /// any [default: 53682, 53683 or 53684]
    #[arg(long, conflicts_with = "device")]
    port: Option<u16>,
}

/// What a login is for, and by which application.
struct Request {
    issuer: Issuer,
    client_id: String,
    audience: String,
}

/// Logs in.
pub(super) fn run(options: &Options, env: &dyn Env) -> Exit {
    run_session(login(options, env))
}

async fn login(options: &Options, env: &dyn Env) -> Result<(), Failure> {
    let origin = options.place.proxy(env)?;
    let file = SessionFile::of(env)?;
    // One that cannot be kept is told before anybody goes to the browser.
    file.read()?;
    let http = Http::new()?;
    let proxy = Proxy::ask(&http, &origin).await?;
    let client_id = options.client_id.as_ref().or(proxy.login_client_id.as_ref()).cloned();
    let client_id = client_id.ok_or_else(no_application)?;
    let issuer = proxy.issuer(&http).await?;
    let request = Request { issuer, client_id, audience: proxy.resource };
    let browser = if options.device { None } else { browser::found(env) };
    let by_browser = match browser {
        Some(browser) => loopback::login(&http, &request, &browser, options.port).await?,
        None => None,
    };
    let granted = match by_browser {
        Some(granted) => granted,
        None => device::login(&http, &request).await?,
    };
    let (session, name) = session(&http, request, granted)?;
    say(&format!("logged in to {origin} as {name}"));
    if session.refresh_token.is_none() {
        say("it ends when the token expires: the tenant gave no refresh token (allow offline access for its API)");
    }
    let locked = file.lock()?;
    let mut sessions = locked.read()?;
    sessions.insert(origin, session);
    locked.write(&sessions)
}

fn no_application() -> Failure {
    Failure::misused(
        "the proxy names no application to log in by; create a native application at the tenant (with the grants Device \
         Code and Refresh Token, and http://127.0.0.1:53682/callback among its Allowed Callback URLs), and put its id \
         under [login] client_id in proxy.toml, or behind --client-id",
    )
}

/// The session that was granted, and who it belongs to in words for people.
fn session(http: &Http, request: Request, granted: Granted) -> Result<(Session, String), Failure> {
    let expires_at = granted.expires_at(http.clock().now());
    let Request { issuer, client_id, audience } = request;
    // RFC 6750 §2.1: what a header takes.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !granted.access_token.expose().bytes().all(is_token) {
        return Err(Failure::failed("the tenant granted a token that no header can carry"));
    }
    let nobody = || Failure::failed("the tenant does not say who logged in");
    let id_token = granted.id_token.ok_or_else(nobody)?;
    // It comes from the token endpoint itself, so that its signature adds nothing (OpenID Connect Core §3.1.3.7).
    let claims: Map<String, Value> = insecure_decode_claims(id_token.expose()).map_err(|_| nobody())?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&issuer.issuer) || text("aud") != Some(&client_id) {
        return Err(Failure::failed("the tenant's word on who logged in is for another application"));
    }
    let subject = text("sub").ok_or_else(nobody)?.to_owned();
    let name =
        text("name").map_or_else(|| legible(&subject), |name| format!("{} ({})", legible(name), legible(&subject)));
    let session = Session {
        issuer: issuer.issuer,
        client_id,
        audience,
        token_endpoint: issuer.token_endpoint,
        revocation_endpoint: issuer.revocation_endpoint,
        subject,
        access_token: granted.access_token,
        expires_at,
        refresh_token: granted.refresh_token,
    };
    Ok((session, name))
}
