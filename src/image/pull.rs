//! `jaula pull`.

use std::fmt;

use registry::{Pulled, pull as pull_into};

use crate::args::PullArgs;
use crate::error::Error;
use crate::installation::Installation;
use crate::{output, progress};

/// Pulls an image; the exit code is 0. Whoever interrupts it loses the layer that is on its way.
pub fn pull(args: &PullArgs) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let images = installation.images()?;
    images.sweep().map_err(launch::Error::from)?;
    let progress = progress::on_stderr();
    let pulled = pull_into(
        &args.image,
        args.creds.clone(),
        &images,
        args.limits.limits(),
        progress.as_ref(),
    )
    .map_err(launch::Error::from)?;
    let image = images.find_by_id(pulled.id).map_err(launch::Error::from)?;
    if let Some(foreign) = image.and_then(|image| image.config.foreign()) {
        progress.note(&foreign);
    }
    let text = match args.quiet {
        true => args.image.to_string(),
        false => said(&args.image, &pulled),
    };
    output::print(&text)?;
    Ok(0)
}

/// In docker's words.
fn said(name: &dyn fmt::Display, pulled: &Pulled) -> String {
    let status = match pulled.was_there {
        true => "Image is up to date for",
        false => "Downloaded newer image for",
    };
    format!(
        "Digest: {}\nStatus: {status} {name}\n{name}",
        pulled.manifest
    )
}

#[cfg(test)]
mod tests {
    use guest_images::store::BlobDigest;

    use super::*;

    #[test]
    fn it_is_said_whether_anything_new_came() {
        let digest = BlobDigest::of(b"");
        let pulled = |was_there| Pulled {
            id: digest,
            manifest: digest,
            was_there,
        };
        for (was_there, status) in [(true, "Image is up to date"), (false, "Downloaded newer")] {
            let text = said(&"r/a:1", &pulled(was_there));
            assert!(text.contains(status) && text.ends_with("\nr/a:1"), "{text}");
        }
    }
}
