//! What the monitor may still do when the guest begins to run: as little as a process can.
//!
//! The guest is hostile, and so is a monitor that it has broken into. So once everything is open
//! that the machine needs, and before its first instruction, the monitor is [closed](Jail::close)
//! in:
//!
//! | layer | what is left |
//! |---|---|
//! | namespaces | mounts, network, IPC, host name and cgroups of its own; an ordinary user's monitor has a user namespace of its own, too |
//! | root | an empty, read-only directory |
//! | identity | a user and a group that nobody else is; an ordinary user's monitor stays that user's |
//! | rights | no capability, none to be had, no way to gain one by `execve` |
//! | limits | no core dump, as many descriptors and threads as it needs |
//! | [filter](Filter) | the system calls that each thread makes, and no other |
//!
//! What it needs later must be open by then, or comes as a descriptor. The files that a guest is
//! given by `--volume` are an exception that is kept as narrow as possible: see [`Rights`].

mod empty_root;
mod filter;
mod heaps;
mod identity;
mod limits;
mod namespaces;
mod rights;
mod shares;
mod surface;
mod trial;

use rustix::io::Errno;

pub use filter::{AllowedCall, Filter, FilterError, Role, allowed};
pub use heaps::settle_heaps;
pub use rights::{Rights, give_up_rights};
pub use surface::surface;
pub(crate) use trial::finding;

use identity::Identity;

/// Why the monitor can't be closed in. It runs nothing then.
#[derive(Debug, thiserror::Error)]
#[error("the monitor can't be contained: can't {step}")]
pub struct JailError {
    step: &'static str,
    #[source]
    cause: Errno,
    remedy: Option<&'static str>,
}

impl JailError {
    fn at(step: &'static str) -> impl Fn(Errno) -> Self {
        move |cause| Self {
            step,
            cause,
            remedy: None,
        }
    }

    fn with_remedy(self, remedy: &'static str) -> Self {
        Self {
            remedy: Some(remedy),
            ..self
        }
    }

    /// What the user can do, if anything is known.
    pub fn remedy(&self) -> Option<&'static str> {
        self.remedy
    }
}

/// The monitor's own namespaces. All that there was before can still be reached.
pub struct Jail {
    identity: Identity,
}

impl Jail {
    /// Enters them. To be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// When the kernel refuses them.
    pub fn enter() -> Result<Self, JailError> {
        let identity = namespaces::enter()?;
        Ok(Self { identity })
    }

    /// Takes away all but `rights`. To be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// When something can't be taken away. The process must end then.
    pub fn close(self, rights: Rights) -> Result<(), JailError> {
        empty_root::enter()?;
        // Before the user, with whom the right to raise a limit goes; the new user's threads are
        // counted from there on.
        limits::set(rights, &self.identity)?;
        rights.assume(&self.identity)
    }
}
