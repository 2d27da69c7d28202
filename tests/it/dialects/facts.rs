//! How the real providers behave, written down from what they document and from what was seen of them; never from our
//! presets, which have to stand up to it. What is uncertain says so.

mod code;
mod google;
mod microsoft;
mod people;
mod work;

/// One provider, as it behaves.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub preset: &'static str,
    /// The usual name of the tenant's connection; `None` where it is of the tenant's choice.
    pub connection: Option<&'static str>,
    /// What a customer of this provider adds to the preset; `ORIGIN` stands for the API's.
    pub customer: &'static str,
    /// Where the API is.
    pub base: &'static str,
    /// The header that carries the token, and what stands before it.
    pub token: (&'static str, &'static str),
    /// Headers without which it refuses a call, and how their values begin.
    pub needs: &'static [(&'static str, &'static str)],
    /// What it says without them.
    pub lacks: Said,
    /// A call that reads: method, and path below the base.
    pub call: (&'static str, &'static str),
    /// How it calls a token dead, in each of its ways.
    pub dead: &'static [Said],
    /// How it says that a token may not do something.
    pub scope: &'static [Said],
    /// How long a token lives, in seconds, if that is told at sign-in.
    pub life: Option<u64>,
    pub renewal: Option<Renewal>,
    pub pages: Option<Pages>,
    /// Paths below the base that hand out tokens, or end the one that the tenant keeps.
    pub denied: &'static [&'static str],
}

/// What a provider says.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    /// JSON, if a header does not say otherwise.
    pub body: &'static str,
}

/// How tokens are renewed.
#[derive(Clone, Copy, Debug)]
pub struct Renewal {
    pub url: &'static str,
    pub client: Client,
    pub form: Form,
    pub grant: Grant,
    /// Further parameters that must come, and their values.
    pub needs: &'static [(&'static str, &'static str)],
    pub rotates: Rotates,
    /// What it grants: `{access}` and `{refresh}` stand for new tokens.
    pub answer: &'static str,
    /// What a dead refresh token is told.
    pub dead: &'static [Said],
}

/// How the client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `client_id` and `client_secret` in the body (or the query of a `GET`).
    Post,
    /// HTTP Basic.
    Basic,
}

/// How a renewal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Form,
    Json,
}

/// What is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 §6.
    RefreshToken,
    /// The access token itself, which must live still, by a `GET`.
    Exchange,
}

/// What a renewal does to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotates {
    /// Nothing, and no other one comes.
    Never,
    /// Nothing, but nobody has promised that.
    NotSeen,
    /// A new one comes, and the old one goes on working.
    KeepsOld,
    /// It is spent: whoever brings it again ends the grant.
    Spends,
    /// The same, and the old access token dies at once.
    SpendsAll,
}

/// How the second page is found.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// Path and query of the first page, below the base.
    pub at: &'static str,
    /// The first page: `{origin}` is the API's, `{token}` the token that it was called with.
    pub body: &'static str,
    pub next: Next,
    /// Path and query of the second page, below the API's origin.
    pub second: &'static str,
}

/// Where the second page is told, and how a client goes there.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// `Link: <…>; rel="next"`, with this in it.
    Link(&'static str),
    /// An absolute URL at this pointer.
    Url(&'static str),
    /// A path from the root at this pointer, which a client joins to the base that it was given.
    Path(&'static str),
    /// A cursor at this pointer, which a client puts behind this path and query below the base.
    Cursor(&'static str, &'static str),
    /// A cursor at this pointer, which a client posts to this path below the base.
    Posted(&'static str, &'static str),
}

const BEARER: (&str, &str) = ("authorization", "Bearer ");

/// What goes for most.
const PLAIN: Facts = Facts {
    preset: "",
    connection: None,
    customer: "",
    base: "",
    token: BEARER,
    needs: &[],
    lacks: Said::json(400, "{}"),
    call: ("GET", "/me"),
    dead: &[],
    scope: &[],
    life: None,
    renewal: None,
    pages: None,
    denied: &[],
};

/// RFC 6749 §6, as most have it.
const RENEWAL: Renewal = Renewal {
    url: "",
    client: Client::Post,
    form: Form::Form,
    grant: Grant::RefreshToken,
    needs: &[],
    rotates: Rotates::Spends,
    answer: r#"{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh}"}"#,
    dead: &[INVALID_GRANT],
};

/// RFC 6749 §5.2.
const INVALID_GRANT: Said = Said::json(400, r#"{"error":"invalid_grant"}"#);

impl Said {
    const fn json(status: u16, body: &'static str) -> Self {
        Self { status, headers: &[], body }
    }

    const fn with(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Self {
        Self { status, headers, body }
    }
}

impl Rotates {
    /// Whether losing an answer may lose the grant, so that a store is called for.
    pub fn needs_a_store(self) -> bool {
        match self {
            Self::Never | Self::KeepsOld => false,
            Self::NotSeen | Self::Spends | Self::SpendsAll => true,
        }
    }

    /// Whether a refresh token is good for one use.
    pub fn is_spent(self) -> bool {
        match self {
            Self::Never | Self::NotSeen | Self::KeepsOld => false,
            Self::Spends | Self::SpendsAll => true,
        }
    }
}

/// All that is known, those first of which the test takes longest.
pub fn all() -> Vec<Facts> {
    [people::all(), google::all(), microsoft::all(), code::all(), work::all()].concat()
}
