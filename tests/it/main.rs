//! What the user sees, promise by promise. One binary; a file for each promise; a test reads as a sentence.

// `cfg(test)` on each: without it clippy does not take the helpers of these modules for tests.
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod audiences;
#[cfg(test)]
mod bad_answers;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod config;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod console;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod facebook;
#[cfg(test)]
mod flights;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod frontend;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod hops;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod online;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod process;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod session;
#[cfg(test)]
mod stand_ins;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod tenant;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod timers;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tls_in;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
mod upstream_faults;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vault;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod way_back;
