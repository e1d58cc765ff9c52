//! `jaula volume`.

use clap::Subcommand;

use crate::notation::VolumeName;

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula run -v data:/data busybox touch /data/kept
  jaula volume ls
  jaula volume rm data";

#[derive(Debug, Subcommand)]
pub enum VolumeAction {
    /// Make an empty volume, unless it is there, and print its name
    Create {
        /// Its name
        #[arg(value_name = "NAME")]
        name: VolumeName,
    },
    /// Say where the files of volumes are, as JSON
    Inspect {
        /// Which ones
        #[arg(value_name = "NAME", required = true)]
        names: Vec<VolumeName>,
    },
    /// List the names of all volumes
    Ls,
    /// Remove volumes with all that is in them; one in use is not removed
    Rm {
        /// Which ones
        #[arg(value_name = "NAME", required = true)]
        names: Vec<VolumeName>,
    },
}
