use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::failure::Failure;

/// Holds this thread, and all that it starts meanwhile, on the processor where it is. With two, a
/// switch would be a message from one to the other.
pub(crate) struct OneCpu {
    before: CpuSet,
}

impl OneCpu {
    pub(crate) fn hold() -> Result<Self, Failure> {
        let before = sched_getaffinity(None).map_err(Failure::of("ask for the processors"))?;
        let mut one = CpuSet::new();
        let here = sched_getcpu();
        if here < CpuSet::MAX_CPU {
            one.set(here);
        }
        sched_setaffinity(None, &one).map_err(Failure::of("stay on one processor"))?;
        Ok(Self { before })
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        // It was allowed before.
        let _ = sched_setaffinity(None, &self.before);
    }
}
