use entry::{Failure, Step};
use host::cgroup::Entrance;

/// Goes into a container's cgroup. Makes system calls and nothing else.
pub(crate) fn enter(entrance: &Entrance) -> Result<(), Failure> {
    entrance.enter().map_err(|error| Failure {
        step: Step::Cgroup,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    })
}
