use std::fs;
use std::io;

use nix::unistd::{getegid, geteuid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};

use super::JailError;
use super::identity::Identity;

/// Those that the monitor gets. Not a pid namespace: only a child can be in a new one, and a
/// process that sees no `/proc` and may signal nobody has no use for others' numbers.
const OWN: UnshareFlags = UnshareFlags::NEWNS
    .union(UnshareFlags::NEWNET)
    .union(UnshareFlags::NEWIPC)
    .union(UnshareFlags::NEWUTS)
    .union(UnshareFlags::NEWCGROUP);

/// What it takes to make them, and to become another user, without a user namespace.
const PRIVILEGED: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP);

const OF_USERS: &str = "run as root, or let users make user namespaces (sysctl \
                        kernel.unprivileged_userns_clone=1, \
                        kernel.apparmor_restrict_unprivileged_userns=0)";
const FULL: &str = "raise the limits of namespaces: sysctl user | grep max_";

/// How many of its own it gets from here.
pub(super) fn count() -> Result<usize, JailError> {
    let own = OWN.bits().count_ones() as usize;
    Ok(own + usize::from(!is_privileged()?))
}

/// Whether it needs no user namespace.
pub(super) fn is_privileged() -> Result<bool, JailError> {
    let may = capabilities(None).map_err(JailError::at(STEP))?.effective;
    Ok(may.contains(PRIVILEGED))
}

const STEP: &str = "make namespaces";

/// Enters them; as whom the monitor can live there.
pub(super) fn enter() -> Result<Identity, JailError> {
    if is_privileged()? {
        unshare(OWN)
            .map_err(|errno| refused(STEP, errno, "run on a host that lets root make them"))?;
        return Ok(Identity::of_nobody_else());
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(OWN | UnshareFlags::NEWUSER).map_err(|errno| refused(STEP, errno, OF_USERS))?;
    // In this order: without a privilege, groups can be mapped only by who can't change them
    // (user_namespaces(7)).
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1")),
    ] {
        fs::write(file, text).map_err(|error| refused("map its user", errno(&error), OF_USERS))?;
    }
    Ok(Identity::Own)
}

fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: neither memory nor descriptors are unshared.
    unsafe { unshare_unsafe(flags) }
}

fn refused(step: &'static str, errno: Errno, remedy: &'static str) -> JailError {
    JailError::at(step)(errno).with_remedy(match errno {
        Errno::NOSPC => FULL,
        _ => remedy,
    })
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
