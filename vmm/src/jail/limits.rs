use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::identity::Identity;
use super::{JailError, Rights};

/// Descriptors for all but the files of the host's: some 50 for a machine, and some 20 for each of
/// the [further commands](crate::monitor) in it.
const DESCRIPTORS: u64 = 4096;
/// Threads: a dozen for a machine, five for each further command, and those that KVM adds.
const THREADS: u64 = 1024;

/// Limits what the process can use up.
pub(super) fn set(rights: Rights, identity: &Identity) -> Result<(), JailError> {
    let set = || -> Result<(), Errno> {
        // Guest memory is not for files that others read.
        limit(Resource::Core, 0)?;
        limit(Resource::Memlock, 0)?;
        // With shares, a guest may have as many files open as there can be descriptors.
        if rights == Rights::None {
            limit(Resource::Nofile, DESCRIPTORS)?;
        }
        // A user's other processes would be counted, too.
        if let Identity::Other(_) = identity {
            limit(Resource::Nproc, THREADS)?;
        }
        Ok(())
    };
    set().map_err(JailError::at("set its limits"))
}

/// Limits `resource` to `most`, or to what it is limited to already.
fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let before = getrlimit(resource).maximum;
    let most = Some(before.map_or(most, |before| before.min(most)));
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(resource, limit)
}
