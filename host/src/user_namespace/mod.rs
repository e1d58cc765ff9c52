//! The user namespace in which an ordinary user is root and has more users and groups beside.
//!
//! By itself an ordinary user can map one user and one group there, its own. The administrator can
//! give it ranges of others in `/etc/subuid` and `/etc/subgid`, which the set-user-ID programs
//! `newuidmap` and `newgidmap` map for it, after looking there themselves: so nothing here has to
//! be trusted. With them, files and processes in the namespace have owners as root's have.
//!
//! The whole of jaula enters it, and not just a container: what unpacks an image, makes a disk of
//! it or removes it must be able to give files away, too, and to touch what it has given away.

mod caller;
mod holder;
mod id_map;
mod program;
mod ranges;

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{getegid, geteuid};

pub use caller::caller;
use holder::Holder;
pub use id_map::{IdMap, has_many_ids};
use program::Program;
pub use ranges::Range;

/// Why there are no users and groups but the caller's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The caller has no range.
    #[error("{} has no range for you", file.display())]
    Range {
        /// Which file.
        file: PathBuf,
    },
    /// It is not installed.
    #[error("{0} is not in PATH")]
    Program(&'static str),
}

impl Missing {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Range { .. } => {
                "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, with numbers that nobody else has"
            }
            Self::Program(_) => "install the package uidmap",
        }
    }
}

/// Why the namespace can't be entered, though everything for it is there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the programs refuses.
    #[error("{name} failed: {said}")]
    Refused {
        /// Which.
        name: &'static str,
        /// The last line of what it said.
        said: String,
    },
    /// One of them can't be started.
    #[error("can't run {name}")]
    Run {
        /// Which.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The namespace itself fails.
    #[error("can't enter a user namespace")]
    Enter(#[source] Errno),
}

impl Error {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Refused { .. } | Self::Run { .. } => {
                "reinstall the package uidmap, or take your lines out of /etc/subuid and /etc/subgid"
            }
            Self::Enter(_) => "run as root",
        }
    }
}

/// What an ordinary user has that is needed for the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subordinates {
    users: Vec<Range>,
    groups: Vec<Range>,
    newuidmap: Program,
    newgidmap: Program,
}

impl Subordinates {
    /// Those of the caller.
    ///
    /// # Errors
    ///
    /// What is missing. A file that can't be read gives nobody anything.
    pub fn of_caller() -> Result<Self, Missing> {
        let uid = geteuid().as_raw();
        let name = ranges::login_name(uid);
        let of = |file: &'static str, own: u32| {
            let found = ranges::read(file.as_ref(), name.as_deref(), uid, own);
            if found.is_empty() {
                Err(Missing::Range { file: file.into() })
            } else {
                Ok(found)
            }
        };
        Ok(Self {
            users: of("/etc/subuid", uid)?,
            groups: of("/etc/subgid", getegid().as_raw())?,
            newuidmap: Program::find("newuidmap")?,
            newgidmap: Program::find("newgidmap")?,
        })
    }

    /// How many users and how many groups there are, with the caller's own.
    pub fn count(&self) -> (u64, u64) {
        let count = |ranges: &[Range]| 1 + ranges.iter().map(|it| u64::from(it.count)).sum::<u64>();
        (count(&self.users), count(&self.groups))
    }

    /// Enters a new user namespace in which the caller is root, and its ranges are the users and
    /// groups from 1 on (podman's layout). To be called while the process has one thread.
    ///
    /// `false` if users may make no user namespaces here: nothing has changed then.
    ///
    /// # Errors
    ///
    /// When the maps are refused. Nothing has changed then, either.
    pub fn enter(&self) -> Result<bool, Error> {
        let holder = match Holder::start() {
            Ok(holder) => holder,
            Err(Errno::EPERM | Errno::ENOSPC | Errno::EUSERS | Errno::EINVAL) => return Ok(false),
            Err(errno) => return Err(Error::Enter(errno)),
        };
        let pid = holder.pid();
        // Both at once.
        let users = self.newuidmap.start(pid, geteuid().as_raw(), &self.users);
        let groups = self.newgidmap.start(pid, getegid().as_raw(), &self.groups);
        let (users, groups) = (self.newuidmap.finish(users), self.newgidmap.finish(groups));
        users.and(groups)?;
        // Until now everything can be given up.
        setns(holder.pidfd(), CloneFlags::CLONE_NEWUSER).map_err(Error::Enter)?;
        Ok(true)
    }
}
