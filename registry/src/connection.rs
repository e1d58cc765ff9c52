use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use guest_images::store::{BlobDigest, MAX_DOCUMENT_BYTES, Reference};
use oci_client::Client;
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use oci_client::secrets::RegistryAuth;
use tokio::runtime::{Builder, Runtime};

use crate::blob::Blob;
use crate::certificates;
use crate::credentials::{self, Credentials};
use crate::endpoint;
use crate::error::PullError;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a document may take: it is a few kilobytes. The client reads it to its end, whatever
/// its length, so an endless one ends with this.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(60);

const ACCEPTED: &[&str] = &[
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
];

const USER_AGENT: &str = concat!("jaula/", env!("CARGO_PKG_VERSION"));

/// A registry that is asked for one image.
pub(crate) struct Connection<'a> {
    reference: &'a Reference,
    name: oci_client::Reference,
    auth: RegistryAuth,
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
        let mut connection = Self {
            reference,
            name: name(reference)?,
            auth: credentials.map_or(RegistryAuth::Anonymous, RegistryAuth::from),
            client: client(registry, ClientProtocol::Https)?,
            runtime,
        };
        if endpoint::is_loopback(registry) && !connection.has_tls() {
            connection.client = client(registry, ClientProtocol::Http)?;
        }
        Ok(connection)
    }

    /// `HOST[:PORT]`.
    pub(crate) fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// Whether a registry on this machine speaks TLS.
    fn has_tls(&self) -> bool {
        let asked = self.client.list_tags(&self.name, &self.auth, Some(1), None);
        match self.runtime.block_on(asked) {
            Err(OciDistributionError::RequestError(error)) if error.is_connect() => {
                // It may be refused because of its certificate.
                tls_error(&error)
                    .is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_)))
            }
            _ => true,
        }
    }

    /// The document that the name, or the digest instead of it, leads to.
    pub(crate) fn document(&self, digest: Option<BlobDigest>) -> Result<Bytes, PullError> {
        let what = "the manifest";
        let name = match digest {
            Some(digest) => self.name.clone_with_digest(digest.to_string()),
            None => self.name.clone(),
        };
        let asked = self.client.pull_manifest_raw(&name, &self.auth, ACCEPTED);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(DOCUMENT_TIMEOUT, asked).await });
        let (bytes, _) = match answer {
            Ok(answer) => answer.map_err(|error| self.error(what, error))?,
            Err(_) => return Err(self.broken(what, io::ErrorKind::TimedOut.into())),
        };
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(self.too_long(what));
        }
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
        self.runtime.block_on(async {
            self.client
                .store_auth_if_needed(self.name.resolve_registry(), &self.auth)
                .await;
            match offset {
                0 => {
                    let stream = self.client.pull_blob_stream(&self.name, digest.as_str());
                    stream.await.map(BlobResponse::Full)
                }
                _ => {
                    let (client, name) = (&self.client, &self.name);
                    let stream =
                        client.pull_blob_stream_partial(name, digest.as_str(), offset, None);
                    stream.await
                }
            }
        })
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

    /// The client's error in the words of the user.
    fn error(&self, what: &str, error: OciDistributionError) -> PullError {
        use oci_client::errors::OciErrorCode::{
            Denied, ManifestUnknown, NameUnknown, Unauthorized,
        };
        let registry = self.registry().to_owned();
        let has_code = |codes: &[_]| match &error {
            OciDistributionError::RegistryError { envelope, .. } => envelope
                .errors
                .iter()
                .any(|error| codes.contains(&error.code)),
            _ => false,
        };
        let is_refused = matches!(
            error,
            OciDistributionError::UnauthorizedError { .. }
                | OciDistributionError::AuthenticationFailure(_)
        );
        if is_refused || has_code(&[Unauthorized, Denied]) {
            return PullError::Refused {
                registry,
                repository: self.reference.repository().to_owned(),
            };
        }
        let is_missing = matches!(
            error,
            OciDistributionError::ImageManifestNotFoundError(_)
                | OciDistributionError::ServerError { code: 404, .. }
        );
        if is_missing || has_code(&[ManifestUnknown, NameUnknown]) {
            return PullError::NotFound(self.reference.to_string());
        }
        PullError::Registry {
            what: what.to_owned(),
            registry,
            source: error,
        }
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

fn client(registry: &str, protocol: ClientProtocol) -> Result<Client, PullError> {
    let proxy = |names: [&str; 2]| names.into_iter().find_map(|name| std::env::var(name).ok());
    let config = ClientConfig {
        protocol,
        extra_root_certificates: certificates::of(registry)?,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: USER_AGENT,
        https_proxy: proxy(["HTTPS_PROXY", "https_proxy"]),
        http_proxy: proxy(["HTTP_PROXY", "http_proxy"]),
        no_proxy: proxy(["NO_PROXY", "no_proxy"]),
        ..ClientConfig::default()
    };
    // Not `new`, which takes another configuration where it does not like this one.
    Client::try_from(config).map_err(|error| PullError::Client {
        registry: registry.to_owned(),
        source: io::Error::other(error),
    })
}
