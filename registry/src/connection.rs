use std::io::{self, Read};
use std::time::Duration;

use guest_images::store::{BlobDigest, MAX_DOCUMENT_BYTES, Reference};
use oci_client::RegistryOperation;
use oci_client::client::{
    BlobResponse, Certificate, CertificateEncoding, ClientConfig, ClientProtocol,
};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use reqwest::StatusCode;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::blob::Blob;
use crate::certificates;
use crate::credentials::{self, Credentials};
use crate::endpoint;
use crate::error::PullError;
use crate::http::{self, Asking, DocumentError};

/// How long it may take to get a document, which has a few kilobytes, or the first byte of a blob.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Media types of manifests and of lists of them, of OCI and of docker.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A registry that is asked for one image.
pub(crate) struct Connection<'a> {
    reference: &'a Reference,
    name: oci_client::Reference,
    scheme: &'static str,
    auth: RegistryAuth,
    documents: reqwest::Client,
    blobs: oci_client::Client,
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
        let name = name(reference)?;
        let documents = http::client(registry)?;
        let is_plain = endpoint::is_loopback(registry)
            && !runtime.block_on(http::has_tls(&documents, name.resolve_registry()));
        let (scheme, protocol) = match is_plain {
            true => ("http", ClientProtocol::Http),
            false => ("https", ClientProtocol::Https),
        };
        Ok(Self {
            reference,
            name,
            scheme,
            auth: credentials.map_or(RegistryAuth::Anonymous, RegistryAuth::from),
            documents,
            blobs: blobs(registry, protocol)?,
            runtime,
        })
    }

    /// `HOST[:PORT]`.
    pub(crate) fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// The document that the name, or the digest instead of it, leads to.
    pub(crate) fn document(&self, digest: Option<BlobDigest>) -> Result<Vec<u8>, PullError> {
        let what = "the manifest";
        let answer = async { timeout(ANSWER_TIMEOUT, self.ask_for_document(digest)).await };
        let bytes = match self.runtime.block_on(answer) {
            Ok(answer) => answer?,
            Err(_) => return Err(self.broken(what, io::ErrorKind::TimedOut.into())),
        };
        if let Some(asked) = digest {
            self.check(asked, &bytes)?;
        }
        Ok(bytes)
    }

    async fn ask_for_document(&self, digest: Option<BlobDigest>) -> Result<Vec<u8>, PullError> {
        let what = "the manifest";
        let granted = self
            .blobs
            .auth(&self.name, &self.auth, RegistryOperation::Pull);
        let granted = granted.await.map_err(|error| self.error(what, error))?;
        let asking = match (granted, &self.auth) {
            (Some(token), _) => Asking::Token(token),
            (None, RegistryAuth::Basic(name, password)) => Asking::User {
                name: name.clone(),
                password: password.clone(),
            },
            (None, _) => Asking::Anybody,
        };
        let which = match (digest, self.name.digest(), self.name.tag()) {
            (Some(digest), _, _) => digest.to_string(),
            (None, Some(name), _) | (None, None, Some(name)) => name.to_owned(),
            (None, None, None) => "latest".to_owned(),
        };
        let url = format!(
            "{}://{}/v2/{}/manifests/{which}",
            self.scheme,
            self.name.resolve_registry(),
            self.name.repository(),
        );
        let asked = http::document(
            &self.documents,
            &url,
            MANIFESTS,
            &asking,
            MAX_DOCUMENT_BYTES,
        );
        asked.await.map_err(|error| match error {
            DocumentError::Request(error) => self.error(what, error.into()),
            DocumentError::TooLong => self.too_long(what),
            DocumentError::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                self.refused()
            }
            DocumentError::Status(StatusCode::NOT_FOUND) => {
                PullError::NotFound(self.reference.to_string())
            }
            DocumentError::Status(status) => PullError::Status {
                what,
                registry: self.registry().to_owned(),
                status: status.as_u16(),
            },
        })
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
            return Err(self.too_long(what));
        }
        self.check(digest, &bytes)?;
        Ok(bytes)
    }

    /// A blob from `offset` on, if the registry can give a part of one.
    pub(crate) fn open_blob(
        &self,
        digest: BlobDigest,
        offset: u64,
    ) -> Result<BlobResponse, OciDistributionError> {
        let digest = digest.to_string();
        let (client, name) = (&self.blobs, &self.name);
        let answer = async {
            client
                .store_auth_if_needed(name.resolve_registry(), &self.auth)
                .await;
            match offset {
                0 => {
                    let stream = client.pull_blob_stream(name, digest.as_str());
                    stream.await.map(BlobResponse::Full)
                }
                _ => {
                    let stream =
                        client.pull_blob_stream_partial(name, digest.as_str(), offset, None);
                    stream.await
                }
            }
        };
        let answer = async { timeout(ANSWER_TIMEOUT, answer).await };
        let late = |_| OciDistributionError::IoError(io::ErrorKind::TimedOut.into());
        self.runtime.block_on(answer).map_err(late)?
    }

    /// Waits for something that the registry sends.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn check(&self, asked: BlobDigest, bytes: &[u8]) -> Result<(), PullError> {
        let came = BlobDigest::of(bytes);
        if came == asked {
            return Ok(());
        }
        Err(PullError::Digest {
            registry: self.registry().to_owned(),
            asked,
            came,
        })
    }

    fn too_long(&self, what: &'static str) -> PullError {
        PullError::TooLong {
            what,
            registry: self.registry().to_owned(),
            limit: MAX_DOCUMENT_BYTES,
        }
    }

    fn broken(&self, what: &str, source: io::Error) -> PullError {
        PullError::Read {
            what: what.to_owned(),
            registry: self.registry().to_owned(),
            source,
        }
    }

    fn refused(&self) -> PullError {
        PullError::Refused {
            registry: self.registry().to_owned(),
            repository: self.reference.repository().to_owned(),
        }
    }

    /// A client's error in the words of the user.
    fn error(&self, what: &str, error: OciDistributionError) -> PullError {
        match error {
            OciDistributionError::AuthenticationFailure(_) => self.refused(),
            source => PullError::Registry {
                what: what.to_owned(),
                registry: self.registry().to_owned(),
                source,
            },
        }
    }
}

/// The same name in the client's words.
fn name(reference: &Reference) -> Result<oci_client::Reference, PullError> {
    let mut text = format!(
        "{}/{}",
        endpoint::host_of(reference.registry()),
        reference.repository()
    );
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => text.push_str(&format!("@{digest}")),
        (None, Some(tag)) => text.push_str(&format!(":{tag}")),
        (None, None) => {}
    }
    text.parse()
        .map_err(|error| PullError::Name(reference.to_string(), error))
}

/// The client for blobs. Proxies are those of the environment.
fn blobs(registry: &str, protocol: ClientProtocol) -> Result<oci_client::Client, PullError> {
    let certificates = certificates::of(registry)?.into_iter();
    let config = ClientConfig {
        protocol,
        extra_root_certificates: certificates
            .map(|data| Certificate {
                encoding: CertificateEncoding::Pem,
                data,
            })
            .collect(),
        connect_timeout: Some(http::CONNECT_TIMEOUT),
        read_timeout: Some(http::READ_TIMEOUT),
        user_agent: http::USER_AGENT,
        ..ClientConfig::default()
    };
    // Not `new`, which takes another configuration where it does not like this one.
    oci_client::Client::try_from(config).map_err(|error| PullError::Client {
        registry: registry.to_owned(),
        source: io::Error::other(error),
    })
}
