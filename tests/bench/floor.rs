//! The floor: what any proxy on this stack must do, and nothing else. hyper-util's auto server and legacy client,
//! hop-by-hop headers out both ways, one bearer for all. Same runtime, worker count and allocator as the proxy.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::child::say_listening;
use crate::rig::{PREFIX, WORKERS};

type Forward = Client<HttpConnector, Incoming>;

/// What every request is sent on with.
#[derive(Clone)]
struct Route {
    upstream: Authority,
    host: HeaderValue,
    bearer: HeaderValue,
    client: Forward,
}

/// `role-floor UPSTREAM BEARER`
pub fn run(arguments: &[String]) {
    let [upstream, bearer] = arguments else { panic!("role-floor UPSTREAM BEARER") };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let route = Route {
        upstream: upstream.parse().unwrap(),
        host: upstream.parse().unwrap(),
        bearer: format!("Bearer {bearer}").parse().unwrap(),
        client: Client::builder(TokioExecutor::new()).build(connector),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
    // Spawned, so that accepting is the workers' and not the main thread's.
    runtime.block_on(async { tokio::spawn(serve(route)).await.unwrap() });
}

async fn serve(route: Route) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    say_listening(listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let route = route.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(route.clone(), request));
            // A caller that goes away is the load's business: it counts what it did not get.
            drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn forward(route: Route, mut request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    let target = request.uri().path_and_query().unwrap().as_str();
    let target = PathAndQuery::try_from(target.strip_prefix(PREFIX).unwrap()).unwrap();
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(route.upstream);
    uri.path_and_query = Some(target);
    *request.uri_mut() = Uri::from_parts(uri).unwrap();
    *request.version_mut() = http::Version::HTTP_11;
    strip_hop_by_hop(request.headers_mut());
    request.headers_mut().insert(HOST, route.host);
    request.headers_mut().insert(AUTHORIZATION, route.bearer);
    let mut response = route.client.request(request).await.unwrap();
    strip_hop_by_hop(response.headers_mut());
    Ok(response)
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"] {
        headers.remove(name);
    }
}
