//! What the user sees, promise by promise. One binary; a file for each promise; a test reads as a sentence.

// `cfg(test)` on each: without it clippy does not take the helpers of these modules for tests.
#[cfg(test)]
mod answers;
#[cfg(test)]
mod config;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod hops;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod support;
#[cfg(test)]
mod targets;
