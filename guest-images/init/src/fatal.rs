use std::io;

use guest_protocol::FrameError;
use launch::Chain;

/// Why a guest is of no use: everything but what [`entry`] can name, which the host is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// A system call failed.
    #[error("{doing}")]
    System {
        doing: &'static str,
        source: io::Error,
    },
    /// The kernel knows no virtio disks.
    #[error("there is no virtblk in /proc/devices")]
    NoDiskDriver,
    /// The disk never had the size that the host announced.
    #[error("the disk has {found} sectors where {expected} were announced")]
    WrongDisk { expected: u64, found: u64 },
    /// The host did not say what to run.
    #[error("the host's first message is not what to start")]
    NothingToStart,
    /// The host closed the control connection, or sent what it may not send.
    #[error("the host broke off the control connection")]
    HostGone,
    /// A message of the host's can't be read, or ours can't be sent.
    #[error("the control connection failed")]
    Control(#[from] FrameError),
    /// A path of ours was refused.
    #[error(transparent)]
    Path(#[from] entry::InvalidPath),
}

impl Fatal {
    /// Wraps what a system call failed with.
    pub(crate) fn when<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::System {
            doing,
            source: error.into(),
        }
    }
}

/// Anything that can be said in a line.
pub(crate) trait OneLine {
    fn one_line(&self) -> String;
}

impl OneLine for Fatal {
    fn one_line(&self) -> String {
        Chain(self).to_string()
    }
}

impl OneLine for std::panic::PanicHookInfo<'_> {
    fn one_line(&self) -> String {
        self.to_string().replace('\n', " ")
    }
}

/// Writes a line to the kernel's log, with the level that reaches the console however quiet the
/// kernel was told to be (`KERN_EMERG`, `Documentation/ABI/testing/dev-kmsg`).
pub(crate) fn report(what: &dyn OneLine) {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

    // Where it can't be said, there is nothing left to do about it.
    let _ = mknodat(
        CWD,
        "/kmsg",
        FileType::CharacterDevice,
        Mode::WUSR,
        makedev(1, 11),
    );
    let _ = fs::write("/kmsg", format!("<0>jaula-init: {}\n", what.one_line()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let error = Fatal::when("mounting /disk")(rustix::io::Errno::NODEV);
        assert_eq!(
            error.one_line(),
            "mounting /disk: No such device (os error 19)"
        );
    }
}
