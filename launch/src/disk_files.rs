use std::path::{Path, PathBuf};

use crate::Layers;

/// What instances of a workload need on the host's disks, apart from what each has for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskFiles {
    /// What all instances of the image share: its unpacked layers, or the disk made from them.
    pub image: Vec<PathBuf>,
    /// What all instances of this side share besides jaula's own program: a guest's kernel and init.
    pub fixed: Vec<PathBuf>,
    /// The machine that they go on from.
    pub template: Option<PathBuf>,
}

impl DiskFiles {
    /// Of an instance that uses an image's layers as they are, and nothing else.
    pub fn of_layers(layers: &Layers) -> Self {
        Self {
            image: layers.iter().map(Path::to_owned).collect(),
            ..Self::default()
        }
    }
}
