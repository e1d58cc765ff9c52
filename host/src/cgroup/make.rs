//! Making what a plan says.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::control;
use super::controller::Controller;
use super::error::Error;
use super::hierarchy::Version;
use super::plan::{ROOM, Setting, Site};

/// How often the room may vanish under us, removed by an instance that ends at this moment.
const ATTEMPTS: usize = 100;

/// Makes the site's directory, and the room it stands in, without its settings. Returns the
/// directory's inode number.
pub(super) fn make_dir(site: &Site) -> Result<u64, Error> {
    for _ in 1..ATTEMPTS {
        match try_make_dir(site) {
            Err(Error::Make { source, .. } | Error::Set { source, .. })
                if source.kind() == ErrorKind::NotFound => {}
            result => return result,
        }
    }
    try_make_dir(site)
}

fn try_make_dir(site: &Site) -> Result<u64, Error> {
    let room = site.parent.join(ROOM);
    match fs::create_dir(&room) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => {
            return Err(refused(site, &room, source));
        }
        _ => {}
    }
    if site.version == Version::V2 {
        // From top to bottom: a cgroup can hand down only what it was given itself.
        hand_down(&site.parent, &site.controllers)?;
        hand_down(&room, &site.controllers)?;
    }
    fs::create_dir(&site.dir).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Error::Exists(site.dir.clone()),
        _ => refused(site, &site.dir, source),
    })?;
    let made = fs::metadata(&site.dir).map_err(|source| refused(site, &site.dir, source))?;
    Ok(made.ino())
}

fn refused(site: &Site, path: &Path, source: io::Error) -> Error {
    match (source.kind(), site.controllers.first()) {
        (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, Some(&controller)) => {
            Error::Denied {
                controller,
                parent: site.parent.clone(),
                source,
            }
        }
        _ => Error::Make {
            path: path.to_owned(),
            source,
        },
    }
}

/// Version 2: lets the children of `cgroup` have `controllers`. They stay enabled when the
/// instance is gone: another may have come to rely on them, and to undo it would be a race.
fn hand_down(cgroup: &Path, controllers: &[Controller]) -> Result<(), Error> {
    const FILE: &str = "cgroup.subtree_control";
    let handed_down = control::read(cgroup, FILE)?;
    let missing: Vec<_> = controllers
        .iter()
        .filter(|c| {
            !handed_down
                .split_ascii_whitespace()
                .any(|name| name == c.name())
        })
        .map(|controller| format!("+{controller}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let value = missing.join(" ");
    control::write(cgroup, FILE, &value).map_err(|source| Error::Set {
        path: cgroup.join(FILE),
        value,
        source,
    })
}

/// Writes a limit.
pub(super) fn apply(dir: &Path, setting: &Setting) -> Result<(), Error> {
    match control::write(dir, setting.file, &setting.value) {
        Err(error) if setting.optional && error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| Error::Set {
            path: dir.join(setting.file),
            value: setting.value.clone(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_tree::FakeTree;
    use super::*;

    #[test]
    fn version_2_hands_down_what_is_not_yet_from_the_parent_and_from_the_room() {
        for (before, after) in [("", "+memory +cpu"), ("cpu memory pids", "cpu memory pids")] {
            let tree = FakeTree::v2("/");
            let parent = tree.cgroup("", "cpu memory pids", before, "");
            let room = tree.cgroup("jaula", "cpu memory pids", before, "");
            let site = Site {
                version: Version::V2,
                controllers: vec![Controller::Memory, Controller::Cpu],
                dir: room.join("web"),
                parent: parent.clone(),
                settings: Vec::new(),
            };
            make_dir(&site).unwrap();
            assert!(site.dir.is_dir());
            for cgroup in [parent, room] {
                let written = fs::read_to_string(cgroup.join("cgroup.subtree_control")).unwrap();
                assert_eq!(written, after, "{cgroup:?}");
            }
        }
    }

    #[test]
    fn a_file_that_a_kernel_may_lack_is_never_created() {
        let tree = FakeTree::v2("/");
        let dir = tree.dir("c", &[("memory.max", "max")]);
        apply(&dir, &Setting::if_present("memory.swap.max", 0)).unwrap();
        assert!(!dir.join("memory.swap.max").exists());
        let error = apply(&dir, &Setting::required("cpu.max", 1)).unwrap_err();
        assert!(matches!(error, Error::Set { .. }), "{error:?}");
    }
}
