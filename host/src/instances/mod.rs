//! Instances that others than their owner can find: what runs and what has ended.
//!
//! Nothing serves them, so all that others need is in an instance's directory, and whether it
//! lives is told by a lock, which the kernel lets go of however its owner ends:
//!
//! | file | holds | written |
//! |---|---|---|
//! | `record` | what was asked for, and which process it is: a [`Record`] | once, when it has started |
//! | `status` | how it ended: a [`Status`] | at the end; until then it is empty and locked |
//! | `log`, `log.1` | what a detached one said, see [`log`] | while it runs |
//! | `keep` | nothing: that the directory is kept when the instance has ended | with the record |
//! | `ended` | nothing: `keep`, when all but these files is cleared away | after the end |
//!
//! So an instance runs as long as `status` is locked; it has ended when `status` is not locked and
//! whole, and the directory is kept; everything else is a leftover, which [`RunDir::sweep`] clears.
//! Whoever waits for one opens `status` and waits for a lock on it: the file can be read when its
//! directory is gone, too.
//!
//! [`RunDir::sweep`]: crate::RunDir::sweep

mod found;
mod list;
pub mod log;
mod presence;
mod process;
mod record;
mod status;
mod text;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

pub use found::{Found, State, Waiting};
pub use list::{FindError, Instances};
pub use presence::Presence;
pub use process::HostProcess;
pub use record::{Asked, Record, RecordedCommand};
pub use status::Status;
pub use text::Text;

pub(crate) const RECORD: &str = "record";
pub(crate) const STATUS: &str = "status";
pub(crate) const LOG: &str = "log";
pub(crate) const OLD_LOG: &str = "log.1";
pub(crate) const KEEP: &str = "keep";
pub(crate) const ENDED: &str = "ended";

/// What stays of an instance that is kept.
pub(crate) const KEPT: [&str; 6] = [RECORD, STATUS, LOG, OLD_LOG, KEEP, ENDED];

/// How the directory of an instance whose owner is dead is to be dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    /// Its end is on record: that is kept.
    Kept,
    /// All of it can go.
    Nothing,
    /// Its owner is about to write how it ended.
    Ending,
}

/// Looks into a directory.
pub(crate) fn remains(dir: &Path) -> io::Result<Remains> {
    if dir.join(ENDED).try_exists()? {
        return Ok(Remains::Kept);
    }
    if !dir.join(KEEP).try_exists()? {
        return Ok(Remains::Nothing);
    }
    let status = match open_file(&dir.join(STATUS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Remains::Nothing),
        result => result?,
    };
    if is_locked(&status)? {
        return Ok(Remains::Ending);
    }
    let is_whole = Status::read(status)?.is_some() && Record::read(dir)?.is_some();
    Ok(if is_whole {
        Remains::Kept
    } else {
        Remains::Nothing
    })
}

/// Opens a file to read it, and nothing that a symbolic link leads to; a FIFO does not hold it up.
fn open_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
}

/// The whole file, from its start.
fn lock_of(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Whether another open file has a lock on it that keeps readers out. Takes none itself.
fn is_locked(file: &File) -> io::Result<bool> {
    let mut lock = lock_of(libc::F_RDLCK);
    // Of the open file description and not of the process (fcntl(2)): a child that is being
    // made shares it, and closing another descriptor of the file does not let go of it.
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
}

/// Locks a file that only this process knows of.
fn lock(file: &File) -> io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&lock_of(libc::F_WRLCK)))?;
    Ok(())
}

/// Waits until nobody has it locked.
fn wait_for_lock(file: &File) -> io::Result<()> {
    loop {
        match fcntl(
            file.as_fd(),
            FcntlArg::F_OFD_SETLKW(&lock_of(libc::F_RDLCK)),
        ) {
            Err(nix::errno::Errno::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}
