use std::cell::RefCell;
use std::io::{self, Read};

use guest_images::store::{BlobDigest, MAX_DOCUMENT_BYTES, Reference};
use reqwest::header::{ACCEPT, HeaderName, RANGE};
use reqwest::{Client, Response, StatusCode};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::blob::Blob;
use crate::credentials::{self, Credentials};
use crate::endpoint;
use crate::error::PullError;
use crate::http::{self, Asking, Fault};
use crate::token;

/// Media types of manifests and of lists of them, of OCI and of docker.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A registry that is asked for one image.
pub(crate) struct Connection<'a> {
    reference: &'a Reference,
    /// `SCHEME://HOST[:PORT]`.
    base: String,
    credentials: Option<Credentials>,
    /// As the registry wants it, once it has been found out.
    asking: RefCell<Option<Asking>>,
    client: Client,
    runtime: Runtime,
}

impl<'a> Connection<'a> {
    /// Prepares to ask for `reference`, as `credentials` or as whoever logged in.
    pub(crate) fn new(
        reference: &'a Reference,
        credentials: Option<Credentials>,
    ) -> Result<Self, PullError> {
        let registry = reference.registry();
        let failed = |error: io::Error| PullError::Client {
            registry: registry.to_owned(),
            source: error,
        };
        // Only the first call in a process does something, and each would do the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let credentials = match credentials {
            Some(credentials) => Some(credentials),
            None => credentials::stored(registry)?,
        };
        let client = http::client(registry)?;
        let host = endpoint::host_of(registry);
        let is_plain =
            endpoint::is_loopback(registry) && !runtime.block_on(http::has_tls(&client, host));
        let scheme = if is_plain { "http" } else { "https" };
        Ok(Self {
            reference,
            base: format!("{scheme}://{host}"),
            credentials,
            asking: RefCell::new(None),
            client,
            runtime,
        })
    }

    /// `HOST[:PORT]`.
    pub(crate) fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// The document that the name, or the digest instead of it, leads to.
    pub(crate) fn document(&self, digest: Option<BlobDigest>) -> Result<Vec<u8>, PullError> {
        let which = match (
            digest.as_ref().or(self.reference.digest()),
            self.reference.tag(),
        ) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => "latest".to_owned(),
        };
        let path = format!("manifests/{which}");
        let bytes = self.within_timeout(async {
            let answer = self.get(&path, Some((ACCEPT, MANIFESTS))).await?;
            http::read(answer, MAX_DOCUMENT_BYTES).await
        });
        let bytes = bytes.map_err(|fault| self.error("the manifest", fault))?;
        if let Some(asked) = digest {
            self.check(asked, &bytes)?;
        }
        Ok(bytes)
    }

    /// A small blob, whole and checked.
    pub(crate) fn small_blob(
        &self,
        what: &'static str,
        digest: BlobDigest,
    ) -> Result<Vec<u8>, PullError> {
        let mut bytes = Vec::new();
        Blob::new(self, what.to_owned(), digest)
            .take(MAX_DOCUMENT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.broken(what, source))?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(self.error(what, Fault::TooLong(MAX_DOCUMENT_BYTES)));
        }
        self.check(digest, &bytes)?;
        Ok(bytes)
    }

    /// The beginning of an answer with a blob: from `offset` on, if the registry can give a part.
    pub(crate) fn open_blob(&self, digest: BlobDigest, offset: u64) -> Result<Response, Fault> {
        // RFC 9110, section 14.1.2.
        let range = format!("bytes={offset}-");
        let header = (offset > 0).then_some((RANGE, range.as_str()));
        self.within_timeout(self.get(&format!("blobs/{digest}"), header))
    }

    /// Asks for something of the image's repository, and once more if a token has become too old.
    async fn get(&self, path: &str, header: Option<(HeaderName, &str)>) -> Result<Response, Fault> {
        let repository = self.reference.repository();
        let url = format!("{}/v2/{repository}/{path}", self.base);
        let known = self.asking.borrow().clone();
        if let Some(asking) = known {
            let answer = http::get(&self.client, &url, &asking, header.clone()).await?;
            let is_too_old =
                matches!(asking, Asking::Token(_)) && answer.status() == StatusCode::UNAUTHORIZED;
            if !is_too_old {
                return only_success(answer);
            }
        }
        let user = self.credentials.as_ref();
        let asking = token::asking(&self.client, &self.base, repository, user).await?;
        let answer = http::get(&self.client, &url, &asking, header).await?;
        self.asking.replace(Some(asking));
        only_success(answer)
    }

    fn within_timeout<T>(
        &self,
        answer: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let answer = async { timeout(http::ANSWER_TIMEOUT, answer).await };
        self.runtime.block_on(answer).map_err(|_| Fault::Late)?
    }

    /// Waits for something that the registry sends.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn check(&self, asked: BlobDigest, bytes: &[u8]) -> Result<(), PullError> {
        let came = asked.of_same_kind(bytes);
        if came == asked {
            return Ok(());
        }
        Err(PullError::Digest {
            registry: self.registry().to_owned(),
            asked: asked.into(),
            came: came.into(),
        })
    }

    fn broken(&self, what: &str, source: io::Error) -> PullError {
        PullError::Read {
            what: what.to_owned(),
            registry: self.registry().to_owned(),
            source,
        }
    }

    /// A fault in the words of the user.
    fn error(&self, what: &'static str, fault: Fault) -> PullError {
        let registry = self.registry().to_owned();
        match fault {
            Fault::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => PullError::Refused {
                registry,
                repository: self.reference.repository().to_owned(),
            },
            Fault::Status(StatusCode::NOT_FOUND) => PullError::NotFound(self.reference.to_string()),
            Fault::Status(status) => PullError::Status {
                what,
                registry,
                status: status.as_u16(),
            },
            Fault::TooLong(limit) => PullError::TooLong {
                what,
                registry,
                limit,
            },
            source => PullError::Registry {
                what: what.to_owned(),
                registry,
                source: source.into(),
            },
        }
    }
}

fn only_success(answer: Response) -> Result<Response, Fault> {
    match answer.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer),
        status => Err(Fault::Status(status)),
    }
}
