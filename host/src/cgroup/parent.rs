use std::path::PathBuf;

use super::controller::Controller;
use super::error::Error;
use super::hierarchy::{Hierarchy, Version};
use super::{v1, v2};

/// The cgroup in which one with `controllers` can be made.
///
/// # Errors
///
/// What keeps it from being made in our own, where it can't be made anywhere.
pub(crate) fn parent(hierarchy: &Hierarchy, controllers: &[Controller]) -> Result<PathBuf, Error> {
    match hierarchy.version {
        Version::V1 => v1::parent(hierarchy, controllers),
        Version::V2 => v2::parent(hierarchy, controllers),
    }
}
