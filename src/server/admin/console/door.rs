//! Who is let in: a browser on this machine that was sent by nobody else. Whoever else asks is told why not.
//!
//! A page of the open web can make a browser send requests to loopback, also under a name of its own (DNS rebinding), and
//! a page of another program on this machine is of the same site as ours, since a site has no port. So the name in `Host`
//! is checked, where the request comes from (Fetch Metadata, RFC 6454), and only then the cookie.

use std::net::{IpAddr, SocketAddr};

use hyper::http::Method;
use hyper::http::header::{self, HeaderMap, HeaderName};
use hyper::http::request::Parts;

/// Why somebody is not let in, in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stranger(pub(super) &'static str);

const ELSEWHERE: Stranger = Stranger(
    "The console answers this machine alone. From another one, forward the port (ssh -L, kubectl port-forward) and open it there as 127.0.0.1.\n",
);
const HOST: Stranger = Stranger(
    "The console is reached by the address of the admin listener, or as localhost at its port, and by no other name.\n",
);
const SITE: Stranger =
    Stranger("The console takes requests from its own page alone. To open it, paste its link into the address bar.\n");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request in, or says why not. `own` is where we listen.
pub(super) fn admit(head: &Parts, peer: IpAddr, own: SocketAddr) -> Result<(), Stranger> {
    if !peer.to_canonical().is_loopback() {
        return Err(ELSEWHERE);
    }
    let host = one(&head.headers, &header::HOST).filter(|host| is_own(host, own)).ok_or(HOST)?;
    let is_write = !matches!(head.method, Method::GET | Method::HEAD);
    match one(&head.headers, &FETCH_SITE) {
        Some("same-origin") => {}
        // The address bar, a bookmark: nobody's page.
        Some("none") if !is_write => {}
        // curl, or a browser that does not say.
        None if !head.headers.contains_key(FETCH_SITE) => {}
        Some(_) | None => return Err(SITE),
    }
    let origin = format!("http://{host}");
    let is_from_us = match head.headers.contains_key(header::ORIGIN) {
        true => one(&head.headers, &header::ORIGIN).is_some_and(|from| from == origin),
        false => !is_write,
    };
    if is_from_us { Ok(()) } else { Err(SITE) }
}

/// The value of a header that is there once.
fn one<'head>(headers: &'head HeaderMap, name: &HeaderName) -> Option<&'head str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether a `Host` is one of loopback's names, or the loopback address we listen on, at our port.
fn is_own(host: &str, own: SocketAddr) -> bool {
    let bound = own.to_string();
    let port = format!(":{}", own.port());
    // Browsers leave out the port that goes without saying.
    let name = host.strip_suffix(&port).or_else(|| Some(host).filter(|_| own.port() == 80));
    let is_bound = || own.ip().is_loopback() && name == bound.strip_suffix(&port);
    matches!(name, Some("localhost" | "127.0.0.1" | "[::1]")) || is_bound()
}

#[cfg(test)]
mod tests {
    use hyper::http::Request;

    use super::*;

    fn admitted(method: &str, headers: &[(&str, &str)]) -> Result<(), Stranger> {
        let mut request = Request::builder().method(method).uri("/admin/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let own = "127.0.0.2:9090".parse().unwrap();
        admit(&request.body(()).unwrap().into_parts().0, "127.0.0.1".parse().unwrap(), own)
    }

    #[test]
    fn loopbacks_names_at_our_port_are_ours_and_no_others() {
        for host in ["127.0.0.1:9090", "localhost:9090", "[::1]:9090", "127.0.0.2:9090"] {
            assert_eq!(admitted("GET", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:9091",
            "localhost.evil.example:9090",
            "evil.example:9090",
            "127.0.0.3:9090",
            "a@127.0.0.1:9090",
            "127.0.0.1:9090/",
            "[::1]",
            "localhost:9090:9090",
            "10.0.0.1:9090",
            "127.0.0.1:9090:9090",
            "LOCALHOST",
        ] {
            assert_eq!(admitted("GET", &[("host", host)]), Err(HOST), "{host}");
        }
        assert_eq!(admitted("GET", &[]), Err(HOST));
        assert_eq!(admitted("GET", &[("host", "localhost:9090"), ("host", "localhost:9090")]), Err(HOST));
    }

    #[test]
    fn the_port_of_http_goes_without_saying() {
        let own = "[::1]:80".parse().unwrap();
        for host in ["localhost", "127.0.0.1", "[::1]", "localhost:80", "[::1]:80"] {
            assert!(is_own(host, own), "{host}");
        }
        for host in ["evil.example", "evil.example:80", "localhost:81", ""] {
            assert!(!is_own(host, own), "{host}");
        }
    }

    #[test]
    fn a_read_comes_from_our_page_or_from_nobodys() {
        let host = ("host", "127.0.0.1:9090");
        for site in ["same-origin", "none"] {
            assert_eq!(admitted("GET", &[host, ("sec-fetch-site", site)]), Ok(()), "{site}");
        }
        for site in ["same-site", "cross-site", "", "x"] {
            assert_eq!(admitted("GET", &[host, ("sec-fetch-site", site)]), Err(SITE), "{site}");
        }
        let twice = [host, ("sec-fetch-site", "none"), ("sec-fetch-site", "none")];
        assert_eq!(admitted("GET", &twice), Err(SITE));
        assert_eq!(admitted("GET", &[host, ("origin", "http://127.0.0.1:9091")]), Err(SITE));
    }

    #[test]
    fn a_write_says_that_it_comes_from_our_page() {
        let (host, ours) = (("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090"));
        assert_eq!(admitted("POST", &[host, ours, ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(admitted("POST", &[host, ours]), Ok(()));
        for headers in [
            &[host][..],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ours, ("sec-fetch-site", "none")],
            &[host, ours, ("sec-fetch-site", "same-site")],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://localhost:9090")],
            &[host, ("origin", "https://127.0.0.1:9090")],
            &[host, ours, ours],
        ] {
            assert_eq!(admitted("POST", headers), Err(SITE), "{headers:?}");
        }
    }

    #[test]
    fn who_is_not_on_this_machine_is_told_to_forward_the_port() {
        let request = Request::builder().header("host", "127.0.0.1:9090").body(()).unwrap().into_parts().0;
        let own = "[::]:9090".parse().unwrap();
        for (peer, expected) in [
            ("127.0.0.1", Ok(())),
            ("::1", Ok(())),
            ("::ffff:127.0.0.1", Ok(())),
            ("10.0.0.1", Err(ELSEWHERE)),
            ("fe80::1", Err(ELSEWHERE)),
            ("::ffff:10.0.0.1", Err(ELSEWHERE)),
        ] {
            assert_eq!(admit(&request, peer.parse().unwrap(), own), expected, "{peer}");
        }
    }
}
