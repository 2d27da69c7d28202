//! What can be made to go wrong at a simulated party, and what is counted there.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::http::{HeaderName, HeaderValue, Response, StatusCode};

use super::answer;
use super::http::{Answer, Body};

/// One way to go wrong. It lasts until it is healed, unless it is [`Fault::Times`].
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and JSON (or any) text, at once.
    Status(u16, String),
    /// The same with headers of one's choice, such as `retry-after`.
    Answer {
        /// The status.
        status: u16,
        /// Names (in lower case) and values.
        headers: Vec<(&'static str, String)>,
        /// The text.
        body: String,
    },
    /// Never an answer.
    Hang,
    /// The right answer, this much later.
    Delay(Duration),
    /// 200 with a page of HTML, as captive portals and misrouted load balancers send it.
    Garbage,
    /// The connection is closed before anything is done.
    Reset,
    /// Everything is done, and the connection closed before the answer: the caller cannot know.
    LoseAnswer,
    /// The fault within, for so many calls; then all is well.
    Times(u32, Box<Self>),
}

impl Fault {
    /// This fault for the next `count` calls only.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self::Times(count, Box::new(self))
    }

    /// What the next call meets. Counted faults count down.
    fn next(&mut self) -> Option<Self> {
        match self {
            Self::Times(0, _) => None,
            Self::Times(left, fault) => {
                *left -= 1;
                fault.next()
            }
            Self::Status(..)
            | Self::Answer { .. }
            | Self::Hang
            | Self::Delay(_)
            | Self::Garbage
            | Self::Reset
            | Self::LoseAnswer => Some(self.clone()),
        }
    }
}

/// The faults and counters of a party whose endpoints are told apart by `E`.
#[derive(Debug)]
pub(super) struct Faults<E>(Mutex<HashMap<E, Lane>>);

/// One endpoint.
#[derive(Debug, Default)]
struct Lane {
    fault: Option<Fault>,
    delay: Duration,
    calls: u64,
    running: u64,
    running_max: u64,
}

impl<E> Default for Faults<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: Copy + Eq + Hash> Faults<E> {
    pub(super) fn fail(&self, endpoint: E, fault: Fault) {
        self.lanes().entry(endpoint).or_default().fault = Some(fault);
    }

    /// Ends the faults of every endpoint. Constant delays stay.
    pub(super) fn heal(&self) {
        self.lanes().values_mut().for_each(|lane| lane.fault = None);
    }

    pub(super) fn delay(&self, endpoint: E, delay: Duration) {
        self.lanes().entry(endpoint).or_default().delay = delay;
    }

    pub(super) fn calls(&self, endpoint: E) -> u64 {
        self.lanes().get(&endpoint).map_or(0, |lane| lane.calls)
    }

    /// The highest number of calls that were in progress together.
    pub(super) fn calls_at_once_max(&self, endpoint: E) -> u64 {
        self.lanes().get(&endpoint).map_or(0, |lane| lane.running_max)
    }

    /// Counts a call to `endpoint` and does the `work`, or what its fault says instead.
    pub(super) async fn run(&self, endpoint: E, work: impl Future<Output = Response<Body>>) -> Answer {
        let _running = Running { faults: self, endpoint };
        let (delay, fault) = {
            let mut lanes = self.lanes();
            let lane = lanes.entry(endpoint).or_default();
            lane.calls += 1;
            lane.running += 1;
            lane.running_max = lane.running_max.max(lane.running);
            (lane.delay, lane.fault.as_mut().and_then(Fault::next))
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match fault {
            // `next` has unwrapped a counted fault.
            None | Some(Fault::Times(..)) => Some(work.await),
            Some(Fault::Status(status, body)) => Some(made(status, &[], body)),
            Some(Fault::Answer { status, headers, body }) => Some(made(status, &headers, body)),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                Some(work.await)
            }
            Some(Fault::Garbage) => Some(answer::html(StatusCode::OK, "<html><h1>It works!</h1></html>".to_owned())),
            Some(Fault::Reset) => None,
            Some(Fault::LoseAnswer) => {
                work.await;
                None
            }
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<E, Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in progress. A caller that leaves drops it, which no code after an await would notice.
struct Running<'a, E: Copy + Eq + Hash> {
    faults: &'a Faults<E>,
    endpoint: E,
}

impl<E: Copy + Eq + Hash> Drop for Running<'_, E> {
    fn drop(&mut self) {
        if let Some(lane) = self.faults.lanes().get_mut(&self.endpoint) {
            lane.running = lane.running.saturating_sub(1);
        }
    }
}

fn made(status: u16, headers: &[(&'static str, String)], body: String) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer::answer(status, "application/json", body);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn called(faults: &Faults<u8>) -> Option<u16> {
        let work = async { answer::text(StatusCode::OK, "well") };
        faults.run(1, work).await.map(|response| response.status().as_u16())
    }

    #[tokio::test]
    async fn a_counted_fault_ends_by_itself() {
        let faults = Faults::default();
        faults.fail(1, Fault::Status(500, String::new()).times(2));
        assert_eq!(
            [called(&faults).await, called(&faults).await, called(&faults).await],
            [Some(500), Some(500), Some(200)]
        );
        assert_eq!(faults.calls(1), 3);
    }

    #[tokio::test]
    async fn a_fault_lasts_until_it_is_healed() {
        let faults = Faults::default();
        faults.fail(1, Fault::Reset);
        assert_eq!([called(&faults).await, called(&faults).await], [None, None]);
        faults.heal();
        assert_eq!(called(&faults).await, Some(200));
    }

    #[tokio::test]
    async fn a_caller_that_leaves_is_no_longer_counted_as_present() {
        let faults = Faults::default();
        faults.fail(1, Fault::Hang);
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_millis(5), called(&faults)).await.is_err());
        }
        assert_eq!((faults.calls(1), faults.calls_at_once_max(1)), (3, 1));
    }

    #[tokio::test]
    async fn an_answer_of_choice_carries_its_headers() {
        let faults = Faults::default();
        let headers = vec![("retry-after", "7".to_owned())];
        faults.fail(1, Fault::Answer { status: 429, headers, body: "{}".to_owned() });
        let response = faults.run(1, async { answer::text(StatusCode::OK, "") }).await.unwrap();
        assert_eq!(response.headers().get("retry-after").unwrap(), "7");
    }
}
