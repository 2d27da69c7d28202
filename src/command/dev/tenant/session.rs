//! Who is signed in at the tenant in which browser.

use std::collections::HashMap;
use std::time::Duration;

use hyper::http::HeaderMap;
use hyper::http::header::COOKIE;

use crate::clock::Timestamp;
use crate::command::dev::encoding::random_url_safe;

/// The cookie's name, which is Auth0's.
const COOKIE_NAME: &str = "auth0";

/// How long a session lasts: Auth0's default of seven days. That it also ends after three days of disuse is not simulated.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// All sessions, by what their cookie holds.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, Session>);

/// One sign-in, until its end.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Its id in ID tokens.
    pub(super) sid: String,
    /// Who signed in.
    pub(super) sub: String,
    /// Through which connection; `None` where the user has none.
    pub(super) connection: Option<String>,
    /// When.
    pub(super) since: Timestamp,
}

impl Sessions {
    /// A new session, in place of the one that the browser had. Its cookie.
    pub(super) fn start(&mut self, headers: &HeaderMap, session: Session) -> String {
        self.end(headers);
        self.0.retain(|_, held| session.since < held.since.plus(LIFE));
        let value = random_url_safe(43);
        self.0.insert(value.clone(), session);
        // Loopback without TLS can have no cookie for pages of another site (RFC 6265bis §5.7.8): an application that is to
        // sign in silently has to be on the tenant's host name, on any port.
        format!("{COOKIE_NAME}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", LIFE.as_secs())
    }

    /// The browser's session, if it has one that lasts.
    pub(super) fn find(&self, headers: &HeaderMap, now: Timestamp) -> Option<&Session> {
        let session = self.0.get(cookie(headers)?)?;
        (now < session.since.plus(LIFE)).then_some(session)
    }

    /// Ends the browser's session. What takes the cookie away.
    pub(super) fn end(&mut self, headers: &HeaderMap) -> String {
        if let Some(value) = cookie(headers) {
            self.0.remove(value);
        }
        format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
    }

    /// Ends the session of that id.
    pub(super) fn end_by_id(&mut self, sid: &str) {
        self.0.retain(|_, session| session.sid != sid);
    }
}

/// The value of the tenant's cookie. Other parties on the same host name have theirs in the same line: cookies know no port.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}
