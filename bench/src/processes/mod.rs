//! Contenders that are no launchers of ours: a plain process of the host, and other runners.
//!
//! Each run of one has the image as an overlay in a mount namespace that is made before the clock
//! starts, so that nothing it does to files outlives it, and the image stays as it is. QEMU has it as the
//! disk that a VM of ours has.

mod controls;
mod doorbell;
mod host_process;
mod nobody;
mod peer;
mod qemu;
mod root;
mod spawned;
mod told;
mod whole;

use std::io;

pub use host_process::{RunAs, prepare as host_process};
pub use peer::prepare as peer;
pub use qemu::prepare as qemu;
pub use whole::prepare as whole;

/// Why a workload can't be run by something that is no launcher of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such program.
    #[error("it is not installed")]
    NotInstalled,
    /// Its `spec` command gave none.
    #[error("it proposes no configuration of its own (spec)")]
    NoSpec,
    /// Its `spec` command did not end within so many seconds.
    #[error("it did not propose a configuration (spec) within {0} s")]
    Hangs(u64),
    /// The caller may not change its root, or become another user.
    #[error("only root can run it")]
    NotRoot,
    /// It is to have something that this contender can't give.
    #[error("it can't be given {0}")]
    Unsupported(&'static str),
    /// The root can't be made.
    #[error("can't make its root: {step}")]
    Root {
        /// What was done.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The process can't be started.
    #[error("can't start it")]
    Start(#[source] io::Error),
    /// It can't be waited for or signalled.
    #[error("can't reach its process")]
    Reach(#[source] io::Error),
    /// It has no cgroup of its own.
    #[error("it has no cgroup of its own")]
    NoCgroup,
}

impl From<Error> for launch::Error {
    fn from(error: Error) -> Self {
        let remedy = match &error {
            Error::NotInstalled => Some("install it, or leave it out of --against"),
            Error::NotRoot => Some("run as root"),
            Error::Unsupported(_) => Some("leave it out of --against"),
            _ => None,
        };
        Self::remedied(error, remedy)
    }
}

/// Fails with the first that is asked for.
fn refuse<const N: usize>(asked: [(bool, &'static str); N]) -> Result<(), Error> {
    match asked.into_iter().find(|(is_asked, _)| *is_asked) {
        Some((_, what)) => Err(Error::Unsupported(what)),
        None => Ok(()),
    }
}
