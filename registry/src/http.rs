//! Requests whose answers are documents: read to a limit, which the client for blobs does not
//! know.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode};

use crate::certificates;
use crate::error::PullError;

/// How long a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a registry may be silent.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const USER_AGENT: &str = concat!("jaula/", env!("CARGO_PKG_VERSION"));

/// Who asks for a document.
pub(crate) enum Asking {
    Anybody,
    /// Whoever the registry, or the server that it trusts, gave this to.
    Token(String),
    User {
        name: String,
        password: String,
    },
}

/// Why a document did not come.
#[derive(Debug)]
pub(crate) enum DocumentError {
    Request(reqwest::Error),
    Status(StatusCode),
    TooLong,
}

impl From<reqwest::Error> for DocumentError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error)
    }
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

/// The document at `url`, of at most `limit` bytes. Of an answer that is an error nothing is read
/// but its number.
pub(crate) async fn document(
    client: &Client,
    url: &str,
    accept: &'static str,
    asking: &Asking,
    limit: u64,
) -> Result<Vec<u8>, DocumentError> {
    let request = client
        .get(url)
        .header(ACCEPT, HeaderValue::from_static(accept));
    let request = match asking {
        Asking::Anybody => request,
        Asking::Token(token) => request.bearer_auth(token),
        Asking::User { name, password } => request.basic_auth(name, Some(password)),
    };
    let answer = request.send().await?;
    if answer.status() != StatusCode::OK {
        return Err(DocumentError::Status(answer.status()));
    }
    read(answer, limit).await
}

async fn read(mut answer: Response, limit: u64) -> Result<Vec<u8>, DocumentError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(DocumentError::TooLong);
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
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an I/O error was made from is not its source: that is the source of that.
        next = match error.downcast_ref::<io::Error>() {
            Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
