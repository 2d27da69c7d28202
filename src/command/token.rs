//! `idp-proxy token`: an access token for the proxy, renewed if need be.

use clap::Args;
use serde_json::json;

use super::Exit;
use super::session::{Place, print, renewal, run as run_session};
use crate::config::Env;

/// What was asked for on the command line.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// The token, when it expires (Unix seconds), whose it is and for which proxy, as one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the token and nothing else; with `json` `{token, expires_at, sub, proxy}`.
pub(super) fn run(options: &Options, env: &dyn Env) -> Exit {
    run_session(async {
        let (proxy, session) = renewal::session(&options.place, env).await?;
        let token = session.access_token.expose();
        if !options.json {
            return print(token);
        }
        let described = json!({
            "token": token,
            "expires_at": session.expires_at.unix_seconds(),
            "sub": session.subject,
            "proxy": proxy,
        });
        print(&described.to_string())
    })
}
