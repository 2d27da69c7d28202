//! Whether a token endpoint accepts the configured client, found out without spending anything: it is offered a refresh
//! token that nobody can have been given. Whoever is not let in hears about the client first (RFC 6749 §5.2).

use std::time::Duration;

use super::endpoint::{Class, TokenEndpoint};
use crate::clock::Clock;
use crate::config::Renewal;
use crate::secret::Secret;

/// No token is like this one.
const IMPOSSIBLE: &str = "idp-proxy-check-no-such-token";

/// Tries the client of `renewal`. It was let in if what it offered was refused as such.
///
/// # Errors
/// The class of any other failure; [`Class::Ours`] also if the request cannot be made at all.
pub async fn try_client(renewal: &Renewal, timeout: Duration, clock: &Clock) -> Result<(), Class> {
    let endpoint = TokenEndpoint::new(renewal, timeout, clock).map_err(|_| Class::Ours)?;
    match endpoint.renew(&Secret::new(IMPOSSIBLE)).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.class == Class::DeadGrant => Ok(()),
        Err(failure) => Err(failure.class),
    }
}
