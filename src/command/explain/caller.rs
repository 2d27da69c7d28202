//! Whose request is explained: of a file, or of who is logged in. Never of the command line, which every process can read.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use hyper::http::HeaderValue;

use super::Arguments;
use crate::command::session::{Failure, Place, renewal};
use crate::config::{Env, proxy_url};

/// The caller's `Authorization`; none where no file is named and nobody is logged in to the proxy of the configuration.
pub(super) async fn authorization(arguments: &Arguments, env: &dyn Env) -> Result<Option<HeaderValue>, Failure> {
    if let Some(path) = &arguments.token_file {
        return Ok(Some(of_file(path)?));
    }
    // Whoever names a configuration means its proxy, whatever the environment says.
    let nothing = BTreeMap::<&str, &str>::new();
    let place: &dyn Env = if arguments.config.is_some() { &nothing } else { env };
    let proxy = proxy_url(None, place, arguments.config()).map_err(Failure::misused)?;
    match renewal::session(&Place::at(proxy), env).await {
        Ok((_, session)) => bearer(session.access_token.expose())
            .map(Some)
            .ok_or_else(|| Failure::failed("the session's token is none")),
        Err(failure) if failure.asks_for_login() => {
            let _ = writeln!(io::stderr(), "note: {failure}");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The caller's `Authorization`, from a file that has it as `curl -H @FILE` wants it, or the token alone.
fn of_file(path: &Path) -> io::Result<HeaderValue> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let about = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: {why}"));
    let read = if is_stdin { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
    let text = read.map_err(|error| about(&error.to_string()))?;
    let line = text.trim();
    let header = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let written = header.map_or_else(|| bearer(line), |(_, value)| sensitive(value.trim()));
    if line.is_empty() {
        return Err(about("there is no token in it"));
    }
    written.ok_or_else(|| about("what is in it is no token"))
}

fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
