use std::borrow::Cow;
use std::error::Error;
use std::io;

use guest_images::store::{BlobDigest, ManifestError, StoreError};

use crate::certificates::CertificateError;
use crate::credentials::CredentialsError;
use crate::http::Fault;

/// Why an image can't be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The client for registries can't be set up.
    #[error("can't prepare to speak to {registry}")]
    Client {
        /// `HOST[:PORT]`.
        registry: String,
        /// Why not.
        source: io::Error,
    },
    /// A certificate that was put there for the registry is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What is known of users and passwords can't be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The registry has no such image.
    #[error("there is no image {0}")]
    NotFound(String),
    /// The registry wants to know who asks.
    #[error("{registry} refuses to give {repository}")]
    Refused {
        /// `HOST[:PORT]`.
        registry: String,
        /// The name on it.
        repository: String,
    },
    /// There is no answer, or one that makes no sense.
    #[error("can't get {what} from {registry}")]
    Registry {
        /// Of the image.
        what: String,
        /// `HOST[:PORT]`.
        registry: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The registry has an error of its own.
    #[error("{registry} answers {status} when it is asked for {what}")]
    Status {
        /// Of the image.
        what: &'static str,
        /// `HOST[:PORT]`.
        registry: String,
        /// Of HTTP.
        status: u16,
    },
    /// The answer breaks off.
    #[error("can't read {what} from {registry}")]
    Read {
        /// Of the image.
        what: String,
        /// `HOST[:PORT]`.
        registry: String,
        /// Why not.
        source: io::Error,
    },
    /// A document is too long to be one.
    #[error("{what} from {registry} has more than {limit} bytes")]
    TooLong {
        /// Which.
        what: &'static str,
        /// `HOST[:PORT]`.
        registry: String,
        /// In bytes.
        limit: u64,
    },
    /// Something else came than was asked for.
    #[error("{registry} sent {came} for {asked}")]
    Digest {
        /// `HOST[:PORT]`.
        registry: String,
        /// The digest that was asked for.
        asked: Box<BlobDigest>,
        /// The digest of what came.
        came: Box<BlobDigest>,
    },
    /// Lists that lead to lists.
    #[error("{0} leads from one list of images to another, and to no image")]
    Lists(String),
    /// A document can't be used.
    #[error("{0} can't be used")]
    Manifest(String, #[source] ManifestError),
    /// The image can't be put into the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Refused { .. } => {
                Some("check the name, or give --creds USER:PASSWORD if it is not for everybody".into())
            }
            Self::NotFound(_) => Some("check the name and the tag".into()),
            Self::Registry {
                registry, source, ..
            } => match source.downcast_ref::<Fault>()? {
                fault if fault.is_of_tls() => Some(
                    format!("put the registry's certificate in /etc/docker/certs.d/{registry}/ca.crt if it is your own")
                        .into(),
                ),
                fault if fault.is_of_connecting() => Some("check the name, and the network".into()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<PullError> for launch::Error {
    fn from(error: PullError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}
