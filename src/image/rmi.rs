//! `jaula rmi`.

use guest_images::store::Removed;

use crate::args::RmiArgs;
use crate::error::Error;
use crate::installation::Installation;
use crate::{one_by_one, output};

/// Removes each, and prints what is gone.
pub fn rmi(args: &RmiArgs) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let images = installation.images()?;
    images.sweep().map_err(launch::Error::from)?;
    Ok(one_by_one::each(&args.images, |image| {
        let removed = images.remove(image, args.force);
        let removed = removed.map_err(|error| {
            let remedy = error.remedy();
            Error::NotDone(launch::Error::remedied(error, remedy))
        })?;
        let lines: Vec<_> = removed.iter().map(line).collect();
        Ok(output::print(&lines.join("\n"))?)
    }))
}

/// In docker's words.
fn line(removed: &Removed) -> String {
    match removed {
        Removed::Name(name) => format!("Untagged: {name}"),
        Removed::Image(id) => format!("Deleted: {id}"),
    }
}
