use std::path::PathBuf;

use super::controller::Controller;
use super::error::Error;
use super::hierarchy::{Hierarchies, Hierarchy, Version};
use super::{v1, v2};

/// Where `controller` is to be had: of several hierarchies that have it, in the first where a cgroup can be
/// made; in the first of all, if in none.
///
/// # Errors
///
/// When it is nowhere.
pub(crate) fn usable(
    hierarchies: &Hierarchies,
    controller: Controller,
) -> Result<&Hierarchy, Error> {
    let all: Vec<_> = hierarchies.all_of(controller).collect();
    let first = *all.first().ok_or(Error::NoController(controller))?;
    // To find out takes time, and there is seldom a choice.
    if all.len() == 1 {
        return Ok(first);
    }
    let can_be_had = |it: &&Hierarchy| parent(it, &[controller]).is_ok();
    Ok(all.into_iter().find(can_be_had).unwrap_or(first))
}

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
