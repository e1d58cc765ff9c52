use std::io::Read;

use guest_images::store::{
    BlobDigest, Descriptor, Document, Intake, LayerBlob, Limits, Manifest, Platform, Reference,
    Store, diff_ids,
};
use launch::Progress;

use crate::blob::Blob;
use crate::connection::Connection;
use crate::credentials::Credentials;
use crate::error::PullError;

/// How many lists may lead to an image: one of platforms, and one of such lists.
const MAX_LISTS: usize = 3;

/// An image that was pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Its ID.
    pub id: BlobDigest,
    /// What the name led to: the digest of a manifest or of a list.
    pub manifest: BlobDigest,
    /// Whether the store had it by this name already.
    pub was_there: bool,
}

/// Pulls the image `reference` for this machine into `store`, with as many of its layers as are
/// not there, and gives it its name.
///
/// # Errors
///
/// When the registry can't be asked or has no such image; when what comes is not what was asked
/// for, or larger than `limits`; when the store can't be written to.
pub fn pull(
    reference: &Reference,
    credentials: Option<Credentials>,
    store: &Store,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Pulled, PullError> {
    progress.begin(&format!("asking {}", reference.registry()));
    let asked = ask(reference, credentials);
    progress.end();
    let Asked {
        connection,
        named,
        manifest,
    } = asked?;
    if let Some(image) = store.find(reference)?
        && image.manifest == Some(named)
    {
        return Ok(Pulled {
            id: image.id,
            manifest: named,
            was_there: true,
        });
    }
    let config = connection.small_blob("the configuration", manifest.config.digest)?;
    let diff_ids = diff_ids(&config, manifest.layers.len())
        .map_err(|error| PullError::Manifest(reference.to_string(), error))?;
    let intake = Intake::new(limits, progress);
    let mut layers = Vec::new();
    let count = manifest.layers.len();
    for (number, (descriptor, diff_id)) in (1..).zip(manifest.layers.iter().zip(diff_ids)) {
        let what = format!("layer {number} of {count}");
        let open = || Ok::<_, PullError>(layer(&connection, &what, descriptor, diff_id));
        let saying = format!("pulling and unpacking {what}");
        layers.push(store.find_or_add_layer(diff_id, &saying, &intake, open)?);
    }
    let id = store.add_image(Some(reference), Some(named), &config, &layers)?;
    Ok(Pulled {
        id,
        manifest: named,
        was_there: false,
    })
}

/// A registry, and what it says of an image.
struct Asked<'a> {
    connection: Connection<'a>,
    named: BlobDigest,
    manifest: Manifest,
}

fn ask(reference: &Reference, credentials: Option<Credentials>) -> Result<Asked<'_>, PullError> {
    let connection = Connection::new(reference, credentials)?;
    let bytes = connection.document(reference.digest().copied())?;
    let named = reference.digest().copied();
    let named = named.unwrap_or_else(|| BlobDigest::of(&bytes));
    let unusable = |error| PullError::Manifest(reference.to_string(), error);
    let mut document = Document::parse(&bytes, "").map_err(unusable)?;
    for _ in 0..MAX_LISTS {
        let index = match document {
            Document::Manifest(manifest) => {
                return Ok(Asked {
                    connection,
                    named,
                    manifest,
                });
            }
            Document::Index(index) => index,
        };
        let chosen = index
            .choose(&Platform::of_this_machine())
            .map_err(unusable)?;
        let bytes = connection.document(Some(chosen.digest))?;
        document = Document::parse(&bytes, &chosen.media_type).map_err(unusable)?;
    }
    Err(PullError::Lists(reference.to_string()))
}

/// What is promised of a layer, and the layer as it comes.
fn layer<'a>(
    connection: &'a Connection<'a>,
    what: &str,
    descriptor: &Descriptor,
    diff_id: BlobDigest,
) -> (LayerBlob, impl Read + 'a) {
    let blob = LayerBlob {
        digest: Some(descriptor.digest),
        size: descriptor.size,
        diff_id,
    };
    // Whatever the registry goes on sending, one byte more is enough to see that it lied.
    let reader = Blob::new(connection, what.to_owned(), descriptor.digest)
        .take(descriptor.size.saturating_add(1));
    (blob, reader)
}
