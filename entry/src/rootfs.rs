//! The new root: an overlay on the image, and what is mounted in it.
//!
//! A path inside an image is never walked by hand: every mount point is opened by `openat2`,
//! which refuses to leave the root or to follow a link, and mounts are attached to the
//! descriptor. So neither a link in the image nor one that is put there meanwhile leads a mount
//! somewhere else.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use crate::failure::{At, Failure, Step};
use crate::given_devices::GivenDevices;
use crate::lookup::without_links;
use crate::mounts::Mounts;
use crate::name_files::NameFiles;
use crate::scenery::Scenery;
use crate::syscall::{self, Errno, Result};
use crate::text::Text;
use crate::working_directory::WorkingDirectory;

/// The directories of the overlay, each a path where the caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The image, the topmost directory first; at most [`MAX_LAYERS`](crate::path::MAX_LAYERS).
    pub(crate) lower: Vec<CString>,
    /// Takes what is written; empty.
    pub(crate) upper: CString,
    /// Empty, and on the same file system as `upper`.
    pub(crate) work: CString,
    /// Whether the overlay's own attributes are `user.*`: a user namespace can't write `trusted.*`.
    pub(crate) user_xattr: bool,
    /// Whether files can be given to others.
    pub(crate) keep_owners: bool,
}

/// Room for the options of an overlay: what mount(2) takes.
const OPTIONS_BYTES: usize = 4096;

/// A root, as the command will see it.
pub(crate) struct Root {
    pub(crate) layers: Layers,
    pub(crate) names: NameFiles,
    pub(crate) mounts: Mounts,
    pub(crate) devices: GivenDevices,
    pub(crate) working_directory: WorkingDirectory,
    pub(crate) read_only: bool,
}

impl Root {
    /// Opens what is to be seen of what is outside of the root.
    pub(crate) fn open_outside(&self) -> std::result::Result<(), Failure> {
        self.mounts.open_outside()?;
        self.devices.open_outside()
    }

    /// Mounts the overlay, moves the scenery into it, and makes it the root.
    pub(crate) fn enter(&self, scenery: &Scenery) -> std::result::Result<(), Failure> {
        let root = mount_overlay(&self.layers, &self.names)?;
        self.mounts.open_inside(root.as_fd())?;
        for (filesystem, mount) in scenery.mounts() {
            move_into(root.as_fd(), filesystem.name, mount).at(filesystem.step)?;
        }
        // After the scenery, as some want to be in /dev.
        self.mounts.attach(root.as_fd())?;
        self.devices.attach(root.as_fd(), scenery.stage.as_fd())?;
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
    let point = match without_links(root, name, libc::O_DIRECTORY) {
        Err(Errno(libc::ENOENT)) => {
            syscall::make_directory(root, name, 0o755)?;
            without_links(root, name, libc::O_DIRECTORY)?
        }
        result => result?,
    };
    syscall::attach(mount, point.as_fd())
}

fn mount_overlay(layers: &Layers, names: &NameFiles) -> std::result::Result<OwnedFd, Failure> {
    // Opened here and not by the caller: an overlay takes only mounts of the mount namespace it
    // is made in.
    let upper = syscall::open_directory(&layers.upper).at(Step::OpenUpper)?;
    let work = syscall::open_directory(&layers.work).at(Step::OpenUpper)?;
    // By descriptor: a path may hold the ':' and ',' that separate options, and there is room for
    // many. It also keeps the host's paths out of /proc/mounts.
    let mut options = Text::<OPTIONS_BYTES>::new();
    options.push(format_args!("lowerdir=")).at(Step::Overlay)?;
    let mut has_etc = false;
    let mut separator = "";
    for path in &layers.lower {
        let layer = syscall::open_directory(path).at(Step::OpenImage)?;
        if !has_etc {
            let written = names.write(upper.as_fd(), layer.as_fd(), layers.keep_owners);
            has_etc = written.at(Step::NameFiles)?;
        }
        // Closed with all others before the command is executed.
        let layer = layer.into_raw_fd();
        options
            .push(format_args!("{separator}/proc/self/fd/{layer}"))
            .at(Step::Overlay)?;
        separator = ":";
    }
    if !has_etc {
        names.write_without_etc(upper.as_fd()).at(Step::NameFiles)?;
    }
    let user_xattr = if layers.user_xattr { ",userxattr" } else { "" };
    options
        .push(format_args!(
            ",upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{}{user_xattr}",
            upper.as_raw_fd(),
            work.as_raw_fd()
        ))
        .at(Step::Overlay)?;
    // The image is as good a mount point as any: nobody else sees this mount namespace.
    let point = layers.lower.last().ok_or(Errno(libc::EINVAL));
    let point = point.at(Step::Overlay)?;
    // By mount(2): fsconfig(2) takes 255 bytes of an option, and that is fifteen layers. A device
    // node that the command makes, or that came with the image, does not work in it.
    syscall::mount_overlay(point, options.as_c_str()).at(Step::Overlay)?;
    syscall::open_directory(point).at(Step::Overlay)
}
