use std::sync::Arc;

use launch::Footprint;

use super::{Cgroup, Error};

/// Where an instance runs: in a cgroup of its own, or, where it asked for no limits and none can
/// be made, in that of whoever started it.
#[derive(Debug)]
pub enum Placement {
    /// In this one.
    Own(Cgroup),
    /// In its parent's, for this reason.
    Inherited(Arc<Error>),
}

impl Placement {
    /// The instance's own cgroup, if it has one.
    pub fn cgroup(&self) -> Option<&Cgroup> {
        match self {
            Self::Own(cgroup) => Some(cgroup),
            Self::Inherited(_) => None,
        }
    }

    /// What is charged to the instance's own cgroup.
    ///
    /// # Errors
    ///
    /// When it has none, or that can't be read.
    pub fn footprint(&self) -> Result<Footprint, Error> {
        match self {
            Self::Own(cgroup) => cgroup.footprint(),
            Self::Inherited(why) => Err(Error::Inherited(Arc::clone(why))),
        }
    }

    /// The processor time that the instance's own cgroup has used so far, in nanoseconds; `None` if
    /// nobody counts it, or the instance has none.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn cpu_ns(&self) -> Result<Option<u64>, Error> {
        match self {
            Self::Own(cgroup) => Ok(cgroup.usage()?.cpu_ns),
            Self::Inherited(_) => Ok(None),
        }
    }

    /// How many of the instance's processes the kernel killed because it was out of memory.
    ///
    /// # Errors
    ///
    /// When it has no cgroup of its own, or that can't be read.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        match self {
            Self::Own(cgroup) => cgroup.oom_kills(),
            Self::Inherited(why) => Err(Error::Inherited(Arc::clone(why))),
        }
    }
}
