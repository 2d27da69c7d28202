//! Stand-ins for a provider's API.
//!
//! [`Upstream::recording`] answers like a server and keeps what arrived. It fails the test (when it is dropped, or when
//! asked) in which a header outside its allow-list or any piece of the caller's token arrived, or a request without
//! exactly one credential. [`Upstream::raw`] speaks whatever bytes the test wants, for what no server would do.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the body arrived as its framing promised.
    pub complete: bool,
}

impl Recorded {
    /// All lines of that name, joined.
    pub fn all(&self, name: &str) -> String {
        let lines: Vec<_> =
            self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        lines.join(", ")
    }
}

/// What every provider may see. A test that sends more says so with [`Upstream::allow`].
const ALLOWED: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "if-none-match",
    "range",
    "transfer-encoding",
    "user-agent",
    "via",
];

type Handler = Arc<dyn Fn(&Recorded) -> Response<Bytes> + Send + Sync>;

#[derive(Default)]
struct State {
    requests: Vec<Recorded>,
    allowed: Vec<String>,
    complaints: Vec<String>,
}

/// A stand-in. Stops when it is dropped.
pub struct Upstream {
    address: String,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

impl Upstream {
    /// Answers every request with 200 and this body.
    pub async fn replying(body: &'static str) -> Self {
        Self::recording(move |_| Response::new(Bytes::from_static(body.as_bytes()))).await
    }

    /// Answers every request as `handler` says, once it has arrived whole.
    pub async fn recording(handler: impl Fn(&Recorded) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let handler: Handler = Arc::new(handler);
        let recorder = Arc::clone(&state);
        Self::listening(state, move |stream| {
            let (state, handler) = (Arc::clone(&recorder), Arc::clone(&handler));
            async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&state), Arc::clone(&handler)));
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Hands every connection to `speak`.
    pub async fn raw<F, Spoken>(speak: F) -> Self
    where
        F: Fn(TcpStream) -> Spoken + Send + Sync + 'static,
        Spoken: Future<Output = ()> + Send + 'static,
    {
        Self::listening(Arc::default(), speak).await
    }

    async fn listening<F, Spoken>(state: Arc<Mutex<State>>, speak: F) -> Self
    where
        F: Fn(TcpStream) -> Spoken + Send + Sync + 'static,
        Spoken: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(speak(stream));
            }
        });
        Self { address, state, task: task.abort_handle() }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets further header names arrive.
    pub fn allow(self, names: &[&str]) -> Self {
        self.state.lock().unwrap().allowed.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Everything that arrived so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The one request that arrived.
    pub fn only(&self) -> Recorded {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request should have arrived: {requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// Asserts that nothing arrived.
    pub fn saw_nothing(&self) {
        assert_eq!(self.requests().len(), 0, "nothing should have arrived: {:#?}", self.requests());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
        let complaints = std::mem::take(&mut self.state.lock().unwrap().complaints);
        if !complaints.is_empty() && !std::thread::panicking() {
            panic!("what must not arrive at a provider did: {complaints:#?}");
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    handler: Handler,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut incoming) = request.into_parts();
    let (mut body, mut complete) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(_trailers)) => {}
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let recorded = Recorded { method: head.method.to_string(), target, headers: head.headers, body, complete };
    let response = handler(&recorded);
    let mut state = state.lock().unwrap();
    let complaints = complaints(&recorded, &state.allowed);
    state.complaints.extend(complaints);
    state.requests.push(recorded);
    Ok(response.map(Full::new))
}

/// What a provider must not see.
fn complaints(request: &Recorded, allowed: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in &request.headers {
        let name = name.as_str();
        if !ALLOWED.contains(&name) && !allowed.iter().any(|known| known == name) {
            found.push(format!("header {name}: {value:?}"));
        }
        // Every JWT of ours begins like this, and no provider token of the tests does.
        if value.as_bytes().windows(3).any(|window| window == b"eyJ") {
            found.push(format!("a piece of the caller's token in {name}"));
        }
    }
    if request.target.contains("eyJ") {
        found.push(format!("a piece of the caller's token in {}", request.target));
    }
    let credentials = request.headers.get_all("authorization").iter().count();
    if credentials != 1 && !allowed.iter().any(|known| known == "no authorization") {
        found.push(format!("{credentials} credentials"));
    }
    found
}
