//! Why a provider gave no answer, found in the chain of causes.

use std::error::Error as StdError;
use std::io;

use rustix::io::Errno;

use super::connect::ConnectTimeout;
use super::pool::SendError;
use super::stall::Stalled;
use crate::body::BodyError;
use crate::parameters::Found;

type Cause = Box<dyn StdError + Send + Sync>;

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: name unknown, refused, no route.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] Cause),
    /// This process may open no more descriptors, so it could not even try.
    #[error("the proxy has too many connections open to make another")]
    NoDescriptor(#[source] Cause),
    /// No TLS: certificate not valid for it, or no common version.
    #[error("no secure connection to the provider can be made")]
    Tls(#[source] Cause),
    /// No connection within `connect_timeout`.
    #[error("the provider cannot be reached in time")]
    ConnectTimeout,
    /// The connection broke before the answer's head was complete.
    #[error("the provider broke the connection off before it answered")]
    Terminated(#[source] Cause),
    /// An answer that is not HTTP, or not one to this request.
    #[error("the provider's answer is not proper HTTP")]
    Protocol(#[source] Option<Cause>),
    /// The head of the answer did not begin within `first_byte_timeout`.
    #[error("the provider did not answer in time")]
    FirstByteTimeout,
    /// The provider stopped taking the request's body.
    #[error("the provider took no more of the request's body")]
    UploadStalled,
    /// The caller's own request broke off.
    #[error("the request's body broke off")]
    Caller(#[source] Cause),
    /// Something in the request's body is not permitted; the provider never saw the end of it.
    #[error("this proxy does not permit the request's body: {}", what(found))]
    Forbidden {
        /// What it is.
        found: Found,
    },
    /// The caller stopped sending the request's body.
    #[error("no more of the request's body came")]
    CallerStalled,
    /// The provider is not one this client was built for.
    #[error("the provider has no client")]
    NoClient,
}

impl From<SendError> for UpstreamError {
    fn from(error: SendError) -> Self {
        let (is_connect, cause): (bool, Cause) = match error {
            SendError::Connect(cause) => (true, cause),
            SendError::Exchange(cause) => (false, cause.into()),
        };
        let mut is_protocol = false;
        let mut next: Option<&(dyn StdError + 'static)> = Some(&*cause);
        while let Some(current) = next {
            let io = current.downcast_ref::<io::Error>();
            // Of several addresses each has a share of the time, and the last one's may be over first.
            let is_late = is_connect && io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
            if is_connect && io.is_some_and(is_out_of_descriptors) {
                return Self::NoDescriptor(cause);
            }
            if is_late || current.is::<ConnectTimeout>() {
                return Self::ConnectTimeout;
            }
            if current.is::<Stalled>() {
                return Self::UploadStalled;
            }
            if current.is::<tokio_rustls::rustls::Error>() {
                return Self::Tls(cause);
            }
            match current.downcast_ref() {
                Some(BodyError::Caller(_)) => return Self::Caller(cause),
                Some(BodyError::Refused(found)) => return Self::Forbidden { found: found.clone() },
                Some(BodyError::Upstream(_) | BodyError::Silent | BodyError::Cut) | None => {}
            }
            is_protocol |= current.downcast_ref().is_some_and(hyper::Error::is_parse);
            // An io::Error shows what it wraps as its own words, not as its source.
            let wrapped = io.and_then(io::Error::get_ref);
            next = wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| current.source());
        }
        match (is_connect, is_protocol) {
            (true, _) => Self::Unreachable(cause),
            (false, true) => Self::Protocol(Some(cause)),
            (false, false) => Self::Terminated(cause),
        }
    }
}

fn what(found: &Found) -> String {
    match found {
        Found::Parameter(name) => format!("the parameter {name} may not be in it"),
        Found::Unreadable => "it has a part whose name cannot be made out".to_owned(),
    }
}

/// Whether this process (or the whole machine) has no descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
