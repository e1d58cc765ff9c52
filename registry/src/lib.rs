//! Pulls images from registries into the store.
//!
//! [`pull`] follows a name to a manifest, chooses the image for this machine, and hands every
//! layer that the store does not have to it while it comes. What a registry says is believed only
//! as far as a digest proves it; what it sends is never held in memory but for its documents
//! and tokens, whose size is limited.
//!
//! A connection that breaks within a layer is taken up where it broke. A process that is killed
//! leaves the layers that were complete, and the next pull goes on from there.

mod blob;
mod certificates;
mod connection;
mod credentials;
mod endpoint;
mod error;
mod http;
mod pull;
mod token;

pub use certificates::CertificateError;
pub use credentials::{Credentials, CredentialsError, InvalidCredentials};
pub use error::PullError;
pub use pull::{Pulled, pull};
