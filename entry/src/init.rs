use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use launch::Command;

use crate::exec::Strings;
use crate::path::{InvalidPath, c_path};
use crate::syscall::{self, Errno, Result};

/// The name by which the program is told that it is to be process 1, with the command as its
/// child. The command comes behind `--`, as with docker's.
pub const INIT_NAME: &CStr = c"jaula-init";

/// A program of ours that is executed in place of the command, and executes it.
pub(crate) struct Init {
    path: CString,
    /// Set in the process that becomes it.
    opened: OnceCell<OwnedFd>,
    argv: Strings,
    env: Strings,
}

impl Init {
    /// `path` is where the caller is.
    pub(crate) fn new(path: &Path, command: &Command) -> std::result::Result<Self, InvalidPath> {
        let own = [INIT_NAME.to_owned(), c"--".to_owned()];
        Ok(Self {
            path: c_path(path)?,
            opened: OnceCell::new(),
            argv: Strings::new(&[&own, command.argv()].concat()),
            env: Strings::new(command.env()),
        })
    }

    pub(crate) fn open(&self) -> Result<()> {
        let program = syscall::open_path(&self.path)?;
        self.opened.set(program).map_err(|_| Errno(libc::EEXIST))
    }

    pub(crate) fn opened(&self) -> Option<BorrowedFd<'_>> {
        self.opened.get().map(AsFd::as_fd)
    }

    /// Executes it from the descriptor `program`: the image has no part in it. Returns only to say
    /// why it could not.
    pub(crate) fn execute(&self, program: RawFd) -> Errno {
        // SAFETY: both arrays end with a null pointer, and their strings live as long as `self`.
        unsafe { syscall::execute_descriptor(program, self.argv.as_ptr(), self.env.as_ptr()) }
    }
}
