//! Where the scenery is set up: a directory of nobody else's, on a tmpfs that goes with it.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::action::{Action, Filesystem, NO_SUID_EXEC_DEV, Parent};
use crate::devices;
use crate::failure::{At, Failure, Step};
use crate::lookup::without_links;
use crate::masks::Cover;
use crate::syscall::{self, Errno, FilesystemContext, Result};

/// Where device nodes are made, below the directory of the stage.
const NODE_STORE: &CStr = c"nodes";

/// What is seen in place of a directory that is hidden.
const EMPTY: &CStr = c"empty";

/// The directory of the stage, with those in it that much is made in, each opened once.
///
/// What has one component and was made here is named by it: no link can be in its place.
pub(crate) struct Site<'a> {
    stage: BorrowedFd<'a>,
    dev: Option<OwnedFd>,
    nodes: Option<OwnedFd>,
    has_empty: bool,
}

impl<'a> Site<'a> {
    pub(crate) fn new(stage: BorrowedFd<'a>) -> Self {
        Self {
            stage,
            dev: None,
            nodes: None,
            has_empty: false,
        }
    }

    /// Does all that is planned.
    pub(crate) fn apply_all(&mut self, actions: &[Action]) -> std::result::Result<(), Failure> {
        actions
            .iter()
            .try_for_each(|action| self.apply(action).at(step(action)))
    }

    fn apply(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Mount(filesystem) => self.mount(filesystem),
            Action::BorrowedTree { source, filesystem } => self.borrow(source, filesystem),
            Action::NodeStore => syscall::make_directory(self.stage, NODE_STORE, 0o700),
            Action::Node { name, device } => {
                let store = opened(&mut self.nodes, self.stage, NODE_STORE)?;
                syscall::make_node(store, name, libc::S_IFCHR | 0o666, *device)?;
                let node = syscall::clone_mount(store.as_raw_fd(), name)?;
                self.bind_node(node, name)
            }
            Action::BorrowedNode { name, source } => {
                self.bind_node(syscall::clone_mount(libc::AT_FDCWD, source)?, name)
            }
            Action::Link { name, target: to } => syscall::make_link(self.dev()?, name, to),
            Action::Cover { path, cover, .. } => match without_links(self.stage, path, 0) {
                Err(Errno(libc::ENOENT)) => Ok(()),
                Err(errno) => Err(errno),
                Ok(covered) => self.cover_with(covered.as_fd(), *cover),
            },
        }
    }

    fn dev(&mut self) -> Result<BorrowedFd<'_>> {
        opened(&mut self.dev, self.stage, devices::DEV.name)
    }

    fn bind_node(&mut self, node: OwnedFd, name: &CStr) -> Result<()> {
        let dev = self.dev()?;
        syscall::make_node(dev, name, libc::S_IFREG | 0o666, 0)?;
        syscall::attach_at(node.as_fd(), dev, name)
    }

    fn borrow(&self, source: &CStr, filesystem: &Filesystem) -> Result<()> {
        // With all that is mounted in it: of a mount that is another user namespace's, a part alone
        // would show what the rest hides, so the kernel refuses it.
        let tree = syscall::clone_tree(libc::AT_FDCWD, source)?;
        syscall::restrict_tree(tree.as_fd(), filesystem.attributes)?;
        syscall::make_directory(self.stage, filesystem.name, 0o755)?;
        syscall::attach_at(tree.as_fd(), self.stage, filesystem.name)
    }

    fn mount(&mut self, filesystem: &Filesystem) -> Result<()> {
        let parent = match filesystem.parent {
            Parent::Stage => self.stage,
            Parent::Dev => self.dev()?,
        };
        match syscall::make_directory(parent, filesystem.name, 0o755) {
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
        syscall::attach_at(mount.as_fd(), parent, filesystem.name)
    }

    fn cover_with(&mut self, covered: BorrowedFd<'_>, cover: Cover) -> Result<()> {
        let mount = match cover {
            Cover::ReadOnly => {
                let mount = syscall::clone_mount(covered.as_raw_fd(), c"")?;
                syscall::make_read_only(mount.as_fd())?;
                mount
            }
            Cover::Hidden if syscall::is_directory(covered)? => self.nothing()?,
            Cover::Hidden => syscall::clone_mount(self.dev()?.as_raw_fd(), c"null")?,
        };
        syscall::attach(mount.as_fd(), covered)
    }

    /// An empty directory that stays so. One for all: a file system of its own for each takes the
    /// kernel as long as all the rest of hiding it.
    fn nothing(&mut self) -> Result<OwnedFd> {
        if !self.has_empty {
            syscall::make_directory(self.stage, EMPTY, 0o755)?;
            self.has_empty = true;
        }
        let mount = syscall::clone_mount(self.stage.as_raw_fd(), EMPTY)?;
        let attributes = NO_SUID_EXEC_DEV | libc::MOUNT_ATTR_RDONLY;
        syscall::add_attributes(mount.as_fd(), attributes)?;
        Ok(mount)
    }
}

fn step(action: &Action) -> Step {
    match action {
        Action::Mount(filesystem) | Action::BorrowedTree { filesystem, .. } => filesystem.step,
        Action::NodeStore
        | Action::Node { .. }
        | Action::BorrowedNode { .. }
        | Action::Link { .. } => Step::Dev,
        Action::Cover { index, .. } => Step::Mask(*index),
    }
}

/// The directory `name` of the stage, which is opened if it has not been yet.
fn opened<'a>(
    slot: &'a mut Option<OwnedFd>,
    stage: BorrowedFd<'_>,
    name: &CStr,
) -> Result<BorrowedFd<'a>> {
    let directory = match slot.take() {
        Some(directory) => directory,
        None => without_links(stage, name, libc::O_DIRECTORY)?,
    };
    let directory: &OwnedFd = slot.insert(directory);
    Ok(directory.as_fd())
}

/// The directory in which device nodes are made, below that of the stage.
pub(crate) fn node_store(stage: BorrowedFd<'_>) -> Result<OwnedFd> {
    without_links(stage, NODE_STORE, libc::O_DIRECTORY)
}
