//! What the user sees, promise by promise. One binary; a file for each promise; a test reads as a sentence.

// `cfg(test)` on each: without it clippy does not take the helpers of these modules for tests.
#[cfg(test)]
mod callers;
#[cfg(test)]
mod config;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod flights;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tenant;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vectors;
