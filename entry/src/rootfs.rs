//! The new root: an overlay on the image, and what is mounted in it.
//!
//! A path inside an image is never walked by hand: every mount point is opened by `openat2`,
//! which refuses to leave the root or to follow a link, and mounts are attached to the
//! descriptor. So neither a link in the image nor one that is put there meanwhile leads a mount
//! somewhere else.

use std::ffi::{CStr, CString};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::action::{Action, Filesystem};
use crate::failure::{At, Failure, Step};
use crate::masks::Cover;
use crate::name_files::NameFiles;
use crate::scenery::Scenery;
use crate::syscall::{self, Errno, FilesystemContext, Result};
use crate::working_directory::WorkingDirectory;

/// Where device nodes are made, below the directory of the stage.
const NODE_STORE: &CStr = c"nodes";

/// The directories of the overlay, each a path where the caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The image.
    pub(crate) lower: CString,
    /// Takes what is written; empty.
    pub(crate) upper: CString,
    /// Empty, and on the same file system as `upper`.
    pub(crate) work: CString,
    /// Whether the overlay's own attributes are `user.*`: a user namespace can't write `trusted.*`.
    pub(crate) user_xattr: bool,
}

/// A root, as the command will see it.
pub(crate) struct Root {
    pub(crate) layers: Layers,
    pub(crate) names: NameFiles,
    pub(crate) working_directory: WorkingDirectory,
    pub(crate) read_only: bool,
}

impl Root {
    /// Mounts the overlay, moves the scenery into it, and makes it the root.
    pub(crate) fn enter(&self, scenery: &Scenery) -> std::result::Result<(), Failure> {
        let root = mount_overlay(&self.layers, &self.names)?;
        for (filesystem, mount) in scenery.mounts() {
            move_into(root.as_fd(), filesystem.name, mount).at(filesystem.step)?;
        }
        // What is missing is made before the root becomes read-only.
        self.working_directory
            .make(root.as_fd())
            .at(Step::MakeWorkingDirectory)?;
        if self.read_only {
            syscall::make_read_only(root.as_fd()).at(Step::ReadOnlyRoot)?;
        }
        syscall::pivot(root.as_fd()).at(Step::Pivot)
    }
}

/// Moves a mount to a directory of the root, which is made if it is missing.
fn move_into(root: BorrowedFd<'_>, name: &CStr, mount: BorrowedFd<'_>) -> Result<()> {
    let point = match target(root, name, libc::O_DIRECTORY) {
        Err(Errno(libc::ENOENT)) => {
            syscall::make_directory(root, name, 0o755)?;
            target(root, name, libc::O_DIRECTORY)?
        }
        result => result?,
    };
    syscall::attach(mount, point.as_fd())
}

/// Does all that is planned below a directory.
pub(crate) fn apply_all(
    directory: BorrowedFd<'_>,
    actions: &[Action],
) -> std::result::Result<(), Failure> {
    actions
        .iter()
        .try_for_each(|action| apply(directory, action).at(step(action)))
}

fn mount_overlay(layers: &Layers, names: &NameFiles) -> std::result::Result<OwnedFd, Failure> {
    // Opened here and not by the caller: an overlay takes only mounts of the mount namespace it
    // is made in.
    let lower = syscall::open_directory(&layers.lower).at(Step::OpenImage)?;
    let upper = syscall::open_directory(&layers.upper).at(Step::OpenUpper)?;
    let work = syscall::open_directory(&layers.work).at(Step::OpenUpper)?;
    names
        .write(upper.as_fd(), lower.as_fd(), !layers.user_xattr)
        .at(Step::NameFiles)?;
    overlay(layers.user_xattr, &lower, &upper, &work).at(Step::Overlay)
}

fn overlay(user_xattr: bool, lower: &OwnedFd, upper: &OwnedFd, work: &OwnedFd) -> Result<OwnedFd> {
    let context = FilesystemContext::open(c"overlay")?;
    context.set(c"source", c"overlay")?;
    // By descriptor: a path may hold the ':' and ',' that separate options, or be longer than the
    // 255 bytes of an option (fsconfig(2)). It also keeps the host's paths out of /proc/mounts.
    context.set(c"lowerdir", DescriptorPath::of(lower).as_c_str()?)?;
    context.set(c"upperdir", DescriptorPath::of(upper).as_c_str()?)?;
    context.set(c"workdir", DescriptorPath::of(work).as_c_str()?)?;
    if user_xattr {
        context.set_flag(c"userxattr")?;
    }
    // A device node that the command makes, or that came with the image, does not work.
    let root = context.mount(libc::MOUNT_ATTR_NODEV)?;
    // The image is as good a mount point as any: nobody else sees this mount namespace.
    syscall::attach(root.as_fd(), lower.as_fd())?;
    Ok(root)
}

fn step(action: &Action) -> Step {
    match action {
        Action::Mount(filesystem) => filesystem.step,
        Action::NodeStore
        | Action::Node { .. }
        | Action::BorrowedNode { .. }
        | Action::Link { .. } => Step::Dev,
        Action::Cover { index, .. } => Step::Mask(*index),
    }
}

fn apply(root: BorrowedFd<'_>, action: &Action) -> Result<()> {
    match action {
        Action::Mount(filesystem) => mount(root, filesystem),
        Action::NodeStore => syscall::make_directory(root, NODE_STORE, 0o700),
        Action::Node { name, device } => {
            let store = target(root, NODE_STORE, libc::O_DIRECTORY)?;
            syscall::make_node(store.as_fd(), name, libc::S_IFCHR | 0o666, *device)?;
            bind_node(root, syscall::clone_mount(store.as_raw_fd(), name)?, name)
        }
        Action::BorrowedNode { name, source } => {
            bind_node(root, syscall::clone_mount(libc::AT_FDCWD, source)?, name)
        }
        Action::Link { name, target: to } => {
            let dev = target(root, c"dev", libc::O_DIRECTORY)?;
            syscall::make_link(dev.as_fd(), name, to)
        }
        Action::Cover { path, cover, .. } => match target(root, path, 0) {
            Err(Errno(libc::ENOENT)) => Ok(()),
            Err(errno) => Err(errno),
            Ok(covered) => cover_with(root, covered.as_fd(), *cover),
        },
    }
}

fn bind_node(root: BorrowedFd<'_>, node: OwnedFd, name: &CStr) -> Result<()> {
    let dev = target(root, c"dev", libc::O_DIRECTORY)?;
    syscall::make_node(dev.as_fd(), name, libc::S_IFREG | 0o666, 0)?;
    syscall::attach(node.as_fd(), target(dev.as_fd(), name, 0)?.as_fd())
}

fn mount(root: BorrowedFd<'_>, filesystem: &Filesystem) -> Result<()> {
    let parent = target(root, filesystem.parent, libc::O_DIRECTORY)?;
    match syscall::make_directory(parent.as_fd(), filesystem.name, 0o755) {
        Ok(()) | Err(Errno(libc::EEXIST)) => {}
        Err(errno) => return Err(errno),
    }
    let context = FilesystemContext::open(filesystem.kind)?;
    // Means nothing; what is shown in /proc/mounts.
    context.set(c"source", filesystem.kind)?;
    for (name, value) in filesystem.options {
        context.set(name, value)?;
    }
    let mount = context.mount(filesystem.attributes)?;
    let point = target(parent.as_fd(), filesystem.name, libc::O_DIRECTORY)?;
    syscall::attach(mount.as_fd(), point.as_fd())
}

fn cover_with(root: BorrowedFd<'_>, covered: BorrowedFd<'_>, cover: Cover) -> Result<()> {
    let mount = match cover {
        Cover::ReadOnly => {
            let mount = syscall::clone_mount(covered.as_raw_fd(), c"")?;
            syscall::make_read_only(mount.as_fd())?;
            mount
        }
        Cover::Hidden if syscall::is_directory(covered)? => {
            FilesystemContext::open(c"tmpfs")?.mount(libc::MOUNT_ATTR_RDONLY)?
        }
        Cover::Hidden => {
            let null = target(root, c"dev/null", 0)?;
            syscall::clone_mount(null.as_raw_fd(), c"")?
        }
    };
    syscall::attach(mount.as_fd(), covered)
}

/// Opens what something is mounted on or made in. A link on the way there is an error: nothing
/// that is ours lies behind one.
pub(crate) fn target(root: BorrowedFd<'_>, path: &CStr, flags: libc::c_int) -> Result<OwnedFd> {
    syscall::open_in_root(root, path, flags, libc::RESOLVE_NO_SYMLINKS)
}

/// `/proc/self/fd/N`, written without an allocation.
struct DescriptorPath([u8; 32]);

impl DescriptorPath {
    fn of(descriptor: &OwnedFd) -> Self {
        let mut path = [0; 32];
        // 14 bytes and at most 10 digits: it fits, with a NUL behind it.
        let _ = write!(&mut path[..], "/proc/self/fd/{}", descriptor.as_raw_fd());
        Self(path)
    }

    fn as_c_str(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno(libc::EINVAL))
    }
}
