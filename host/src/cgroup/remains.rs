//! Killing what runs in a cgroup and removing it, knowing nothing but where it is: for the
//! cgroups of this process, and for those that a crashed one left.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;

use nix::libc;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::control;
use super::error::Error;
use super::freezer::release;
use super::patience::until_done;
use super::tree::{is_gone, tree};
use crate::pidfd::send_signal;

/// Kills every process in the cgroups `dirs` of one instance and in those below them; returns when
/// none is left. A cgroup that is not there holds none.
///
/// # Errors
///
/// When a process may not be killed, or does not go within seconds.
pub(super) fn kill(dirs: &[&Path]) -> Result<(), Error> {
    // With version 1, what is stopped in one of them would not go from another.
    for dir in dirs {
        release(dir).map_err(|source| Error::Kill {
            path: dir.to_path_buf(),
            source,
        })?;
    }
    dirs.iter().try_for_each(|dir| kill_in(dir))
}

fn kill_in(dir: &Path) -> Result<(), Error> {
    let emptied = until_done(|| {
        let tree = tree(dir).map_err(|source| Error::Kill {
            path: dir.to_owned(),
            source,
        })?;
        let mut empty = true;
        for cgroup in tree {
            empty &= kill_once(&cgroup).map_err(|source| Error::Kill {
                path: cgroup.clone(),
                source,
            })?;
        }
        Ok(empty)
    })?;
    if emptied {
        Ok(())
    } else {
        Err(Error::Busy(dir.to_owned()))
    }
}

/// Kills what is in `cgroup` at this moment; `true` if nothing was.
fn kill_once(cgroup: &Path) -> io::Result<bool> {
    let Some(pids) = processes(cgroup)? else {
        return Ok(true);
    };
    if pids.is_empty() {
        return Ok(true);
    }
    // Version 2, since Linux 5.14: all of them at once, so that none can fork its way out.
    match control::write(cgroup, "cgroup.kill", "1") {
        Ok(()) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    for pid in pids {
        // A process outside of our PID namespace is listed as 0, and has no name here.
        let Some(pid) = Pid::from_raw(pid) else {
            continue;
        };
        kill_member(cgroup, pid)?;
    }
    Ok(false)
}

/// Kills the process `pid` if it is in `cgroup`, and never another that got its number since.
fn kill_member(cgroup: &Path, pid: Pid) -> io::Result<()> {
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // Listed after the descriptor was opened: either the descriptor is that process, or it is
    // one that is dead already.
    let listed = processes(cgroup)?.is_some_and(|pids| pids.contains(&pid.as_raw_pid()));
    if !listed {
        return Ok(());
    }
    Ok(send_signal(process.as_fd(), libc::SIGKILL)?)
}

/// The processes in `cgroup` itself; `None` if it is gone.
fn processes(cgroup: &Path) -> io::Result<Option<Vec<i32>>> {
    match fs::read_to_string(cgroup.join("cgroup.procs")) {
        Ok(text) => Ok(Some(
            text.lines().filter_map(|line| line.parse().ok()).collect(),
        )),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Kills what is in the cgroups `dirs` of one instance, and removes them. One that is not there is
/// removed already.
///
/// # Errors
///
/// When a process may not be killed, or one can't be removed within seconds. The others are
/// removed then.
pub(super) fn remove(dirs: &[&Path]) -> Result<(), Error> {
    // Most often all processes have ended, and this is all there is to do.
    let mut result = Ok(());
    let mut held = Vec::new();
    for &dir in dirs {
        match rmdir(dir) {
            Ok(true) => {}
            Ok(false) => held.push(dir),
            Err(error) => result = result.and(Err(error)),
        }
    }
    if held.is_empty() {
        return result;
    }
    result = result.and(kill(&held));
    for dir in held {
        result = result.and(remove_emptied(dir));
    }
    result
}

fn remove_emptied(dir: &Path) -> Result<(), Error> {
    // A process that is exiting is no longer listed, but still there.
    let removed = until_done(|| {
        let tree = tree(dir).map_err(|source| Error::Remove {
            path: dir.to_owned(),
            source,
        })?;
        let mut all = true;
        for cgroup in tree.iter().rev() {
            all &= rmdir(cgroup)?;
        }
        Ok(all)
    })?;
    if removed {
        Ok(())
    } else {
        Err(Error::Busy(dir.to_owned()))
    }
}

/// Removes one cgroup; `false` if it still holds something.
fn rmdir(cgroup: &Path) -> Result<bool, Error> {
    match fs::remove_dir(cgroup) {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ResourceBusy | ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(false)
        }
        Err(source) => Err(Error::Remove {
            path: cgroup.to_owned(),
            source,
        }),
    }
}
