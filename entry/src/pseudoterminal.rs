//! Pseudoterminals, for those who copy from and to one.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use launch::WindowSize;

use crate::syscall::{self, Errno};

/// Opens the other end of a pseudoterminal, whatever lies at its path.
///
/// # Errors
///
/// When `master` is no pseudoterminal's, or too many files are open.
pub fn open_other_end(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    syscall::open_terminal(master).map_err(system)
}

/// Gives a terminal a size.
///
/// # Errors
///
/// When it is none.
pub fn set_window_size(terminal: BorrowedFd<'_>, size: WindowSize) -> io::Result<()> {
    syscall::set_window_size(terminal, size).map_err(system)
}

/// Whether it is a terminal at which nobody is any more. One that was hung up can't be told by
/// isatty(3), as every `ioctl(2)` fails there; but it still is a device, and no other kind of device
/// says that it was hung up.
pub fn is_hung_up(file: BorrowedFd<'_>) -> bool {
    let is_device = syscall::character_device(file).is_ok_and(|device| device.is_some());
    is_device && syscall::is_hung_up(file).unwrap_or(false)
}

fn system(Errno(number): Errno) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_terminal_is_hung_up_when_its_master_is_closed() {
        let mut options = File::options();
        let master = options.read(true).write(true).open("/dev/ptmx").unwrap();
        syscall::unlock_terminal(master.as_fd()).unwrap();
        let terminal = open_other_end(master.as_fd()).unwrap();
        assert!(!is_hung_up(terminal.as_fd()));
        drop(master);
        assert!(is_hung_up(terminal.as_fd()));
    }

    #[test]
    fn what_else_has_no_other_end_was_not_hung_up() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert!(!is_hung_up(reader.as_fd()));
        let null = File::open("/dev/null").unwrap();
        assert!(!is_hung_up(null.as_fd()));
    }
}
