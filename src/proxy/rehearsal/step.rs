//! What a rehearsal notes: steps, and in each what was found.

use std::fmt;

/// One decision on a request's way.
pub struct Step {
    /// What is decided.
    pub name: &'static str,
    /// Whether the request gets past it.
    pub passes: bool,
    /// What was found.
    pub facts: Vec<Fact>,
}

/// Something that was found.
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// What it says. It may be the words of whoever made the request or the token.
    pub says: Says,
    /// What it should say, where something is expected.
    pub expected: Option<String>,
    /// Whether it is as expected.
    pub is_fine: bool,
}

/// What a fact says.
pub enum Says {
    /// One thing.
    One(String),
    /// Any number of things.
    Several(Vec<String>),
}

/// The steps so far.
#[derive(Default)]
pub(super) struct Steps(pub(super) Vec<Step>);

impl Steps {
    /// Begins a step, at which the request ends unless it gets past it.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.0.push(Step { name, passes: false, facts: Vec::new() });
    }

    /// The request gets past the step that was begun last.
    pub(super) fn pass(&mut self) {
        if let Some(step) = self.0.last_mut() {
            step.passes = true;
        }
    }

    /// Notes what was found at that step.
    pub(super) fn note(&mut self, name: &'static str, says: impl fmt::Display) {
        self.fact(Fact { name, says: Says::One(says.to_string()), expected: None, is_fine: true });
    }

    /// Notes several things of a kind.
    pub(super) fn list<T: ToString>(&mut self, name: &'static str, all: impl IntoIterator<Item = T>) {
        let all = all.into_iter().map(|one| one.to_string()).collect();
        self.fact(Fact { name, says: Says::Several(all), expected: None, is_fine: true });
    }

    /// Notes what was found beside what is expected.
    pub(super) fn compare(&mut self, name: &'static str, says: String, expected: String, is_fine: bool) {
        self.fact(Fact { name, says: Says::One(says), expected: Some(expected), is_fine });
    }

    fn fact(&mut self, fact: Fact) {
        if let Some(step) = self.0.last_mut() {
            step.facts.push(fact);
        }
    }
}
