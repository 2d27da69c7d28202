//! What is written down: metrics, log lines. A leaf: it knows no room, and nothing secret reaches it.

pub mod access;
pub mod digits;
pub mod feed;
pub mod line;
pub mod log;
pub mod metrics;
pub mod request_id;
mod timer;

/// An error and all its causes in one line, for the log.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let words = current.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = current.source();
    }
    text
}
