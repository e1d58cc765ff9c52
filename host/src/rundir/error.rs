use std::io;
use std::path::PathBuf;

use launch::{InstanceId, InvalidName};

use crate::{cgroup, paths};

/// What can't be done with the run directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows where it is.
    #[error(transparent)]
    Path(#[from] paths::Error),
    /// A directory can't be made.
    #[error("can't make directory {path}")]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory can't be opened or read.
    #[error("can't open directory {path}")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could plant things in it.
    #[error("{0} belongs to somebody else, or others may write to it")]
    NotOurs(PathBuf),
    /// It was named by mistake.
    #[error("{0} holds other things than jaula's; its run directory must be empty or new")]
    InUse(PathBuf),
    /// A lock can't be taken, for another reason than that somebody has it.
    #[error("can't lock {path}")]
    Lock {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name is taken.
    #[error("the name {0} is in use by a running instance")]
    Running(InstanceId),
    /// The name is taken, too.
    #[error("the name {0} is in use by an instance that has ended")]
    Ended(InstanceId),
    /// There is no random number to make a name of.
    #[error("can't read /dev/urandom")]
    Random(#[source] io::Error),
    /// The made-up name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The note of what to clear can't be written or read.
    #[error("can't keep record in {path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The note of what to clear names something that is no cgroup of this instance.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// The instance's cgroup can't be cleared.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    /// The instance's rules can't be removed.
    #[error("can't remove table {table} of the packet filter")]
    PacketFilter {
        /// Its name.
        table: String,
        /// Why.
        source: nix::errno::Errno,
    },
    /// A directory can't be removed.
    #[error("can't remove {path}")]
    Remove {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotOurs(_) => Some("remove it, or set JAULA_RUN_DIR to a directory of your own"),
            Self::InUse(_) => Some("set JAULA_RUN_DIR to an empty or new directory"),
            Self::Running(_) => Some("choose another --name"),
            Self::Ended(_) => Some("remove that with jaula rm, or choose another --name"),
            Self::Damaged(_) => Some("see what it names, then remove the directory it is in"),
            Self::Cgroup(error) => error.remedy(),
            Self::PacketFilter { .. } => Some("remove it: nft delete table ip NAME"),
            _ => None,
        }
    }
}

impl From<Error> for launch::Error {
    fn from(error: Error) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}
