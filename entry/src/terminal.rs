//! A terminal of the command's own: a pseudoterminal of its own devpts.
//!
//! Whoever started jaula keeps the terminal that it was started from, and copies from and to the
//! master. So nothing is pushed into that one, and nobody changes its settings, but by what the
//! terminal itself obeys.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::failure::{At, Failure, Step};
use crate::scenery::Scenery;
use crate::syscall::{self, Errno, Result};
use crate::ties::Terminal;

/// Where docker, too, has it.
const CONSOLE: &CStr = c"console";

impl Terminal<'_> {
    /// Opens one before the command's root is entered, where nothing is that is the image's, and
    /// puts it at `/dev/console`: no link leads there or away (CVE-2025-52565). Returns the
    /// command's end.
    pub(crate) fn open_on_stage(&self, scenery: &Scenery) -> std::result::Result<OwnedFd, Failure> {
        let opened = || {
            let dev = scenery.dev();
            let terminal = self.open(dev, c"pts/ptmx")?;
            syscall::make_node(dev, CONSOLE, libc::S_IFREG | 0o600, 0)?;
            let point = syscall::open_in_root(dev, CONSOLE, 0, libc::RESOLVE_NO_SYMLINKS)?;
            let mount = syscall::clone_mount(terminal.as_raw_fd(), c"")?;
            syscall::attach(mount.as_fd(), point.as_fd())?;
            Ok(terminal)
        };
        opened().at(Step::Terminal)
    }

    /// Opens one in a root in which others run, who may have made anything of it that they can.
    pub(crate) fn open_in_root(&self) -> std::result::Result<OwnedFd, Failure> {
        let opened = || {
            let root = syscall::open_directory(c"/")?;
            self.open(root.as_fd(), c"dev/pts/ptmx")
        };
        opened().at(Step::Terminal)
    }

    fn open(&self, directory: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
        // What is no terminal is not waited for, either.
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
        let master = syscall::open_file_in_root(directory, path, flags)?;
        if !syscall::is_in_devpts(master.as_fd())? {
            return Err(Errno(libc::ENOTTY));
        }
        syscall::unlock_terminal(master.as_fd())?;
        syscall::set_window_size(master.as_fd(), self.size)?;
        let terminal = syscall::open_terminal(master.as_fd())?;
        syscall::send_descriptor(self.socket, master.as_fd())?;
        Ok(terminal)
    }
}
