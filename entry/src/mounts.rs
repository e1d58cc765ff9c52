//! What the workload has mounted in its root, beyond what every root has.
//!
//! What is mounted is opened before what it is mounted on is looked for, and both are
//! descriptors when they are joined: whoever exchanges a directory for a link meanwhile
//! (CVE-2021-30465) changes nothing of where it goes.

use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use launch::MountSource;

use crate::action::NO_SUID_DEV;
use crate::failure::{At, Failure, Step};
use crate::inner_path::InnerPath;
use crate::missing_path::Missing;
use crate::path::{InvalidPath, c_path};
use crate::syscall::{self, Errno, FilesystemContext, Result};

/// All that is mounted, in order.
pub(crate) struct Mounts(Vec<Mount>);

struct Mount {
    /// What its failure is called by.
    index: u16,
    source: Source,
    /// `MOUNT_ATTR_*` that it gets, beyond those that it has from its source.
    attributes: u64,
    target: InnerPath,
    /// What is mounted, attached nowhere yet. Set in the process that becomes the command.
    opened: OnceCell<OwnedFd>,
}

enum Source {
    /// A path where the caller is.
    Bind(CString),
    /// A new file system in memory, with these options.
    Tmpfs([Option<(&'static CStr, CString)>; 2]),
    /// What the root has at the target.
    Root,
}

impl Mounts {
    pub(crate) fn new(mounts: &[launch::Mount]) -> std::result::Result<Self, InvalidPath> {
        let prepared = mounts.iter().zip(0..).map(|(mount, index)| {
            let (source, attributes) = source(&mount.source)?;
            let read_only = match mount.read_only {
                true => libc::MOUNT_ATTR_RDONLY,
                false => 0,
            };
            Ok(Mount {
                index,
                source,
                attributes: attributes | read_only,
                target: InnerPath::new(mount.target.as_c_str()),
                opened: OnceCell::new(),
            })
        });
        prepared.collect::<std::result::Result<_, _>>().map(Self)
    }

    /// Opens what is outside of the root: to be done before anything of ours is mounted, which
    /// would be seen in what it is mounted in.
    pub(crate) fn open_outside(&self) -> std::result::Result<(), Failure> {
        self.each(Step::MountSource, |mount| match &mount.source {
            Source::Bind(path) => mount.keep(bind(path)?),
            Source::Tmpfs(_) | Source::Root => Ok(()),
        })
    }

    /// Opens what is in the root, before anything is mounted there: an anonymous volume shows what
    /// the image has, and not what else is mounted around it.
    pub(crate) fn open_inside(&self, root: BorrowedFd<'_>) -> std::result::Result<(), Failure> {
        self.each(Step::MountSource, |mount| match &mount.source {
            Source::Root => {
                let directory = mount.target.open_or_make(root, Missing::Directory)?;
                mount.keep(syscall::clone_mount(directory.as_raw_fd(), c"")?)
            }
            Source::Bind(_) | Source::Tmpfs(_) => Ok(()),
        })
    }

    /// Mounts all in a root that has `/proc`, `/sys` and `/dev`.
    pub(crate) fn attach(&self, root: BorrowedFd<'_>) -> std::result::Result<(), Failure> {
        self.each(Step::Mount, |mount| mount.attach(root))
    }

    fn each(
        &self,
        step: fn(u16) -> Step,
        act: impl Fn(&Mount) -> Result<()>,
    ) -> std::result::Result<(), Failure> {
        self.0
            .iter()
            .try_for_each(|mount| act(mount).at(step(mount.index)))
    }
}

impl Mount {
    fn keep(&self, opened: OwnedFd) -> Result<()> {
        self.opened.set(opened).map_err(|_| Errno(libc::EEXIST))
    }

    fn attach(&self, root: BorrowedFd<'_>) -> Result<()> {
        let Source::Tmpfs(options) = &self.source else {
            let mount = self.opened.get().ok_or(Errno(libc::EBADF))?.as_fd();
            // Also what is mounted below it: read-only is of no use else (docker does that where
            // the kernel can). With its nodev no device node works that a command makes in a
            // volume, which it may; and what the host mounts later does not reach it.
            syscall::restrict_tree(mount, self.attributes | libc::MOUNT_ATTR_NODEV)?;
            return attach(root, mount, &self.target);
        };
        let context = FilesystemContext::open(c"tmpfs")?;
        context.set(c"source", c"tmpfs")?;
        for (name, value) in options.iter().flatten() {
            context.set(name, value)?;
        }
        attach(root, context.mount(self.attributes)?.as_fd(), &self.target)
    }
}

/// Attaches a mount to a path in the root, which is made if it is missing.
///
/// # Errors
///
/// `ENOTDIR` when one is a directory and the other is not. `ELOOP` when a link leads into `/proc`:
/// what is written to a file of it would end where the mount is (CVE-2019-19921, CVE-2023-27561).
/// `EBUSY` when one leads to the root itself, where the mount would be seen by nobody.
pub(crate) fn attach(
    root: BorrowedFd<'_>,
    mount: BorrowedFd<'_>,
    target: &InnerPath,
) -> Result<()> {
    let is_directory = syscall::is_directory(mount)?;
    let missing = match is_directory {
        true => Missing::Directory,
        false => Missing::File,
    };
    let point = target.open_or_make(root, missing)?;
    if syscall::is_in_procfs(point.as_fd())? {
        return Err(Errno(libc::ELOOP));
    }
    if syscall::is_same(point.as_fd(), root)? {
        return Err(Errno(libc::EBUSY));
    }
    // The kernel says EINVAL, as of much else.
    if syscall::is_directory(point.as_fd())? != is_directory {
        return Err(Errno(libc::ENOTDIR));
    }
    syscall::attach(mount, point.as_fd())
}

fn source(source: &MountSource) -> std::result::Result<(Source, u64), InvalidPath> {
    Ok(match source {
        MountSource::Bind(path) => (Source::Bind(c_path(path)?), 0),
        MountSource::Anonymous => (Source::Root, 0),
        MountSource::Tmpfs {
            size_bytes,
            mode,
            executable,
        } => {
            let mode = Some((c"mode", c_number(format!("{mode:o}"))));
            let size = size_bytes.map(|bytes| (c"size", c_number(bytes.to_string())));
            let attributes = match executable {
                true => NO_SUID_DEV,
                false => NO_SUID_DEV | libc::MOUNT_ATTR_NOEXEC,
            };
            (Source::Tmpfs([mode, size]), attributes)
        }
    })
}

/// Digits are no NUL bytes.
fn c_number(digits: String) -> CString {
    CString::new(digits).unwrap_or_default()
}

/// Opens a path of the host and all that is mounted below it. Its links lead where they lead the
/// caller.
fn bind(path: &CStr) -> Result<OwnedFd> {
    syscall::clone_tree(libc::AT_FDCWD, path)
}
