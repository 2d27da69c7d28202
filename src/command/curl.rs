//! `idp-proxy curl`: the real curl, as the person who is logged in.
//!
//! The token is in a pipe that curl inherits: not among its arguments nor in its environment, where other processes could
//! see it, and not on its stdin, which stays free for `-d @-`.

use std::ffi::OsString;
use std::io::{self, PipeReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};

use super::Exit;
use super::session::{Failure, Place, renewal, run as run_session};
use crate::config::Env;

/// What was asked for on the command line.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// The name in /proxy/NAME/…
    provider: String,
    /// Path and query at the provider, such as /user
    path: String,
    /// Arguments of curl's own
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Becomes curl, whose exit code is then that of the process. What is returned is why that failed.
pub(super) fn run(options: &Options, env: &dyn Env) -> Exit {
    run_session(async {
        let target = target(&options.provider, &options.path).map_err(Failure::misused)?;
        let (proxy, session) = renewal::session(&options.place, env).await?;
        let pipe = filled_pipe(&session.authorization()).map_err(|error| Failure::io("the token's pipe", &error))?;
        let mut curl = Command::new("curl");
        // The path is the provider's as it stands: neither a pattern of URLs nor to be tidied up.
        curl.args(["--globoff", "--path-as-is"]);
        if proxy.starts_with("http://") {
            // This machine's own: a proxy of the environment's could not reach it, and would read the token.
            curl.args(["--noproxy", "*"]);
        }
        curl.args(["--header", &format!("@/dev/fd/{}", pipe.as_raw_fd())]);
        curl.args(["--url", &format!("{proxy}{target}")]);
        Err(failure(&curl.args(&options.arguments).exec()))
    })
}

fn failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::misused("curl is not there; install it, or use `idp-proxy token` with another client");
    }
    Failure::io("curl", error)
}

/// Where the proxy serves `path` of `provider`.
fn target(provider: &str, path: &str) -> Result<String, &'static str> {
    if provider.is_empty() || !provider.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("PROVIDER is the name in /proxy/NAME/…, such as github");
    }
    let scheme = path.split_once("://").map_or("/", |(scheme, _)| scheme);
    if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return Err("PATH is a path at the provider, such as /user, not a URL");
    }
    if path.contains('#') {
        return Err("PATH has a fragment, which is never sent; `#` in a name is written %23");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("PATH has characters that no URL has; percent-encode them");
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(format!("/proxy/{provider}{slash}{path}"))
}

/// A pipe with `line` in it and nothing to follow, which a program executed from here inherits.
fn filled_pipe(line: &str) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    // Nobody reads yet: what does not fit must fail rather than wait.
    fcntl_setfl(&writer, OFlags::NONBLOCK)?;
    writer.write_all(line.as_bytes())?;
    fcntl_setfd(&reader, FdFlags::empty())?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_path_stays_as_it_is() {
        for (path, expected) in [
            ("/user", "/proxy/github/user"),
            ("user?per_page=2&q=a%20b", "/proxy/github/user?per_page=2&q=a%20b"),
            ("", "/proxy/github/"),
            ("?q=[1-3]", "/proxy/github/?q=[1-3]"),
            ("/a/../b//{c}", "/proxy/github/a/../b//{c}"),
            ("/login?to=https://example.com/", "/proxy/github/login?to=https://example.com/"),
        ] {
            assert_eq!(target("github", path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_or_no_name_is_refused() {
        for path in ["https://api.github.com/user", "HTTP://a", "://a", "/a#b", "/a b", "/é", "/a\n"] {
            assert!(target("github", path).is_err(), "{path:?}");
        }
        for provider in ["", "git/hub", "../x", "git hub", "github?", "git%2fhub"] {
            assert!(target(provider, "/user").is_err(), "{provider:?}");
        }
    }

    #[test]
    fn a_pipe_holds_what_a_token_takes_and_more_fails_at_once() {
        let line = "x".repeat(32 * 1024);
        let mut read = String::new();
        filled_pipe(&line).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, line);
        assert_eq!(filled_pipe(&"x".repeat(1 << 20)).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
