//! The environment, as an argument.

use std::collections::BTreeMap;

/// Where `{ env = "NAME" }` is looked up. A parameter rather than a call, so that a test brings its own.
pub trait Env {
    /// The value of the variable `name`; `None` when it is not set or is not UTF-8.
    fn var(&self, name: &str) -> Option<String>;

    /// Whether colour is welcome on a terminal (no-color.org: any value but an empty one says no).
    fn allows_color(&self) -> bool {
        self.var("NO_COLOR").is_none_or(|value| value.is_empty())
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Env for BTreeMap<&str, &str> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| (*value).to_owned())
    }
}
