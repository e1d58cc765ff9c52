//! Making what a plan says.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::controller::Controller;
use super::error::Error;
use super::hierarchy::Version;
use super::plan::Site;
use super::setting::{IfAbsent, Setting};
use super::{control, device};

/// Makes the site's directory, without its settings. Returns its inode number.
pub(super) fn make_dir(site: &Site) -> Result<u64, Error> {
    if site.version == Version::V2 {
        hand_down(&site.parent, &site.controllers)?;
    }
    fs::create_dir(&site.dir).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Error::Exists(site.dir.clone()),
        _ => refused(site, source),
    })?;
    let made = fs::metadata(&site.dir).map_err(|source| refused(site, source))?;
    Ok(made.ino())
}

fn refused(site: &Site, source: io::Error) -> Error {
    match (source.kind(), site.controllers.first()) {
        (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, Some(&controller)) => {
            Error::Denied {
                controller,
                parent: site.parent.clone(),
                source,
            }
        }
        _ => Error::Make {
            path: site.dir.clone(),
            source,
        },
    }
}

/// Version 2: lets the children of `cgroup` have `controllers`. They stay enabled when the
/// instance is gone: another may have come to rely on them, and to undo it would be a race.
fn hand_down(cgroup: &Path, controllers: &[Controller]) -> Result<(), Error> {
    const FILE: &str = "cgroup.subtree_control";
    if controllers.iter().all(|c| c.is_built_into_v2()) {
        return Ok(());
    }
    let handed_down = control::read(cgroup, FILE)?;
    let missing: Vec<_> = controllers
        .iter()
        .filter(|c| {
            !c.is_built_into_v2()
                && !handed_down
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

/// Makes the directory, which was made, what the site says.
pub(super) fn furnish(site: &Site) -> Result<(), Error> {
    if site.starts_without_cpus {
        // Both, or nothing can be moved into it. (cgroup-v1/cpusets.rst)
        copy(&site.parent, &site.dir, "cpuset.cpus")?;
        copy(&site.parent, &site.dir, "cpuset.mems")?;
    }
    for setting in &site.settings {
        apply(&site.dir, setting)?;
    }
    if let Some(rules) = &site.devices {
        let dir = File::open(&site.dir).map_err(|source| Error::Open {
            path: site.dir.clone(),
            source,
        })?;
        device::attach(rules, &dir).map_err(|source| Error::Devices {
            path: site.dir.clone(),
            source,
        })?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, file: &'static str) -> Result<(), Error> {
    let value = control::read(from, file)?;
    apply(to, &Setting::required(file, value.trim()))
}

/// Writes a limit.
fn apply(dir: &Path, setting: &Setting) -> Result<(), Error> {
    let source = match control::write(dir, setting.file, &setting.value) {
        Ok(()) => return Ok(()),
        Err(source) => source,
    };
    match setting.if_absent {
        IfAbsent::Ignore if source.kind() == ErrorKind::NotFound => Ok(()),
        IfAbsent::NoSwapAccounting if source.kind() == ErrorKind::NotFound => {
            Err(Error::NoSwapAccounting)
        }
        _ => Err(Error::Set {
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

    fn site(parent: &Path, version: Version, controllers: &[Controller]) -> Site {
        Site {
            version,
            controllers: controllers.to_vec(),
            dir: parent.join("jaula-web"),
            parent: parent.to_owned(),
            starts_without_cpus: false,
            settings: Vec::new(),
            devices: None,
        }
    }

    #[test]
    fn version_2_hands_down_what_is_not_yet() {
        for (before, after) in [("", "+memory +cpu"), ("cpu memory pids", "cpu memory pids")] {
            let tree = FakeTree::v2("/");
            let parent = tree.cgroup("", "cpu memory pids", before, "");
            let controllers = [Controller::Memory, Controller::Freezer, Controller::Cpu];
            let site = site(&parent, Version::V2, &controllers);
            make_dir(&site).unwrap();
            assert!(site.dir.is_dir());
            let written = fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap();
            assert_eq!(written, after);
        }
    }

    #[test]
    fn what_is_built_in_is_handed_down_to_nobody() {
        let tree = FakeTree::v2("/");
        let parent = tree.dir("c", &[]);
        make_dir(&site(&parent, Version::V2, &[Controller::Devices])).unwrap();
        assert!(!parent.join("cgroup.subtree_control").exists());
    }

    #[test]
    fn cpus_are_copied_from_the_parent_before_some_are_chosen() {
        let tree = FakeTree::v2("/");
        let parent = tree.dir("c", &[("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")]);
        let dir = tree.dir("c/jaula-web", &[("cpuset.cpus", ""), ("cpuset.mems", "")]);
        let mut site = site(&parent, Version::V1, &[Controller::Cpuset]);
        site.starts_without_cpus = true;
        furnish(&site).unwrap();
        let read = |file| control::read(&dir, file).unwrap();
        assert_eq!(
            (read("cpuset.cpus"), read("cpuset.mems")),
            ("0-3".into(), "0".into())
        );
    }

    #[test]
    fn a_file_that_a_kernel_may_lack_is_never_created() {
        let tree = FakeTree::v2("/");
        let dir = tree.dir("c", &[("memory.max", "max")]);
        let swap = Setting::required("memory.swap.max", 0);
        apply(&dir, &swap.clone().or(IfAbsent::Ignore)).unwrap();
        assert!(!dir.join("memory.swap.max").exists());
        let error = apply(&dir, &swap.clone().or(IfAbsent::NoSwapAccounting)).unwrap_err();
        assert!(matches!(error, Error::NoSwapAccounting), "{error:?}");
        let error = apply(&dir, &swap).unwrap_err();
        assert!(matches!(error, Error::Set { .. }), "{error:?}");
    }
}
