//! How long each step of a start took, in a file that the user names.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use launch::Timeline;

use crate::error;

/// Open from before the launch, so that one that can't be written is refused before anything runs.
pub struct TimelineFile {
    path: PathBuf,
    file: File,
    is_told: AtomicBool,
}

/// It can't be made, or nothing be written to it.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}", path.display())]
struct TimelineError {
    path: PathBuf,
    source: io::Error,
}

impl TimelineFile {
    /// Makes it, or empties it: what is in it is never of a run before.
    pub fn create(path: &Path) -> Result<Self, launch::Error> {
        let file = File::create(path).map_err(|source| {
            launch::Error::new(TimelineError {
                path: path.to_owned(),
                source,
            })
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            is_told: AtomicBool::new(false),
        })
    }

    /// Writes it, once, as soon as the start is over. That it can't be written is said, and ends
    /// nothing: the command runs.
    pub fn tell(&self, timeline: &Timeline) {
        let Some(start) = timeline.to_main() else {
            return;
        };
        if self.is_told.swap(true, Ordering::Relaxed) {
            return;
        }
        // In one piece, so that nobody reads half of it.
        let written = serde_json::to_vec(&start)
            .map_err(io::Error::from)
            .and_then(|text| (&self.file).write_all(&text));
        if let Err(source) = written {
            error::print(&TimelineError {
                path: self.path.clone(),
                source,
            });
        }
    }
}
