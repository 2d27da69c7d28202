//! `idp-proxy curlrc`: the token as a configuration for `curl -K -`.

use std::io::{self, IsTerminal};

use clap::Args;

use super::Exit;
use super::session::{Failure, Place, print, renewal, run as run_session};
use crate::config::Env;

/// What was asked for on the command line.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// Show the token on a terminal too
    #[arg(long)]
    force: bool,
}

/// Prints the configuration.
pub(super) fn run(options: &Options, env: &dyn Env) -> Exit {
    run_session(async {
        if io::stdout().is_terminal() && !options.force {
            return Err(Failure::misused(
                "this would show your token on the screen; use it as `idp-proxy curlrc | curl -K - URL`, or add --force",
            ));
        }
        let (_, session) = renewal::session(&options.place, env).await?;
        print(&format!("header = \"{}\"", quoted(&session.authorization())))
    })
}

/// curl(1), `--config`: between quotes a backslash takes the next character as it is.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
