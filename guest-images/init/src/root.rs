//! The directories of PID 1 itself, which the command never sees. All are in the initial root,
//! a tmpfs in guest memory, and made before it is known what to run.

use std::path::{Path, PathBuf};

use entry::{Failure, Step};
use guest_protocol::{SHARES, SHARES_TAG};
use launch::Layers;
use rustix::fs::{Gid, Mode, Stat, Uid, chmod, chown, mkdir, stat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind};
use rustix::process::{chdir, chroot};

use crate::disk;
use crate::fatal::Fatal;

/// Where the image is mounted.
const IMAGE: &str = "/image";

/// What takes the command's writes.
const UPPER: &str = "/upper";

/// The overlay's own.
const WORK: &str = "/work";

/// This program, in the initial RAM file system. Nobody can write to it as long as it runs, and
/// that is as long as the guest does.
pub(crate) fn init() -> &'static Path {
    Path::new("/init")
}

/// The image, as a lower layer.
pub(crate) fn image() -> Layers {
    PathBuf::from(IMAGE).into()
}

/// What takes the command's writes.
pub(crate) fn upper() -> &'static Path {
    Path::new(UPPER)
}

/// The overlay's own.
pub(crate) fn work() -> &'static Path {
    Path::new(WORK)
}

/// Where the command's `/proc`, `/sys` and `/dev` are prepared.
const STAGE: &str = "/stage";

/// Where the command's `/proc`, `/sys` and `/dev` are prepared.
pub(crate) fn stage() -> &'static Path {
    Path::new(STAGE)
}

/// Moves to a second mount of the initial root that lies on the first: `pivot_root(2)` refuses
/// to replace the first mount of all, which nothing lies under.
pub(crate) fn leave_initial_root() -> Result<(), Fatal> {
    let failed = Fatal::when::<Errno>;
    mount_bind("/", "/").map_err(failed("mounting the initial root again"))?;
    // "/" is the root that this process has, "/.." what lies on it.
    chroot("/..").map_err(failed("entering the initial root"))?;
    chdir("/").map_err(failed("entering the initial root"))?;
    mkdir("/proc", Mode::RWXU).map_err(failed("making /proc"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(failed("mounting /proc"))
}

/// Makes the directories.
pub(crate) fn make_directories() -> Result<(), Fatal> {
    [IMAGE, UPPER, WORK, STAGE, SHARES]
        .into_iter()
        .try_for_each(|path| mkdir(path, Mode::RWXU))
        .map_err(Fatal::when("making a directory"))
}

/// Mounts the device with the host's files. Makes system calls and nothing else.
pub(crate) fn mount_shares() -> Result<(), Failure> {
    // No device node works there, and what is executed from there is what the host lets the
    // command execute.
    mount(SHARES_TAG, SHARES, "virtiofs", MountFlags::NODEV, None).map_err(|errno| Failure {
        step: Step::Shares,
        errno: errno.raw_os_error(),
    })
}

/// Mounts the image from the disk, and has the upper layer take after it. Makes system calls and
/// nothing else.
pub(crate) fn mount_image() -> Result<(), Failure> {
    let failed = |step| {
        move |errno: Errno| Failure {
            step,
            errno: errno.raw_os_error(),
        }
    };
    mount(disk::PATH, IMAGE, "erofs", MountFlags::RDONLY, None).map_err(failed(Step::Disk))?;
    let root = stat(IMAGE).map_err(failed(Step::OpenImage))?;
    take_after(UPPER, &root).map_err(failed(Step::Scratch))
}

/// Makes the directory like the root of the image: an overlay shows that of its upper layer as
/// its own.
fn take_after(path: &str, image: &Stat) -> Result<(), Errno> {
    if (image.st_uid, image.st_gid) != (0, 0) {
        chown(
            path,
            Some(Uid::from_raw(image.st_uid)),
            Some(Gid::from_raw(image.st_gid)),
        )?;
    }
    // Last, as a change of owner takes bits away.
    chmod(path, Mode::from_raw_mode(image.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_layer_takes_after_the_image() {
        let dir = std::env::temp_dir().join(format!("jaula-init-{}", std::process::id()));
        let (image, upper) = (dir.join("image"), dir.join("upper"));
        std::fs::create_dir_all(&image).unwrap();
        chmod(&image, Mode::from_raw_mode(0o1757)).unwrap();
        let wanted = stat(&image).unwrap();
        let made = mkdir(&upper, Mode::RWXU)
            .and_then(|()| take_after(upper.to_str().unwrap(), &wanted))
            .and_then(|()| stat(&upper));
        std::fs::remove_dir_all(&dir).unwrap();
        let made = made.unwrap();
        assert_eq!(
            (made.st_mode, made.st_uid, made.st_gid),
            (wanted.st_mode, wanted.st_uid, wanted.st_gid)
        );
    }
}
