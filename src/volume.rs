//! `jaula volume`: directories that outlive the instances that they are mounted in.

use std::path::PathBuf;

use serde::Serialize;

use crate::args::VolumeAction;
use crate::error::Error;
use crate::installation::Installation;
use crate::notation::VolumeName;
use crate::volumes::{VolumeError, Volumes};
use crate::{one_by_one, output};

/// Does it.
pub fn volume(action: &VolumeAction) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let volumes = installation.volumes()?;
    match action {
        VolumeAction::Create { name } => {
            volumes.create(name).map_err(launch::Error::from)?;
            output::print(name.as_str())?;
        }
        VolumeAction::Inspect { names } => {
            let found = inspect(&volumes, names).map_err(launch::Error::from)?;
            output::print(&serde_json::to_string_pretty(&found).map_err(launch::Error::new)?)?;
        }
        VolumeAction::Ls => {
            let names = volumes.list().map_err(launch::Error::from)?;
            let names: Vec<_> = names.iter().map(VolumeName::as_str).collect();
            if !names.is_empty() {
                output::print(&names.join("\n"))?;
            }
        }
        VolumeAction::Rm { names } => {
            return Ok(one_by_one::each(names, |name| {
                let removed = volumes.remove(name).map_err(launch::Error::from);
                removed.map_err(Error::NotDone)?;
                Ok(output::print(name.as_str())?)
            }));
        }
    }
    Ok(0)
}

/// In docker's words.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected<'a> {
    name: &'a str,
    mountpoint: PathBuf,
}

fn inspect<'a>(
    volumes: &Volumes,
    names: &'a [VolumeName],
) -> Result<Vec<Inspected<'a>>, VolumeError> {
    let all = volumes.list()?;
    let inspect = |name: &'a VolumeName| {
        if !all.contains(name) {
            return Err(VolumeError::Missing(name.clone()));
        }
        Ok(Inspected {
            name: name.as_str(),
            mountpoint: volumes.path(name),
        })
    };
    names.iter().map(inspect).collect()
}
