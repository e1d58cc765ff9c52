use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsmount, fsopen, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use super::JailError;

/// Makes an empty directory, in which nothing can be made, the process's root, and lets go of the
/// former one with all that is mounted there.
pub(super) fn enter() -> Result<(), JailError> {
    let enter = || -> Result<(), Errno> {
        let apart = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
        mount_change(c"/", apart)?;
        let file_system = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&file_system)?;
        let nothing = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = fsmount(&file_system, FsMountFlags::FSMOUNT_CLOEXEC, nothing)?;
        let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&root, c"", CWD, c"/", by_descriptor)?;
        fchdir(&root)?;
        // With the same path twice the old root is stacked on the new one (pivot_root(2)), and "."
        // is the old one until it is unmounted.
        pivot_root(c".", c".")?;
        unmount(c".", UnmountFlags::DETACH)?;
        chdir(c"/")
    };
    enter().map_err(JailError::at("make an empty root"))
}
