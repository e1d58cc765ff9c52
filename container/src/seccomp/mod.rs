//! Which system calls a container may make, as a filter of the kernel's (`seccomp(2)`).
//!
//! The default profile is a table that people can read, `table`. `docker_profile` reads one of
//! docker's JSON files. Both become a [`profile::Profile`], which `compile` makes a program of;
//! `entry` has the kernel load it just before the command.

mod architecture;
mod compile;
mod default_profile;
mod docker_profile;
mod profile;
#[cfg(test)]
mod simulator;
mod table;

use std::sync::OnceLock;

use entry::Filter;
use launch::{CapabilitySet, Seccomp};

use architecture::Architecture;
pub(crate) use compile::CompileError;
pub(crate) use docker_profile::ProfileError;

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The profile can't be read.
    #[error("the seccomp profile can't be used")]
    Profile(#[from] ProfileError),
    /// The kernel would not take it.
    #[error("the seccomp profile can't be compiled")]
    Compile(#[from] CompileError),
}

/// How many calls of 64-bit programs a container with these capabilities may make, some of them with
/// certain arguments only; `None` if it may make all.
pub(crate) fn allowed_calls(
    seccomp: &Seccomp,
    capabilities: CapabilitySet,
) -> Result<Option<usize>, Error> {
    let profile = match seccomp {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default => default_profile::profile(capabilities)?,
        Seccomp::Profile(json) => docker_profile::parse(json, capabilities)?,
    };
    Ok(Some(profile.allowed_calls(Architecture::X86_64)))
}

/// The filter of a container with these capabilities; `None` if it may make all calls.
pub(crate) fn filter(
    seccomp: &Seccomp,
    capabilities: CapabilitySet,
) -> Result<Option<Filter>, Error> {
    match seccomp {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Default if capabilities == CapabilitySet::default() => default_filter().map(Some),
        Seccomp::Default => {
            let profile = default_profile::profile(capabilities)?;
            Ok(Some(compile::compile(&profile)?))
        }
        Seccomp::Profile(json) => {
            let profile = docker_profile::parse(json, capabilities)?;
            Ok(Some(compile::compile(&profile)?))
        }
    }
}

/// That of the default profile and the default capabilities, which most containers have:
/// compiled once in a process.
fn default_filter() -> Result<Filter, Error> {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    if let Some(filter) = FILTER.get() {
        return Ok(filter.clone());
    }
    let profile = default_profile::profile(CapabilitySet::default())?;
    let filter = compile::compile(&profile)?;
    Ok(FILTER.get_or_init(|| filter).clone())
}
