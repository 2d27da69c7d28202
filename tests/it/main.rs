//! What the user sees, promise by promise. One binary; a file for each promise; a test reads as a sentence.

// `cfg(test)` on each: without it clippy does not take the helpers of these modules for tests.
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod config;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod support;
#[cfg(test)]
mod timers;
#[cfg(test)]
mod upstream_faults;
