//! `idp-proxy login`: who is at the shell, by a browser on this machine or by a code for one anywhere.

use clap::Args;

use super::Exit;
use super::session::discovery::{Issuer, Proxy};
use super::session::file::{Session, SessionFile};
use super::session::granted::Person;
use super::session::tenant::Http;
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
    /// any [default: 18737, 18738 or 18739]
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
    let expires_at = granted.expires_at(http.clock().now())?;
    let Person { subject, shown } = granted.person(&request.issuer.issuer, &request.client_id)?;
    let lasts = granted.refresh_token.is_some();
    let session = Session {
        issuer: request.issuer.issuer,
        client_id: request.client_id,
        audience: request.audience,
        token_endpoint: request.issuer.token_endpoint,
        revocation_endpoint: request.issuer.revocation_endpoint,
        subject,
        access_token: granted.access_token,
        expires_at,
        refresh_token: granted.refresh_token,
    };
    keep(file, &origin, session)?;
    say(&format!("logged in to {origin} as {shown}"));
    if !lasts {
        say("it ends when the token expires: the tenant gave no refresh token (allow offline access for its API)");
    }
    Ok(())
}

fn keep(file: SessionFile, origin: &str, session: Session) -> Result<(), Failure> {
    let locked = file.lock()?;
    let mut sessions = locked.read()?;
    sessions.insert(origin.to_owned(), session);
    locked.write(&sessions)
}

fn no_application() -> Failure {
    Failure::misused(
        "the proxy names no application to log in by; create a native application at the tenant (with the grants Device \
         Code and Refresh Token, and http://127.0.0.1:18737/callback among its Allowed Callback URLs), and put its id \
         under [login] client_id in proxy.toml, or behind --client-id",
    )
}
