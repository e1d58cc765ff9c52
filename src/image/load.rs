//! `jaula load`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use guest_images::store::{Choice, Loaded, Loading, Naming};
use launch::Progress;

use crate::args::LoadArgs;
use crate::error::Error;
use crate::installation::Installation;
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;
use crate::{output, progress};

/// Loads all images of a file; the exit code is 0.
pub fn load(args: &LoadArgs) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let progress = progress::on_stderr();
    let loaded = signals.during(
        |signal| interruption.take(signal, Wish::End),
        || read(&installation, args, progress.as_ref()),
    )?;
    interruption.check()?;
    let lines: Vec<_> = loaded?
        .iter()
        .flat_map(|it| lines(it, args.quiet))
        .collect();
    output::print(&lines.join("\n"))?;
    Ok(0)
}

fn read(
    installation: &Installation,
    args: &LoadArgs,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, launch::Error> {
    let images = installation.images()?;
    images.sweep()?;
    let how = Loading {
        choice: Choice::All,
        naming: Naming::AsTheyCome,
        limits: args.limits.limits(),
        progress,
    };
    let loaded = match args.input.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => images.load(path, &how)?,
        None => {
            let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            images.load_stream(stdin, Path::new("standard input"), &how)?
        }
    };
    Ok(loaded)
}

/// In docker's words.
fn lines(loaded: &Loaded, quiet: bool) -> Vec<String> {
    let say = |what: &str, name: &dyn std::fmt::Display| {
        if quiet {
            name.to_string()
        } else {
            format!("{what}: {name}")
        }
    };
    if loaded.names.is_empty() {
        return vec![say("Loaded image ID", &loaded.id)];
    }
    let names = loaded.names.iter();
    names.map(|name| say("Loaded image", name)).collect()
}
