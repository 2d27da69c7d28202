//! The small case, exhaustively: two replicas, one provider that rotates and revokes the whole family when a spent
//! refresh token comes back, crashes, lost answers, pauses beyond the lease and new sign-ins at every step.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::*;
use crate::token::grant::{Fingerprint, Lineage, Spends};

const TERMS: Terms = Terms { spends: Spends::RefreshToken, rotates: true, lifetime: None, rest: REST };
/// What a token lives, and less than what passes between two rounds.
const LIFE: Duration = Duration::from_secs(100);
const ROUND: Duration = Duration::from_secs(1000);
/// What a refresh token rests after a lost answer: it has passed by the next round.
const REST: Duration = Duration::from_secs(500);

/// Everything there is.
#[derive(Clone, Hash)]
struct World {
    now: Timestamp,
    row: Option<Grant>,
    /// Who holds the lease.
    lease: Option<usize>,
    provider: Provider,
    /// What the tenant shows.
    identity: Seed,
    replicas: Vec<Replica>,
    /// What may still go wrong, and happen.
    faults: u8,
    rounds: u8,
    sign_ins: u8,
    /// How often the user may still have the account disconnected.
    partings: u8,
    /// What was last disconnected.
    parted: Option<Lineage>,
    /// How often the provider may still refuse what it has issued.
    rejections: u8,
    /// Whether anything has gone wrong.
    is_disturbed: bool,
    /// Whether something has gone wrong that can cost a grant: an answer lost, or a second mark left for nothing.
    is_hurt: bool,
    /// Whether a mark was left for nothing.
    has_left_mark: bool,
    /// Whether a replica has slept beyond its lease.
    has_slept: bool,
    /// Refresh tokens whose successor was written down.
    succeeded: Vec<Secret>,
}

#[derive(Clone, Hash)]
struct Provider {
    /// The family and number of the one refresh token that is good.
    family: u8,
    number: u8,
    is_revoked: bool,
    /// Whether the grant is for an audience of its own, for which a sign-in leaves no access token.
    has_audience: bool,
}

#[derive(Clone, Hash)]
struct Replica {
    /// What it last saw at the tenant.
    seen: Seed,
    running: Option<(Renewal, Act)>,
    /// The provider's answer, on its way.
    mail: Option<Result<Granted, Failure>>,
}

impl Provider {
    fn refresh_token(&self) -> Secret {
        Secret::new(format!("r{}.{}", self.family, self.number))
    }

    fn access_token(&self) -> Secret {
        Secret::new(format!("a{}.{}", self.family, self.number))
    }

    fn renew(&mut self, spent: &Secret) -> Result<Granted, Failure> {
        if self.is_revoked || *spent != self.refresh_token() {
            // Reuse: RFC 9700 §4.14.2.
            self.is_revoked |= spent.expose().starts_with(&format!("r{}.", self.family));
            return Err(failure(Class::DeadGrant, false));
        }
        self.number += 1;
        Ok(Granted {
            access_token: self.access_token(),
            refresh_token: Some(self.refresh_token()),
            expires_in: Some(LIFE),
            scope: None,
        })
    }

    fn sign_in(&mut self, now: Timestamp) -> Seed {
        *self = Self { family: self.family + 1, number: 0, is_revoked: false, ..self.clone() };
        let seed = Seed::new(Some(self.access_token()), Some(self.refresh_token()), Some(now.plus(LIFE)));
        if self.has_audience { seed.without_access() } else { seed }
    }
}

fn failure(class: Class, is_ambiguous: bool) -> Failure {
    Failure { class, is_ambiguous, retry_after: None }
}

impl World {
    fn new(replicas: usize, faults: u8, rounds: u8, sign_ins: u8) -> Self {
        Self::with(replicas, faults, rounds, sign_ins, false)
    }

    fn with(replicas: usize, faults: u8, rounds: u8, sign_ins: u8, has_audience: bool) -> Self {
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let mut provider = Provider { family: 0, number: 0, is_revoked: false, has_audience };
        let identity = provider.sign_in(now);
        let replica = Replica { seen: identity.clone(), running: None, mail: None };
        Self {
            now: now.plus(ROUND),
            row: None,
            lease: None,
            provider,
            identity,
            replicas: vec![replica; replicas],
            faults,
            rounds,
            sign_ins,
            partings: 0,
            parted: None,
            rejections: 1,
            is_disturbed: false,
            is_hurt: false,
            has_left_mark: false,
            has_slept: false,
            succeeded: Vec::new(),
        }
    }

    /// All worlds that can come next.
    fn successors(&self) -> Vec<Self> {
        let mut next = Vec::new();
        let mut consider = |change: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            change(&mut world);
            next.push(world);
        };
        for index in 0..self.replicas.len() {
            let replica = &self.replicas[index];
            if replica.running.is_some() {
                consider(&|world| drop(world.go_on(index)));
            } else {
                consider(&|world| world.start(index, None));
                let living = self.row.as_ref().and_then(|row| row.living(self.now, None));
                if let Some(access) = living.filter(|_| self.rejections > 0) {
                    let refused = Some(access.fingerprint());
                    consider(&|world| {
                        world.rejections -= 1;
                        world.start(index, refused);
                    });
                }
            }
            if replica.seen != self.identity {
                consider(&|world| world.replicas[index].seen = world.identity.clone());
            }
            if self.faults > 0 && replica.running.is_some() {
                consider(&|world| world.crash(index));
                if matches!(replica.running, Some((_, Act::Swap(_) | Act::Create(_)))) {
                    consider(&|world| world.lose_reply(index));
                }
                if replica.mail.is_some() {
                    consider(&|world| world.lose_answer(index));
                }
                if matches!(replica.running, Some((_, Act::Look))) {
                    consider(&|world| world.ask_in_vain(index));
                }
            }
        }
        if self.faults > 0 && !self.provider.is_revoked {
            // The user, or an administrator, takes back what was granted.
            consider(&|world| {
                world.go_wrong();
                (world.is_hurt, world.provider.is_revoked) = (true, true);
            });
        }
        if self.faults > 0 && self.lease.is_some() {
            // Whoever holds it sleeps beyond its end.
            consider(&|world| {
                (world.faults, world.lease) = (world.faults - 1, None);
                (world.is_disturbed, world.is_hurt, world.has_slept) = (true, true, true);
            });
        }
        if self.partings > 0 {
            consider(&Self::part);
        }
        if self.rounds > 0 {
            consider(&|world| (world.rounds, world.now) = (world.rounds - 1, world.now.plus(ROUND)));
        }
        if self.sign_ins > 0 {
            consider(&|world| {
                world.sign_ins -= 1;
                world.identity = world.provider.sign_in(world.now);
            });
        }
        next
    }

    /// The user has the account disconnected, in the midst of it all, and the provider hears nothing of it.
    fn part(&mut self) {
        let seed = &self.identity;
        self.row = match &self.row {
            Some(row) => row.disconnect(seed, self.now).or_else(|| Some(row.clone())),
            None => Grant::new_disconnected(seed, self.now),
        };
        (self.partings, self.parted) = (self.partings - 1, Some(seed.lineage));
        (self.is_disturbed, self.is_hurt) = (true, true);
    }

    fn start(&mut self, index: usize, refused: Option<Fingerprint>) {
        let replica = &mut self.replicas[index];
        let renewal = Renewal::new(TERMS, Demand { refused, ..Demand::default() }, Some(replica.seen.clone()));
        replica.running = Some((renewal, Act::Read));
    }

    fn crash(&mut self, index: usize) {
        self.go_wrong();
        let has_answer = self.replicas[index].mail.take().is_some();
        let had_answer = self.replicas[index].running.take().is_some_and(|(renewal, _)| renewal.must_persist());
        let leaves_mark = self.row.as_ref().is_some_and(Grant::is_marked);
        self.is_hurt |= has_answer || had_answer || (leaves_mark && self.has_left_mark);
        self.has_left_mark |= leaves_mark;
    }

    /// The store does what it is asked, and nobody hears of it.
    fn lose_reply(&mut self, index: usize) {
        self.go_wrong();
        let Some((mut renewal, act)) = self.replicas[index].running.take() else { return };
        match act.clone() {
            Act::Create(grant) if self.row.is_none() => self.row = Some(grant),
            Act::Swap(grant) => drop(self.swap(grant)),
            Act::Create(_) | Act::Read | Act::Lease | Act::Wait | Act::Send(_) | Act::Look | Act::End(_) => {}
        }
        if renewal.must_persist() {
            self.replicas[index].running = Some((renewal, act));
        } else if renewal.must_unmark() {
            let act = renewal.hear(Heard::Unclear, self.now);
            self.replicas[index].running = Some((renewal, act));
        }
    }

    /// The tenant gives no answer.
    fn ask_in_vain(&mut self, index: usize) {
        self.go_wrong();
        if let Some((mut renewal, _)) = self.replicas[index].running.take() {
            let act = renewal.hear(Heard::Identity(None), self.now);
            self.replicas[index].running = Some((renewal, act));
        }
    }

    fn go_wrong(&mut self) {
        self.faults -= 1;
        self.is_disturbed = true;
    }

    fn lose_answer(&mut self, index: usize) {
        self.go_wrong();
        self.is_hurt = true;
        self.replicas[index].mail = Some(Err(failure(Class::Network, true)));
    }

    /// One step of a replica: what it wants to do happens, or its answer arrives.
    fn go_on(&mut self, index: usize) -> Option<End> {
        let (mut renewal, act) = self.replicas[index].running.take()?;
        let heard = match act {
            Act::Read => Heard::Row(self.row.clone()),
            Act::Create(grant) => Heard::Swapped(self.row.is_none() && self.row.replace(grant).is_none()),
            Act::Swap(grant) => Heard::Swapped(self.swap(grant)),
            Act::Lease => {
                let is_ours = *self.lease.get_or_insert(index) == index;
                Heard::Leased(is_ours)
            }
            Act::Wait => Heard::Waited,
            Act::Look => {
                self.replicas[index].seen = self.identity.clone();
                Heard::Identity(Some(self.identity.clone()))
            }
            Act::Send(spent) => match self.replicas[index].mail.take() {
                Some(answer) => Heard::Answer(answer),
                None if self.lease != Some(index) => Heard::TooLate,
                None => {
                    // Who wakes up with an answer can write it down between a neighbour's mark and its sending. No
                    // order of ours prevents that; without such a sleep it never happens.
                    let is_superseded = self.succeeded.contains(&spent);
                    assert!(self.has_slept || !is_superseded, "{spent:?} is sent although its successor is at hand");
                    self.replicas[index].mail = Some(self.provider.renew(&spent));
                    self.replicas[index].running = Some((renewal, Act::Send(spent)));
                    return None;
                }
            },
            Act::End(end) => {
                if self.lease == Some(index) {
                    self.lease = None;
                }
                let is_lost = matches!(end, End::Reconnect(..) | End::Nothing);
                let is_failed = matches!(end, End::Failed(_) | End::Unsure | End::ServeOn(..));
                assert!(self.is_hurt || !is_lost, "{end:?} although nothing was lost");
                assert!(self.is_disturbed || !is_failed, "{end:?} although nothing went wrong");
                return Some(end);
            }
        };
        let act = renewal.hear(heard, self.now);
        self.replicas[index].running = Some((renewal, act));
        None
    }

    fn swap(&mut self, grant: Grant) -> bool {
        if self.row.as_ref().map(|row| row.generation + 1) != Some(grant.generation) {
            return false;
        }
        if let Some(old) = &self.row
            && let Some(refresh) = &old.refresh
            && old.refresh != grant.refresh
            && old.lineage() == grant.lineage()
        {
            self.succeeded.push(refresh.clone());
        }
        self.row = Some(grant);
        true
    }

    /// What a caller gets who comes when all is quiet and every access token has expired.
    fn aftermath(mut self) -> (Self, End) {
        self.now = self.now.plus(ROUND);
        self.lease = None;
        self.start(0, None);
        for _ in 0..100 {
            if let Some(end) = self.go_on(0) {
                return (self, end);
            }
        }
        panic!("a renewal that nobody disturbs does not end");
    }

    /// In the end there is the newest token, or the user hears that a new sign-in is needed; and that helps.
    fn check(&self) {
        let of_parted = self.row.as_ref().filter(|row| self.parted == Some(row.lineage()));
        assert!(of_parted.is_none_or(|row| row.is_disconnected()), "it is back without a sign-in");
        if self.replicas.iter().any(|replica| replica.running.is_some()) {
            return;
        }
        let (mut world, end) = self.clone().aftermath();
        let is_parted = self.parted == Some(self.identity.lineage);
        assert_eq!(is_parted, matches!(end, End::Reconnect(_, Some(Death::Disconnected))), "{end:?}");
        match &end {
            End::Use(grant) => assert_eq!(grant.refresh, Some(world.provider.refresh_token()), "not the newest"),
            End::Reconnect(..) => {
                assert!(world.is_hurt);
                world.identity = world.provider.sign_in(world.now);
                world.replicas[0].seen = world.identity.clone();
                let (world, end) = world.aftermath();
                let End::Use(grant) = end else { panic!("{end:?} after a new sign-in") };
                assert_eq!(grant.refresh, Some(world.provider.refresh_token()));
            }
            End::UseInDoubt(_) | End::ServeOn(..) | End::Nothing | End::Failed(_) | End::Unsure => {
                panic!("{end:?} when all is quiet")
            }
        }
    }
}

/// Visits every world that can be reached, and tells how many there are.
fn explore(start: World) -> usize {
    let fingerprint = |world: &World| {
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        hasher.finish()
    };
    let mut visited = HashSet::from([fingerprint(&start)]);
    let mut ahead = vec![start];
    while let Some(world) = ahead.pop() {
        world.check();
        ahead.extend(world.successors().into_iter().filter(|next| visited.insert(fingerprint(next))));
    }
    visited.len()
}

#[test]
fn two_replicas_lose_no_grant_when_nothing_goes_wrong() {
    let count = explore(World::new(2, 0, 1, 1));
    assert!(count > 1_000, "{count} states");
}

#[test]
fn a_crash_a_lost_answer_or_a_long_pause_at_any_step_ends_in_the_newest_token_or_a_clear_reconnect() {
    let count = explore(World::new(2, 1, 1, 1));
    assert!(count > 100_000, "{count} states");
}

#[test]
fn what_is_disconnected_at_any_step_stays_so_until_the_next_sign_in_and_no_longer() {
    let quiet = explore(World { partings: 1, ..World::new(2, 0, 1, 1) });
    let troubled = explore(World { partings: 1, rejections: 0, ..World::new(2, 1, 0, 1) });
    assert!(quiet > 5_000 && troubled > 5_000, "{quiet} and {troubled} states");
}

#[test]
fn a_grant_for_an_audience_of_its_own_is_not_lost_either() {
    let count = explore(World::with(2, 0, 1, 1, true)) + explore(World::with(2, 1, 0, 1, true));
    assert!(count > 10_000, "{count} states");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(500))]

    /// The large case, by chance: five replicas, and much that goes wrong.
    #[test]
    fn any_history_of_many_replicas_ends_in_the_newest_token_or_a_clear_reconnect(
        choices in proptest::collection::vec(proptest::prelude::any::<u16>(), 400),
        has_audience in proptest::prelude::any::<bool>(),
        partings in 0..3_u8,
    ) {
        let mut world = World { partings, ..World::with(5, 6, 5, 3, has_audience) };
        for choice in choices {
            let mut successors = world.successors();
            world = successors.swap_remove(usize::from(choice) % successors.len());
            world.check();
        }
    }
}

/// A grant of which a renewal was sent at `at`, and its answer never came.
fn in_the_dark(at: Timestamp) -> Grant {
    let seed = Seed::new(Some(Secret::new("a")), Some(Secret::new("r")), Some(at));
    Grant::new(&seed, at).unwrap().begin(at)
}

#[test]
fn the_last_attempt_is_made_when_the_provider_has_had_time_for_the_first() {
    let sent = Timestamp::from_unix_seconds(1_700_000_000);
    let renewal_at = |now: Timestamp| {
        let row = || Heard::Row(Some(in_the_dark(sent)));
        let mut renewal = Renewal::new(TERMS, Demand::default(), None);
        assert_eq!(renewal.hear(row(), now), Act::Lease);
        assert_eq!(renewal.hear(Heard::Leased(true), now), Act::Read);
        renewal.hear(row(), now)
    };
    let second = Duration::from_secs(1);
    let Act::End(End::Failed(failure)) = renewal_at(sent.plus(REST - second)) else { panic!("it is sent too early") };
    assert_eq!(failure.retry_after, Some(second));
    let now = sent.plus(REST);
    assert_eq!(renewal_at(now), Act::Swap(in_the_dark(sent).begin(now)));
}

#[test]
fn what_the_tenant_cannot_confirm_is_looked_at_again_and_meanwhile_the_old_grant_serves() {
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let old = Seed::new(Some(Secret::new("a")), Some(Secret::new("r")), Some(now.plus(LIFE)));
    let new = Seed::new(Some(Secret::new("b")), Some(Secret::new("s")), Some(now.plus(LIFE)));
    let grant = Grant::new(&old, now).unwrap();
    let mut renewal = Renewal::new(TERMS, Demand::default(), Some(new.clone()));
    assert_eq!(renewal.hear(Heard::Row(Some(grant.clone())), now), Act::Look);
    let mut later = renewal.clone();
    assert_eq!(renewal.hear(Heard::Identity(None), now), Act::End(End::UseInDoubt(grant.clone())));
    let adopted = grant.adopt(&new, now).unwrap();
    assert_eq!(later.hear(Heard::Identity(Some(new)), now), Act::Swap(adopted.clone()));
    assert_eq!(later.hear(Heard::Swapped(true), now), Act::End(End::Use(adopted)));
}
