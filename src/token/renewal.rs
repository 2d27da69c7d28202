//! A RENEWAL, as the conversation that it is: what to do next, after what has just happened. Pure, like the record it
//! moves: who carries it out does the I/O, and the tests play every order of events with any number of actors.
//!
//! The truth is the store's compare-and-swap. The lease only saves work; what it must do is outlive the call that is
//! made under it. The order that loses nothing:
//!
//! 1. read the record, and adopt what a new sign-in has left at the tenant;
//! 2. take the lease, and read again: a neighbour may have been faster;
//! 3. mark the attempt, so that a crash leaves a trace;
//! 4. send, if the lease still has the time for it;
//! 5. write the answer down before anybody uses it;
//! 6. refused? Read record and tenant again first. Only then is the grant dead.

use super::endpoint::{Class, Failure, Granted};
use super::grant::{Death, Demand, Grant, Seed, State, Step, Terms};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// What is to be done next. The answer goes into [`Renewal::hear`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// Read the record. → [`Heard::Row`]
    Read,
    /// Write this record, if there is none. → [`Heard::Swapped`]
    Create(Grant),
    /// Write this record, if the one before it is still there. → [`Heard::Swapped`]
    Swap(Grant),
    /// Take the lease on the record. → [`Heard::Leased`]
    Lease,
    /// Somebody else renews: wait for a moment, or for news. → [`Heard::Waited`]
    Wait,
    /// Send the renewal, unless the lease has too little time left for the answer. → [`Heard::Answer`], [`Heard::TooLate`]
    Send(Secret),
    /// Read the user's identity at the tenant. → [`Heard::Identity`]
    Look,
    /// Done; what is leased may be released.
    End(End),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Heard {
    Row(Option<Grant>),
    Swapped(bool),
    Leased(bool),
    Waited,
    Answer(Result<Granted, Failure>),
    TooLate,
    /// The store did not say whether it has written.
    Unclear,
    /// `None` if the tenant could not be asked.
    Identity(Option<Seed>),
}

/// How a renewal ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// This record's access token serves.
    Use(Grant),
    /// It serves, but the tenant seems to hold something newer, and could not be asked whether it does.
    UseInDoubt(Grant),
    /// It serves still, although it should have been renewed.
    ServeOn(Grant, Failure),
    /// Nothing but a new sign-in helps.
    Reconnect(Grant, Option<Death>),
    /// There is no grant, and nothing to begin one with.
    Nothing,
    /// The renewal failed, and no living access token is held.
    Failed(Failure),
    /// Nothing serves, and the tenant could not be asked whether the user has signed in anew.
    Unsure,
}

/// One renewal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Renewal {
    terms: Terms,
    demand: Demand,
    seed: Option<Seed>,
    /// Whether the tenant was asked after the record was read, so that what it shows is not older.
    is_seed_fresh: bool,
    /// Whether what it seemed to hold could not be confirmed.
    is_doubtful: bool,
    is_leased: bool,
    /// What the provider has called dead: it is not sent again.
    refused: Option<Secret>,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Reading,
    /// This record is being written, and then looked at.
    Writing(Grant),
    Leasing(Grant),
    Waiting,
    Beginning {
        begun: Grant,
        spent: Secret,
    },
    Sending {
        begun: Grant,
        spent: Secret,
        sent: Timestamp,
    },
    /// Nobody knows whether the mark was written. Nothing was sent: if it was, it is taken back.
    Unmarking(Grant),
    /// The provider refused without spending, or was not asked: the mark is taken back.
    Withdrawing(Grant, Failure),
    /// An answer is at hand that must not be lost.
    Persisting(Grant, Answer),
    /// Somebody wrote meanwhile: does the answer still belong on top?
    Merging(Answer),
    /// The provider calls the grant dead: has somebody been faster?
    Doubting,
    /// The tenant seems to hold something new. A late look must not bring an old sign-in back, so look again.
    Confirming(Grant),
    /// Nothing serves: is there anything new at the tenant? If not, the grant may have to be written off.
    Looking(Grant, Option<Death>),
    Ended,
}

/// A renewal's fruit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Answer {
    granted: Granted,
    spent: Secret,
    sent: Timestamp,
}

impl Renewal {
    /// A renewal on these `terms`, for this `demand`. `seed` is what the tenant was last seen to hold.
    pub(super) fn new(terms: Terms, demand: Demand, seed: Option<Seed>) -> Self {
        Self {
            terms,
            demand,
            seed,
            is_seed_fresh: false,
            is_doubtful: false,
            is_leased: false,
            refused: None,
            stage: Stage::Reading,
        }
    }

    /// Whether an answer is at hand that nobody else has: it is written down whatever it takes.
    pub(super) fn must_persist(&self) -> bool {
        matches!(self.stage, Stage::Persisting(..) | Stage::Merging(_))
    }

    /// Whether a mark is to be cleared up that was left for nothing.
    pub(super) fn must_unmark(&self) -> bool {
        matches!(self.stage, Stage::Beginning { .. } | Stage::Unmarking(_) | Stage::Withdrawing(..))
    }

    /// The record with an answer in it that is not written yet.
    pub(super) fn unwritten(&self) -> Option<&Grant> {
        match &self.stage {
            Stage::Persisting(next, _) => Some(next),
            Stage::Reading
            | Stage::Writing(_)
            | Stage::Leasing(_)
            | Stage::Waiting
            | Stage::Beginning { .. }
            | Stage::Sending { .. }
            | Stage::Unmarking(_)
            | Stage::Withdrawing(..)
            | Stage::Merging(_)
            | Stage::Doubting
            | Stage::Confirming(_)
            | Stage::Looking(..)
            | Stage::Ended => None,
        }
    }

    /// What comes next, after this.
    pub(super) fn hear(&mut self, heard: Heard, now: Timestamp) -> Act {
        match (std::mem::replace(&mut self.stage, Stage::Ended), heard) {
            (Stage::Reading, Heard::Row(row)) => self.meet(row, now),
            (Stage::Writing(grant), Heard::Swapped(true)) => self.decide(grant, now),
            (Stage::Leasing(grant), Heard::Leased(is_ours)) => self.leased(grant, is_ours, now),
            (Stage::Beginning { begun, spent }, Heard::Swapped(true)) => {
                self.stage = Stage::Sending { begun, spent: spent.clone(), sent: now };
                Act::Send(spent)
            }
            (Stage::Beginning { begun, .. }, Heard::Unclear) => self.read_for(Stage::Unmarking(begun)),
            (Stage::Unmarking(begun), Heard::Row(Some(row))) if row == begun => {
                let (next, failure) = (begun.withdraw(), Failure::clean(Class::Ours));
                self.stage = Stage::Withdrawing(next.clone(), failure);
                Act::Swap(next)
            }
            (Stage::Unmarking(_), Heard::Row(row)) => self.meet(row, now),
            (Stage::Withdrawing(next, failure), Heard::Unclear) => {
                self.stage = Stage::Withdrawing(next.clone(), failure);
                Act::Swap(next)
            }
            (Stage::Sending { begun, .. }, Heard::TooLate) => {
                self.is_leased = false;
                self.write(begun.withdraw())
            }
            (Stage::Sending { begun, spent, sent }, Heard::Answer(Ok(granted))) => {
                self.persist(&begun, Answer { granted, spent, sent })
            }
            (Stage::Sending { begun, spent, .. }, Heard::Answer(Err(failure))) => {
                self.failed(begun, spent, failure, now)
            }
            (Stage::Withdrawing(grant, failure), Heard::Swapped(_)) => self.fall_back(grant, failure, now),
            // What was disconnected meanwhile serves nobody.
            (Stage::Persisting(next, _), Heard::Swapped(true)) if next.is_disconnected() => self.decide(next, now),
            (Stage::Persisting(next, _), Heard::Swapped(true)) => self.serve(next),
            (Stage::Persisting(_, answer), Heard::Swapped(false)) => self.read_for(Stage::Merging(answer)),
            (Stage::Merging(answer), Heard::Row(row)) => self.merge(row, answer, now),
            (Stage::Doubting, Heard::Row(row)) => self.doubt(row, now),
            (Stage::Confirming(grant), Heard::Identity(seed)) => self.confirmed(grant, seed, now),
            (Stage::Looking(grant, doom), Heard::Identity(seed)) => self.looked(grant, doom, seed, now),
            // Whoever was faster has left something newer; and after a wait there may be news.
            (_, _) => self.read_for(Stage::Reading),
        }
    }

    /// What was seen at the tenant before this may be older than what is read.
    fn read_for(&mut self, stage: Stage) -> Act {
        self.is_seed_fresh = false;
        self.stage = stage;
        Act::Read
    }

    fn serve(&self, grant: Grant) -> Act {
        Act::End(if self.is_doubtful { End::UseInDoubt(grant) } else { End::Use(grant) })
    }

    fn write(&mut self, next: Grant) -> Act {
        self.stage = Stage::Writing(next.clone());
        Act::Swap(next)
    }

    fn meet(&mut self, row: Option<Grant>, now: Timestamp) -> Act {
        match (row, &self.seed) {
            (Some(grant), Some(seed)) if grant.adopt(seed, now).is_some() => {
                self.stage = Stage::Confirming(grant);
                Act::Look
            }
            (Some(grant), _) => self.decide(grant, now),
            (None, seed) => match seed.as_ref().and_then(|seed| Grant::new(seed, now)) {
                Some(grant) => {
                    self.stage = Stage::Writing(grant.clone());
                    Act::Create(grant)
                }
                None => Act::End(End::Nothing),
            },
        }
    }

    fn confirmed(&mut self, grant: Grant, seed: Option<Seed>, now: Timestamp) -> Act {
        // A tenant that cannot be asked is no reason to leave what is held.
        let Some(seed) = seed else {
            self.is_doubtful = true;
            return self.decide(grant, now);
        };
        self.adopt_or(grant, seed, now, Self::decide)
    }

    fn decide(&mut self, grant: Grant, now: Timestamp) -> Act {
        match grant.step(now, self.terms, self.demand) {
            Step::Use => self.serve(grant),
            Step::UseAndRenew if !self.demand.is_behind => self.serve(grant),
            Step::UseAndRenew | Step::Renew => self.renew(grant, now),
            // The last attempt may be under way at a neighbour's. Who has the lease knows that it is not.
            Step::Reconnect(Some(Death::AnswersLost)) if grant.state == State::Active && !self.is_leased => {
                self.stage = Stage::Leasing(grant);
                Act::Lease
            }
            Step::Reconnect(death) => {
                let doom = death.filter(|_| grant.state == State::Active);
                self.look(grant, doom)
            }
        }
    }

    fn renew(&mut self, grant: Grant, now: Timestamp) -> Act {
        match grant.spendable(self.terms, now).cloned() {
            Some(spent) if self.refused.as_ref() == Some(&spent) => self.look(grant, Some(Death::Refused)),
            Some(_) if self.is_leased && grant.rests(self.terms, now).is_some() => {
                let retry_after = grant.rests(self.terms, now);
                self.fall_back(grant, Failure { retry_after, ..Failure::ambiguous(Class::Network) }, now)
            }
            Some(spent) if self.is_leased => {
                let begun = grant.begin(now);
                self.stage = Stage::Beginning { begun: begun.clone(), spent };
                Act::Swap(begun)
            }
            _ => {
                self.stage = Stage::Leasing(grant);
                Act::Lease
            }
        }
    }

    /// With the lease comes a second look: a neighbour may have renewed between the first one and now.
    fn leased(&mut self, grant: Grant, is_ours: bool, now: Timestamp) -> Act {
        self.is_leased = is_ours;
        if is_ours {
            return self.read_for(Stage::Reading);
        }
        if grant.living(now, self.demand.refused).is_some() {
            return self.serve(grant);
        }
        self.stage = Stage::Waiting;
        Act::Wait
    }

    fn persist(&mut self, onto: &Grant, answer: Answer) -> Act {
        let next = onto.succeed(&answer.granted, self.terms, answer.sent);
        self.stage = Stage::Persisting(next.clone(), answer);
        Act::Swap(next)
    }

    fn merge(&mut self, row: Option<Grant>, answer: Answer, now: Timestamp) -> Act {
        match row {
            Some(grant) if grant.awaits(&answer.spent, self.terms) => self.persist(&grant, answer),
            Some(grant) => self.decide(grant, now),
            // The operator or the user had it forgotten.
            None => Act::End(End::Nothing),
        }
    }

    fn failed(&mut self, begun: Grant, spent: Secret, failure: Failure, now: Timestamp) -> Act {
        match failure.class {
            Class::DeadGrant => {
                self.refused = Some(spent);
                self.read_for(Stage::Doubting)
            }
            // The mark stays: nobody knows whether the provider has rotated.
            Class::Provider5xx | Class::Network | Class::Malformed if failure.is_ambiguous => {
                self.fall_back(begun, failure, now)
            }
            Class::WrongClient
            | Class::Provider4xx
            | Class::Provider5xx
            | Class::Network
            | Class::Malformed
            | Class::Ours => {
                let next = begun.withdraw();
                self.stage = Stage::Withdrawing(next.clone(), failure);
                Act::Swap(next)
            }
        }
    }

    fn fall_back(&self, grant: Grant, failure: Failure, now: Timestamp) -> Act {
        let is_living = grant.living(now, self.demand.refused).is_some();
        Act::End(if is_living { End::ServeOn(grant, failure) } else { End::Failed(failure) })
    }

    fn doubt(&mut self, row: Option<Grant>, now: Timestamp) -> Act {
        let is_still_there = |grant: &Grant| self.refused.as_ref().is_some_and(|spent| grant.awaits(spent, self.terms));
        match row {
            Some(grant) if is_still_there(&grant) => self.look(grant, Some(Death::Refused)),
            Some(grant) => self.decide(grant, now),
            None => Act::End(End::Nothing),
        }
    }

    fn look(&mut self, grant: Grant, doom: Option<Death>) -> Act {
        if self.is_seed_fresh {
            return self.give_up(grant, doom);
        }
        self.stage = Stage::Looking(grant, doom);
        Act::Look
    }

    fn looked(&mut self, grant: Grant, doom: Option<Death>, seed: Option<Seed>, now: Timestamp) -> Act {
        let Some(seed) = seed else {
            // What lives serves on; whether the grant is dead is found out when it does not.
            self.is_doubtful = true;
            let is_living = grant.living(now, self.demand.refused).is_some();
            return if is_living { self.serve(grant) } else { Act::End(End::Unsure) };
        };
        self.adopt_or(grant, seed, now, |this, grant, _| this.give_up(grant, doom))
    }

    fn adopt_or(
        &mut self,
        grant: Grant,
        seed: Seed,
        now: Timestamp,
        otherwise: impl FnOnce(&mut Self, Grant, Timestamp) -> Act,
    ) -> Act {
        (self.is_seed_fresh, self.is_doubtful) = (true, false);
        let next = grant.adopt(&seed, now);
        self.seed = Some(seed);
        match next {
            Some(next) => self.write(next),
            None => otherwise(self, grant, now),
        }
    }

    fn give_up(&mut self, grant: Grant, doom: Option<Death>) -> Act {
        match (doom, grant.state) {
            (Some(death), State::Active) => self.write(grant.die(death)),
            (_, State::Dead(death)) => Act::End(End::Reconnect(grant, Some(death))),
            (None, State::Active) => Act::End(End::Reconnect(grant, None)),
        }
    }
}

#[cfg(test)]
mod tests;
