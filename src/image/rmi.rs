//! `jaula rmi`.

use guest_images::store::Removed;

use crate::args::RmiArgs;
use crate::error::Error;
use crate::installation::Installation;
use crate::output;

/// Removes them one after the other, up to the first that can't be; the exit code is 0.
pub fn rmi(args: &RmiArgs) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let images = installation.images()?;
    images.sweep().map_err(launch::Error::from)?;
    for image in &args.images {
        let removed = images.remove(image, args.force);
        let removed = removed.map_err(|error| {
            let remedy = error.remedy();
            launch::Error::remedied(error, remedy)
        })?;
        let lines: Vec<_> = removed.iter().map(line).collect();
        output::print(&lines.join("\n"))?;
    }
    Ok(0)
}

/// In docker's words.
fn line(removed: &Removed) -> String {
    match removed {
        Removed::Name(name) => format!("Untagged: {name}"),
        Removed::Image(id) => format!("Deleted: {id}"),
    }
}
