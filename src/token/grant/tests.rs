//! A record's changes, one by one.

use super::*;

const REST: Duration = Duration::from_secs(20);
const ROTATES: Terms = Terms { spends: Spends::RefreshToken, rotates: true, lifetime: None, rest: REST };
const KEEPS: Terms = Terms { rotates: false, ..ROTATES };
const EXCHANGES: Terms = Terms { spends: Spends::AccessToken, rotates: false, lifetime: None, rest: REST };
const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

fn secret(text: &str) -> Option<Secret> {
    (!text.is_empty()).then(|| Secret::new(text))
}

fn seed(access: &str, refresh: &str) -> Seed {
    Seed::new(secret(access), secret(refresh), Some(now().plus(HOUR)))
}

fn grant(access: &str, refresh: &str) -> Grant {
    Grant::new(&seed(access, refresh), now()).unwrap()
}

fn granted(access: &str, refresh: &str, expires_in: Option<Duration>) -> Granted {
    Granted { access_token: Secret::new(access), refresh_token: secret(refresh), expires_in, scope: None }
}

fn step(grant: &Grant, at: Duration, terms: Terms) -> Step {
    grant.step(now().plus(at), terms, Demand::default())
}

#[test]
fn a_token_serves_until_its_window_opens_and_is_renewed_behind_until_it_ends() {
    let grant = grant("a", "r");
    assert_eq!(step(&grant, Duration::ZERO, KEEPS), Step::Use);
    assert_eq!(step(&grant, HOUR - Duration::from_secs(61), KEEPS), Step::Use);
    assert_eq!(step(&grant, HOUR - Duration::from_secs(29), KEEPS), Step::UseAndRenew);
    assert_eq!(step(&grant, HOUR, KEEPS), Step::Renew);
}

#[test]
fn a_short_life_has_a_short_window() {
    let renewed = grant("a", "r").succeed(&granted("b", "", Some(Duration::from_secs(20))), KEEPS, now());
    assert_eq!(step(&renewed, Duration::from_secs(17), KEEPS), Step::Use);
    assert_eq!(step(&renewed, Duration::from_millis(19_001), KEEPS), Step::UseAndRenew);
}

#[test]
fn without_a_refresh_token_an_expired_access_token_is_the_end() {
    let grant = grant("a", "");
    assert_eq!(step(&grant, HOUR - Duration::from_secs(1), KEEPS), Step::Use);
    assert_eq!(step(&grant, HOUR, KEEPS), Step::Reconnect(None));
}

#[test]
fn what_is_spent_itself_is_renewed_well_before_it_ends() {
    let sixty_days = Duration::from_secs(60 * 24 * 3600);
    let exchanged = grant("a", "").succeed(&granted("b", "", Some(sixty_days)), EXCHANGES, now());
    assert_eq!(step(&exchanged, sixty_days / 10 * 8, EXCHANGES), Step::Use);
    assert_eq!(step(&exchanged, sixty_days / 100 * 96, EXCHANGES), Step::UseAndRenew);
}

#[test]
fn an_exchange_needs_a_token_that_still_lives() {
    let grant = grant("a", "");
    assert_eq!(step(&grant, HOUR - Duration::from_secs(1), EXCHANGES), Step::UseAndRenew);
    assert_eq!(step(&grant, HOUR, EXCHANGES), Step::Reconnect(None));
}

#[test]
fn a_refused_token_is_renewed_and_a_newer_one_is_not() {
    let first = grant("a", "r");
    let value = first.access.as_ref().map(Access::fingerprint);
    let refused = Demand { refused: value, ..Demand::default() };
    assert_eq!(first.step(now(), KEEPS, refused), Step::Renew);
    assert_eq!(first.step(now(), KEEPS, Demand { is_look: true, ..refused }), Step::Reconnect(None));
    let second = first.succeed(&granted("b", "s", Some(HOUR)), KEEPS, now());
    assert_eq!(second.step(now(), KEEPS, refused), Step::Use);
    // The value is refused, whatever record it comes in.
    let again = grant("a", "r").succeed(&granted("a", "s", Some(HOUR)), KEEPS, now());
    assert_eq!(again.step(now(), KEEPS, refused), Step::Renew);
}

#[test]
fn who_wants_more_life_gets_a_renewal_but_not_one_for_each_call() {
    let grant = grant("a", "r");
    let demand = |seconds| Demand { min_validity: Duration::from_secs(seconds), ..Demand::default() };
    assert_eq!(grant.step(now().plus(HOUR / 2), KEEPS, demand(1700)), Step::Use);
    assert_eq!(grant.step(now().plus(HOUR / 2), KEEPS, demand(1801)), Step::Use);
    assert_eq!(grant.step(now().plus(HOUR * 3 / 4), KEEPS, demand(1700)), Step::Renew);
    assert_eq!(grant.step(now(), KEEPS, demand(1_000_000)), Step::Use);
}

#[test]
fn what_a_sign_in_does_not_bring_does_not_take_away_what_is_held() {
    let grant = grant("a", "r").adopt(&seed("b", ""), now()).unwrap();
    assert_eq!(grant.refresh, secret("r"));
    assert_eq!(grant.access.as_ref().unwrap().value, Secret::new("b"));
    assert_eq!(grant.adopt(&seed("b", ""), now()), None);
    assert_eq!(grant.adopt(&seed("", ""), now()), None);
}

#[test]
fn for_an_audience_of_its_own_a_sign_in_leaves_a_refresh_token_alone() {
    let first = seed("a", "r").without_access();
    let grant = Grant::new(&first, now()).unwrap();
    assert_eq!((&grant.access, &grant.refresh), (&None, &secret("r")));
    assert_eq!(step(&grant, Duration::ZERO, KEEPS), Step::Renew);
    let renewed = grant.succeed(&granted("for-it", "s", Some(HOUR)), KEEPS, now());
    assert_eq!(renewed.adopt(&first, now()), None);
    // What comes of the new sign-in may be allowed more than what is held.
    let anew = renewed.adopt(&seed("b", "t").without_access(), now()).unwrap();
    assert_eq!((&anew.access, &anew.refresh), (&None, &secret("t")));
    // Without a refresh token there is nothing to begin with, and nothing to give up for it.
    assert_eq!(Grant::new(&seed("a", "").without_access(), now()), None);
    assert_eq!(renewed.adopt(&seed("b", "").without_access(), now()), None);
}

#[test]
fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let grant = grant("a", "r").succeed(&granted("b", "", None), KEEPS, now());
    assert_eq!(grant.refresh, secret("r"));
    assert_eq!(grant.access.unwrap().life.expires, None);
}

#[test]
fn the_third_attempt_at_a_provider_that_rotates_is_not_made() {
    let late = now().plus(HOUR);
    let once = grant("a", "r").begin(now());
    let twice = once.begin(now());
    assert_eq!(once.step(late, ROTATES, Demand::default()), Step::Renew);
    assert_eq!(twice.step(late, ROTATES, Demand::default()), Step::Reconnect(Some(Death::AnswersLost)));
    assert_eq!(twice.step(late, KEEPS, Demand::default()), Step::Renew);
    assert_eq!(twice.withdraw().step(late, ROTATES, Demand::default()), Step::Renew);
}

#[test]
fn a_refresh_token_rests_after_a_lost_answer_where_a_second_one_could_cost_the_grant() {
    let marked = grant("a", "r").begin(now());
    let second = Duration::from_secs(1);
    assert_eq!(marked.rests(ROTATES, now().plus(second)), Some(REST - second));
    assert_eq!(marked.rests(ROTATES, now().plus(REST)), None);
    assert_eq!(marked.rests(KEEPS, now()), None);
    assert_eq!(marked.withdraw().rests(ROTATES, now()), None);
}

#[test]
fn a_dead_grant_serves_while_its_access_token_lives_and_a_new_sign_in_revives_it() {
    let dead = grant("a", "r").die(Death::Refused);
    assert_eq!(step(&dead, Duration::ZERO, ROTATES), Step::Use);
    assert_eq!(step(&dead, HOUR, ROTATES), Step::Reconnect(Some(Death::Refused)));
    let revived = dead.adopt(&seed("b", "s"), now()).unwrap();
    assert_eq!((revived.state, revived.refresh), (State::Active, secret("s")));
    // Its dead refresh token does not come back with it.
    assert_eq!(dead.adopt(&seed("b", ""), now()).unwrap().refresh, None);
}

#[test]
fn a_disconnected_grant_has_no_token_and_only_another_sign_in_revives_it() {
    let (old, new) = (seed("a", "r"), seed("b", ""));
    for grant in [grant("a", "r"), grant("a", "r").begin(now()), grant("a", "r").die(Death::Refused)] {
        let parted = grant.disconnect(&old, now()).unwrap();
        let Some(Remains::Unrevoked(pair)) = &parted.remains else { panic!("{:?}", parted.remains) };
        assert_eq!((&pair.access, &pair.refresh), (&secret("a"), &secret("r")), "the newest remain");
        assert_eq!((&parted.access, &parted.refresh, parted.generation), (&None, &None, grant.generation + 1));
        assert_eq!(step(&parted, Duration::ZERO, KEEPS), Step::Reconnect(Some(Death::Disconnected)));
        assert_eq!(parted.adopt(&old, now()), None);
        assert_eq!(parted.spendable(KEEPS, now()), None);
        assert_eq!(parted.disconnect(&old, now()), None, "it is already");
        let revived = parted.adopt(&new, now()).unwrap();
        assert_eq!((&revived.remains, &revived.refresh), (&None, &None));
        assert_eq!((revived.state, revived.access.unwrap().value), (State::Active, secret("b").unwrap()));
        // Of a sign-in that nobody has used yet, too.
        let parted = grant.disconnect(&new, now()).unwrap();
        assert_eq!(parted.adopt(&new, now()), None);
        let Some(Remains::Unrevoked(pair)) = &parted.remains else { panic!("{:?}", parted.remains) };
        assert_eq!(pair.access, secret("b"));
        // And where the tenant holds nothing any more.
        let parted = grant.disconnect(&seed("", ""), now()).unwrap();
        assert_eq!((parted.adopt(&old, now()), parted.adopt(&new, now()).is_some()), (None, true));
    }
    assert_eq!(Grant::new_disconnected(&old, now()).unwrap().adopt(&old, now()), None);
    assert_eq!(Grant::new_disconnected(&seed("", ""), now()), None);
}

#[test]
fn a_version_that_knows_of_no_disconnecting_reads_everything_else() {
    let layout =
        |grant: &Grant| serde_json::from_slice::<serde_json::Value>(&grant.encode()).unwrap()["layout"].clone();
    assert_eq!(layout(&grant("a", "r").die(Death::Refused)), 1);
    assert_eq!(layout(&grant("a", "r").disconnect(&seed("a", "r"), now()).unwrap()), 2);
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let first = grant("a", "r");
    for grant in [
        first.clone(),
        first.begin(now()),
        first.die(Death::AnswersLost),
        first.disconnect(&seed("a", "r"), now()).unwrap(),
        first.disconnect(&seed("a", "r"), now()).unwrap().leaving(Some(Remains::Revoked)),
        first.succeed(&granted("b", "s", Some(HOUR)), ROTATES, now()),
        grant("a", ""),
    ] {
        assert_eq!(Grant::decode(grant.generation, &grant.encode()), Ok(grant));
    }
}

#[test]
fn a_damaged_record_and_one_of_a_newer_version_are_told_apart() {
    assert_eq!(Grant::decode(1, b"nonsense"), Err(DecodeError::Damaged));
    assert_eq!(Grant::decode(1, br#"{"layout":1}"#), Err(DecodeError::Damaged));
    assert_eq!(Grant::decode(1, br#"{"layout":3,"all":"new"}"#), Err(DecodeError::Newer));
}
