//! What registries and archives say of images, and names of images.

use guest_images::store::{BlobDigest, Document, Platform, Reference, diff_ids};

use crate::allocation;

/// What is in a document of some hundred bytes, whatever it says.
const MAX_ALLOCATED_BYTES: usize = 256 << 10;

/// Feeds it one input.
pub fn run(input: &[u8]) {
    allocation::limited(MAX_ALLOCATED_BYTES, || {
        let Some((kind, document)) = input.split_first() else {
            return;
        };
        match kind % 4 {
            0 => {
                if let Ok(Document::Index(index)) = Document::parse(document, "") {
                    // There need not be one.
                    let _ = index.choose(&Platform::of_this_machine());
                }
            }
            1 => drop(diff_ids(document, 2)),
            2 => {
                if let Ok(text) = std::str::from_utf8(document) {
                    name(text);
                }
            }
            _ => {
                if let Ok(text) = std::str::from_utf8(document) {
                    drop(text.parse::<BlobDigest>());
                }
            }
        }
    });
}

/// What is shown of a name leads to the same.
fn name(text: &str) {
    let Ok(name) = text.parse::<Reference>() else {
        return;
    };
    assert_eq!(name.to_string().parse().as_ref(), Ok(&name), "{text}");
    // Without the tag.
    let familiar: Reference = name.familiar_name().parse().expect("a name");
    assert_eq!(
        (familiar.registry(), familiar.repository()),
        (name.registry(), name.repository()),
        "{text}"
    );
}
