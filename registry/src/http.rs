//! Requests to registries, and what is read of their answers.

use std::error::Error;
use std::io;
use std::iter;
use std::time::Duration;

use reqwest::header::HeaderName;
use reqwest::{Certificate, Client, Response, StatusCode, Url};

use crate::certificates;
use crate::credentials::Credentials;
use crate::error::PullError;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take to get a document, which has a few kilobytes, or the first byte of a blob.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

const USER_AGENT: &str = concat!("jaula/", env!("CARGO_PKG_VERSION"));

/// Who asks.
#[derive(Clone)]
pub(crate) enum Asking {
    Anybody,
    /// Whoever the registry, or the server that it trusts, gave this to.
    Token(String),
    User(Credentials),
}

/// Why something did not come. Of an answer that is an error nothing is read but its number.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{}", reason(.0))]
    Request(reqwest::Error),
    #[error("it answers {}", .0.as_u16())]
    Status(StatusCode),
    #[error("its answer has more than {0} bytes")]
    TooLong(u64),
    #[error("there is no answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Late,
    #[error("it names no server for tokens that can be asked")]
    Realm,
    #[error("its server for tokens gives none")]
    NoToken,
    #[error("the answer of its server for tokens has more than {0} bytes")]
    LongToken(u64),
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error)
    }
}

impl Fault {
    /// Whether nobody was reached at all.
    pub(crate) fn is_of_connecting(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_connect())
    }

    /// Whether whoever was reached is not trusted, or speaks otherwise.
    pub(crate) fn is_of_tls(&self) -> bool {
        matches!(self, Self::Request(error) if tls_error(error).is_some())
    }
}

/// What says most in the chain of causes, of which those further out tell what they hold once more.
fn reason(error: &reqwest::Error) -> String {
    let first = causes(error).last();
    let host = error.url().and_then(Url::host_str);
    match (host, first) {
        (Some(host), Some(cause)) if error.is_connect() && is_of_resolver(cause) => {
            format!("no address of {host} is found")
        }
        (_, Some(cause)) => cause.to_string(),
        (_, None) => error.to_string(),
    }
}

/// What keeps a connection from being made comes from the kernel, from TLS, or else from who looks
/// names up.
fn is_of_resolver(cause: &(dyn Error + 'static)) -> bool {
    !cause.is::<io::Error>() && !cause.is::<rustls::Error>()
}

/// Prepares to ask `registry`. Proxies are those of the environment.
pub(crate) fn client(registry: &str) -> Result<Client, PullError> {
    let failed = |error: reqwest::Error| PullError::Client {
        registry: registry.to_owned(),
        source: io::Error::other(error),
    };
    let mut certificates = Vec::new();
    for pem in certificates::of(registry)? {
        certificates.push(Certificate::from_pem(&pem).map_err(failed)?);
    }
    Client::builder()
        .tls_certs_merge(certificates)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(USER_AGENT)
        .build()
        .map_err(failed)
}

/// What answers at `url`, whatever it says.
pub(crate) async fn get(
    client: &Client,
    url: &str,
    asking: &Asking,
    header: Option<(HeaderName, &str)>,
) -> Result<Response, Fault> {
    let mut request = client.get(url);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let request = match asking {
        Asking::Anybody => request,
        Asking::Token(token) => request.bearer_auth(token),
        Asking::User(user) => request.basic_auth(user.name(), Some(user.password())),
    };
    Ok(request.send().await?)
}

/// All of an answer, of at most `limit` bytes.
pub(crate) async fn read(mut answer: Response, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(Fault::TooLong(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Whether what answers at `https://HOST/` speaks TLS. That its certificate is refused says that
/// it does.
pub(crate) async fn has_tls(client: &Client, host: &str) -> bool {
    match client.get(format!("https://{host}/v2/")).send().await {
        Err(error) if error.is_connect() => tls_error(&error)
            .is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_))),
        _ => true,
    }
}

/// What TLS says of a connection that was not made, if it was asked.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error and its causes, the first one last.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        // What an I/O error was made from is not its source: that is the source of that.
        match error.downcast_ref::<io::Error>() {
            Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
